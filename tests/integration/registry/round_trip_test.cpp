// Import of an export changes nothing: over generated registries, every column in play.
#include <random>

#include "tests/integration/registry/support.hpp"

using namespace gatehouse;
using namespace gatehouse::registry_files;

namespace {

// Any registry whose cells are sound; its references need not be.
class Generator {
  public:
    explicit Generator(unsigned seed) : random_(seed) {}

    Registry registry() {
        Registry out;
        rows(out.units, [&](int n) { return unit(n); });
        rows(out.people, [&](int n) { return person(n); });
        rows(out.meters, [&](int n) { return meter(n); });
        rows(out.accounts, [&](int n) { return account(n); });
        rows(out.tariffs, [&](int n) { return tariff(n); });
        rows(out.pools, [&](int n) { return pool(n); });
        rows(out.calendar, [&](int n) {
            return CalendarDay{date_from_days(20'000 + n), DayKind(pick(2)), text()};
        });
        rows(out.staff, [&](int n) { return staff(n); });
        rows(out.keys, [&](int n) { return key(n); });
        return out;
    }

  private:
    int pick(int count) { return std::uniform_int_distribution<int>(0, count - 1)(random_); }
    bool maybe() { return pick(2) == 0; }
    std::int64_t number(std::int64_t least, std::int64_t most) {
        return std::uniform_int_distribution<std::int64_t>(least, most)(random_);
    }
    template <class Row, class Make>
    void rows(std::vector<Row>& out, const Make& make) {
        const int count = pick(5);
        for (int n = 0; n < count; ++n) {
            out.push_back(make(n));
        }
    }
    std::string id() { return maybe() ? "" : required_id(); }
    std::string required_id() {
        return std::string(1, static_cast<char>('a' + pick(26))) + "._-" +
               std::to_string(pick(9'999));
    }
    std::string numbered(const char* prefix, int n) {
        return prefix + std::to_string(n) + "-" + required_id();
    }
    std::string text() {
        const std::vector<std::string> kPieces{"a", "楼", ",",   "\"", "\\", "=1+1",
                                               "'", "🔑",  "x y", "#",  ";",  "é"};
        std::string out;
        for (int i = pick(6); i > 0; --i) {
            out += kPieces.at(static_cast<std::size_t>(pick(static_cast<int>(kPieces.size()))));
        }
        return out;
    }
    template <class T>
    std::optional<T> some(T value) {
        return maybe() ? std::nullopt : std::optional<T>(value);
    }
    LocalDate date() { return date_from_days(number(0, 100'000)); }
    std::string decimal() { return format_decimal_trimmed(number(1, 1'000'000'000), pick(7), 0); }
    std::vector<std::string> ids(int least) {
        std::vector<std::string> out;
        for (int i = least + pick(3); i > 0; --i) {
            out.push_back(numbered("l", i));
        }
        return out;
    }
    Fen money() { return Fen{number(0, 1'000'000)}; }

    Unit unit(int n) {
        return {numbered("u", n),
                text(),
                text(),
                text(),
                text(),
                Use(pick(3)),
                UnitStatus(pick(6)),
                some(number(0, 99'999)),
                some(pick(100)),
                some(pick(1000)),
                id(),
                text()};
    }
    Person person(int n) {
        Person out{numbered("p", n),
                   PersonKind(pick(4)),
                   "n" + text(),
                   text(),
                   id(),
                   text(),
                   some(date()),
                   {}};
        if (out.valid_from) {
            out.valid_to = some(date_from_days(days_since_epoch(*out.valid_from) + pick(99)));
        }
        return out;
    }
    Meter meter(int n) {
        Meter out;
        out.meter = numbered("m", n);
        out.unit = id();
        out.service = Service(pick(2));
        out.role = MeterRole(pick(4));
        out.parent = id();
        if (maybe()) {
            out.bus = required_id();
            out.address = 1 + pick(247);
            out.channel = some(pick(256));
        }
        out.profile = id();
        out.serial = text();
        out.nameplate = text();
        out.location = text();
        out.multiplier = maybe() ? "120" : "0.01";
        out.offset = some(std::string("-") + decimal());
        (out.service == Service::water ? out.rated_flow : out.rated_amps) =
            some(std::string("60.5"));
        out.opening_register = some(decimal());
        if (out.opening_register) {
            out.opening_at = some(std::string("2026-01-01T08:00:00+08:00"));
        }
        out.account = id();
        out.tariff = id();
        out.status = MeterStatus(pick(3));
        return out;
    }
    Account account(int n) {
        Account out;
        out.account = numbered("a", n);
        out.unit = id();
        out.service = AccountService(pick(3));
        out.tariffs = ids(1);
        out.holder = id();
        out.billing = Billing(pick(3));
        if (out.billing == Billing::prepaid) {
            out.opening_balance = some(Fen{number(-100'000, 100'000)});
        }
        for (int i = pick(3); i > 0; --i) {
            out.opening_ladder.push_back(Milli{number(0, 9'999'999)});
        }
        out.live_from = some(date());
        out.low_balance = some(money());
        if (!out.low_balance) {
            out.critical_balance = some(money());
        }
        out.low_days = some(0);
        out.critical_days = some(pick(366));
        out.overdraft = some(money());
        out.hoarding_cap = some(money());
        out.chase = some(maybe());
        out.old_number = text();
        out.closed = maybe() ? "" : "2026-05-01T00:00:00+08:00";
        return out;
    }
    std::vector<int> season(int which) {
        return which == 0 ? std::vector<int>{} : std::vector<int>{1, 2, 12};
    }
    TariffVersion version(int n) {
        TariffVersion out;
        out.valid_from = date_from_days(20'000 + n * 100 + pick(99));
        out.ladder = LadderPeriod(pick(3));
        out.ladder_from_month = 1 + pick(12);
        out.ladder_from_day = 1 + pick(28);
        const bool banded = maybe();
        const int groups = out.ladder == LadderPeriod::year ? 1 : 1 + pick(2);
        for (int group = 0; group < groups && !(banded && maybe() && group == 0); ++group) {
            std::int64_t limit = 0;
            for (int i = out.ladder == LadderPeriod::none ? 0 : pick(3); i >= 0; --i) {
                Tier tier{season(group), {}, {}, {}};
                (banded ? tier.adder : tier.price) = Price{number(0, 999'999'999)};
                if (i > 0) {
                    tier.up_to = Milli{limit += number(1, 999'999)};
                }
                out.tiers.push_back(tier);
            }
        }
        if (banded) {
            const int edge = 1 + pick(1439);
            out.bands = {{"peak", 0, edge, {}, BandDays::all, Price{number(0, 99'999'999)}},
                         {"rest", edge, 1440, {}, BandDays::workday, Price{1}},
                         {"weekend", edge, 1440, {}, BandDays::weekend, Price{2}},
                         {"holiday", edge, 1440, {}, BandDays::holiday, Price{3}}};
        } else {
            out.quantity_step = Milli{1 + pick(2000)};
        }
        if (maybe()) {
            out.per_person = PerPerson{1 + pick(9), Milli{number(1, 99'999)}};
        }
        for (int i = pick(3); i > 0; --i) {
            out.fixed.push_back({"fee" + std::to_string(i), FeePeriod(pick(2)), money()});
        }
        out.minimum = money();
        return out;
    }
    Tariff tariff(int n) {
        Tariff out;
        out.tariff = numbered("t", n);
        if (maybe()) {
            out.label = {{"en", text()}, {"zh-CN", text()}};
        }
        out.service = Service(pick(2));
        out.source = "s" + text();
        if (maybe()) {
            out.uses = {Use::shop, Use::home};
        }
        for (int i = 0; i <= pick(3); ++i) {
            out.versions.push_back(version(i));
        }
        return out;
    }
    Pool pool(int n) {
        return {numbered("pool", n), Service(pick(2)), ids(1), ids(0), ids(1),
                PoolShare(pick(3)),  required_id()};
    }
    Staff staff(int n) {
        Staff out{numbered("s", n), "n" + text(), {StaffRole(pick(9))}, text(),
                  text(),           {},           some(date()),         some(money())};
        if (maybe()) {
            out.cards = {"wiegand26:" + std::to_string(n), "em4100:0F" + std::to_string(n)};
        }
        return out;
    }
    Key key(int n) {
        Key out;
        out.key = numbered("k", n);
        out.class_ = KeyClass(pick(8));
        out.cabinet = id();
        if (!out.cabinet.empty()) {
            out.slot = some(1 + pick(99));
        }
        out.place = text();
        out.tag = text();
        out.count = some(pick(99));
        out.opens = ids(0);
        out.max_hold_ms = some(number(1, 999) * 60'000);
        out.curfew = maybe() ? "" : "18:05";
        out.needs_second = some(maybe());
        out.seal_no = text();
        out.set = text();
        out.label = text();
        return out;
    }

    std::mt19937 random_;
};

const CardHash kHash = [](const std::string& card) {
    return std::string(56, '0') +
           std::to_string(10'000'000 + std::hash<std::string>()(card) % 9'999);
};

}  // namespace

TEST_CASE("import of an export changes nothing") {
    const unsigned first = std::random_device()();
    for (unsigned i = 0; i < 300; ++i) {
        const unsigned seed = first + i;
        Registry registry = Generator(seed).registry();
        hash_cards(registry, kHash);
        const Files files = write(registry, kHash);
        const auto parsed = parse(files);
        INFO("seed " << seed << "\n" << listed(parsed.problems));
        REQUIRE(parsed.ok());
        const bool same = parsed.registry == registry;
        REQUIRE(same);
        const auto merged = merge(registry, parsed);
        REQUIRE(merged.problems.empty());
        REQUIRE(merged.count(Outcome::unchanged) == merged.changes.size());
        REQUIRE(write(merged.registry, kHash) == files);
    }
}

TEST_CASE("an export has one file a tariff, every column, and no plain card") {
    const auto parsed = parse(files_of(house()));
    const auto files = write(parsed.registry, kHash);
    std::vector<std::string> names;
    for (const auto& [name, text] : files) {
        names.push_back(name);
    }
    CHECK(names == std::vector<std::string>{"units.csv", "people.csv", "meters.csv", "accounts.csv",
                                            "tariffs/home-power.toml", "tariffs/home-water.toml",
                                            "tariffs/shop-power.toml", "pools.csv", "calendar.csv",
                                            "staff.csv", "keys.csv"});
    for (const auto& file : file_columns()) {
        std::string header;
        for (const auto& column : file.columns) {
            header += (header.empty() ? "" : ",") + std::string(column.name);
        }
        const auto found = std::find_if(files.begin(), files.end(),
                                        [&](const auto& one) { return one.first == file.file; });
        REQUIRE(found != files.end());
        CHECK(found->second.starts_with(header + "\n"));
    }
}
