// Forty days of six meters and three accounts, with dead meters, spikes, restarts and top-ups; at
// the end an auditor that shares no code with the engine recomputes every ledger. The seed of a
// failing run is printed.
#include <algorithm>
#include <ctime>
#include <iostream>
#include <random>
#include <set>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

constexpr int kDays = 40, kStepsADay = 144;

struct TrueMeter {
    std::string id, account;
    std::string tariff;
    std::int64_t step = 10;               // of the register, in 1e-3
    std::int64_t most = 400;              // a poll, in 1e-3
    std::int64_t now = 0;                 // what the face shows, in 1e-3
    std::int64_t dead_until = 0;          // of the steps
    std::map<UtcMs, std::int64_t> shown;  // at each sample that was sent true
};

const std::vector<TrueMeter>& meters_of_the_house() {
    static const std::vector<TrueMeter> meters{
        {"e-1", "a-1", "flat", 10, 400, 123'450, 0, {}},
        {"e-2", "a-1", "flat", 10, 300, 0, 0, {}},
        {"w-1", "a-1", "water", 1, 60, 77'001, 0, {}},
        {"e-3", "a-2", "ladder", 10, 500, 999'998'000, 0, {}},  // 2 kWh before its end
        {"e-4", "a-3", "flat", 10, 200, 5'000'000, 0, {}},
        {"w-2", "a-3", "water", 1, 90, 1, 0, {}}};
    return meters;
}
constexpr std::int64_t kEnd = 1'000'000'000;  // the electric registers wrap here, in 1e-3

FileTexts files() {
    return {
        {"units.csv", "unit\nu-1\nu-2\nu-3\n"},
        {"meters.csv",
         "meter,unit,service,bus,address,profile\n"
         "e-1,u-1,electricity,b1,1,eastron-sdm120\ne-2,u-1,electricity,b1,2,eastron-sdm120\n"
         "w-1,u-1,water,b1,3,wirenboard-mwac2\ne-3,u-2,electricity,b1,4,eastron-sdm120\n"
         "e-4,u-3,electricity,b1,5,eastron-sdm120\nw-2,u-3,water,b1,6,wirenboard-mwac2\n"},
        {"accounts.csv",
         "account,unit,service,tariff,opening_balance,opening_ladder\n"
         "a-1,u-1,all,flat;water,100.00,\na-2,u-2,electricity,ladder,55.50,90\n"
         "a-3,u-3,all,flat;water,-3.27,\n"},
        {"tariffs/flat.toml", flat_tariff("flat", "electricity", "0.58886875")},
        {"tariffs/water.toml", flat_tariff("water", "water", "5.07")},
        {"tariffs/ladder.toml",
         "[[tariff]]\nid = \"ladder\"\nservice = \"electricity\"\nsource = \"a test\"\n"
         "[[tariff.version]]\nvalid_from = \"2026-01-01\"\nladder = \"year\"\n"
         "ladder_from = \"12-25\"\n"
         "tiers = [ { up_to = \"300\", price = \"0.4883\" }, "
         "{ up_to = \"900\", price = \"0.5383\" }, { price = \"0.7883\" } ]\n"},
        {"staff.csv", "staff,name,roles\ns-01,李四,collector\n"},
    };
}

// The auditor: prices in 1e-8, quantities in 1e-3, and one fen is 1e9 of their product.
class Auditor {
  public:
    void use(const std::string& account, const std::string& tariff, std::int64_t day,
             std::int64_t quantity) {
        if (quantity == 0) return;
        const LocalDate date = date_from_days(day);
        const std::string month = format_date(date).substr(0, 7);
        if (tariff == "flat") add(account, month, 0, 58'886'875, quantity);
        if (tariff == "water") add(account, month, 1, 507'000'000, quantity);
        if (tariff != "ladder") return;
        const bool next = date >= LocalDate{2026, 12, 25};
        std::int64_t& used = next ? ladder_next_ : ladder_;
        const std::int64_t limits[] = {300'000, 900'000, INT64_MAX};
        const std::int64_t prices[] = {48'830'000, 53'830'000, 78'830'000};
        for (int tier = 0; tier < 3; ++tier) {
            const std::int64_t part = std::clamp<std::int64_t>(limits[tier] - used, 0, quantity);
            add(account, month, 2 + tier, prices[tier], part);
            used += part;
            quantity -= part;
        }
    }
    std::int64_t fen(const std::string& account) const {
        std::int64_t sum = 0;
        for (const auto& [key, line] : lines_)
            if (std::get<0>(key) == account)
                sum += static_cast<std::int64_t>(
                    (2 * Int128{line.first} * line.second + 1'000'000'000) / 2'000'000'000);
        return sum;
    }

  private:
    void add(const std::string& account, const std::string& month, int line, std::int64_t price,
             std::int64_t quantity) {
        auto& sum = lines_[{account, month, line}];
        sum.first = price;
        sum.second += quantity;
    }
    std::map<std::tuple<std::string, std::string, int>, std::pair<std::int64_t, std::int64_t>>
        lines_;
    std::int64_t ladder_ = 90'000, ladder_next_ = 0;
};

struct Seen {
    std::size_t restarts = 0, late = 0, estimated = 0, quarantines = 0;
};

class Simulation {
  public:
    explicit Simulation(std::uint64_t seed)
        : house_(seed), dice_(seed), meters_(meters_of_the_house()) {
        house_.options.store_interval_ms = 2 * kHour;
        house_.open();
        REQUIRE(house_.import(files()).kind == ReplyKind::ok);
    }

    void run() {
        for (step_ = 0; step_ < kDays * kStepsADay; ++step_) {
            house_.clock.pass(10 * kMinute - slack_);
            slack_ = 0;
            poll();
            if (one_in(150)) pay();
            if (one_in(250)) restart();
        }
        settle_everything();
        audit();
    }

    [[nodiscard]] const Seen& seen() const { return seen_; }

  private:
    bool one_in(std::uint64_t n) { return dice_() % n == 0; }
    std::int64_t below(std::int64_t n) {
        return static_cast<std::int64_t>(dice_() % static_cast<std::uint64_t>(n));
    }

    void send(TrueMeter& meter, bool confirming) {
        meter.shown[house_.clock.wall] = meter.now;
        const std::int64_t face = meter.step == 10 ? meter.now % kEnd : meter.now;
        house_.feed(meter.id, Rational{face, 1'000}, confirming);
    }
    bool alive(const TrueMeter& meter) const { return meter.dead_until <= step_; }

    void poll() {
        for (TrueMeter& meter : meters_) {
            meter.now += below(meter.most / meter.step + 1) * meter.step;
            if (alive(meter) && one_in(400)) meter.dead_until = step_ + 1 + below(3 * kStepsADay);
            if (!alive(meter)) {
                if (one_in(30)) house_.fail(meter.id);
            } else if (one_in(100)) {
                house_.feed(meter.id, Rational{meter.now % kEnd + 400'000'000, 1'000});
            } else {
                send(meter, false);
            }
        }
        house_.step();
        if (house_.asked.soon.empty()) return;
        slack_ = 2 * kSecond;
        house_.clock.pass(slack_);
        for (TrueMeter& meter : meters_)
            if (house_.asked.soon.count(meter.id) != 0 && alive(meter)) send(meter, true);
        house_.asked.soon.clear();
        house_.step();
    }

    // A top-up that may be asked for again after a crash before its answer.
    void pay() {
        const std::string account = "a-" + std::to_string(1 + below(3));
        const std::int64_t amount = 1 + below(9'000);
        TopUp command;
        command.account = account;
        command.amount = format(Fen{amount});
        command.by = "s-01";
        command.idempotency_key = "k-" + std::to_string(++paid_);
        command.body_hash = command.idempotency_key;
        if (one_in(3)) {
            if (one_in(2)) REQUIRE(house_.ask(command).kind == ReplyKind::created);
            restart();
        }
        const ReplyKind kind = house_.ask(command).kind;
        REQUIRE((kind == ReplyKind::created || kind == ReplyKind::ok));
        paid_fen_[account] += amount;
    }

    void restart() {
        ++seen_.restarts;
        house_.crash();
        if (one_in(2)) house_.clock.mono = 10'000 + below(100'000);  // the box booted
        house_.open();
    }

    // Ends a minute after a midnight with every register read twice, and all days posted.
    void settle_everything() {
        const std::int64_t to_midnight = kDay - (house_.clock.wall + 8 * kHour) % kDay;
        house_.clock.pass(to_midnight + kMinute);
        for (int twice = 0; twice < 2; ++twice) {
            for (TrueMeter& meter : meters_) send(meter, false);
            house_.step();
            house_.clock.pass(2 * kSecond);
        }
        house_.pass(10 * kMinute);
    }

    void audit() {
        Auditor posted;
        std::set<std::int64_t> days;
        for (const TrueMeter& meter : meters_) {
            INFO("meter " << meter.id);
            std::int64_t before = -1;
            std::map<std::int64_t, std::int64_t> day_end;
            for (const StoredReading& row : house_.readings(meter.id)) {
                const std::int64_t total = row.row.total.count;
                if (row.row.quality == ReadingQuality::estimated) ++seen_.estimated;
                if (row.row.quality == ReadingQuality::good)
                    REQUIRE(total == meter.shown.at(row.row.at.wall_ms));
                REQUIRE(total >= before);
                if (before < 0) mark_[meter.id] = total;
                before = total;
                if (row.row.kind == ReadingKind::interval) continue;
                REQUIRE(row.row.stands_at);
                REQUIRE((*row.row.stands_at + 8 * kHour) % kDay == 0);
                const std::int64_t day = (*row.row.stands_at + 8 * kHour) / kDay - 1;
                REQUIRE(day_end.emplace(day, total).second);
            }
            REQUIRE(day_end.size() == kDays + 1);
            for (const auto& [day, total] : day_end) {
                posted.use(meter.account, meter.tariff, day, total - mark_[meter.id]);
                mark_[meter.id] = total;
            }
            CHECK(house_.meter(meter.id).total == Milli{meter.now});
            CHECK(mark_[meter.id] == meter.now);
        }
        const std::map<std::string, std::int64_t> opening{
            {"a-1", 100'00}, {"a-2", 55'50}, {"a-3", -3'27}};
        for (const auto& [account, fen] : opening) {
            INFO("account " << account);
            CHECK(house_.account(account).ledger.count ==
                  fen + paid_fen_[account] - posted.fen(account));
            for (const StoredEntry& row : house_.entries(account))
                if (row.entry.cause.rfind("late:", 0) == 0) ++seen_.late;
            CHECK(house_.account(account).balance == house_.account(account).ledger);
        }
        CHECK(house_.events("entry.topup").size() == static_cast<std::size_t>(paid_));
        CHECK(house_.events("alert.raised").size() - house_.events("alert.cleared").size() ==
              house_.engine().snapshot()->open_alerts.size());
        CHECK(house_.events("meter.rollover").size() == 1);
        seen_.quarantines = house_.events("meter.quarantined").size();
        CHECK(house_.proof() == "");
    }

    House house_;
    std::mt19937_64 dice_;
    std::vector<TrueMeter> meters_;
    std::map<std::string, std::int64_t> paid_fen_, mark_;
    int paid_ = 0;
    Seen seen_;
    std::int64_t step_ = 0, slack_ = 0;
};

}  // namespace

TEST_CASE("forty days with an auditor") {
    Seen all;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        std::cout << "seed " << seed << std::endl;
        INFO("seed " << seed);
        Simulation simulation(seed);
        simulation.run();
        all.restarts += simulation.seen().restarts;
        all.late += simulation.seen().late;
        all.estimated += simulation.seen().estimated;
        all.quarantines += simulation.seen().quarantines;
    }
    // A world in which nothing goes wrong would prove nothing.
    CHECK(all.restarts > 100);
    CHECK(all.late > 100);
    CHECK(all.estimated > 100);
    CHECK(all.quarantines == 0);
}

TEST_CASE("what one sample costs the engine") {
    House house;
    house.open();
    REQUIRE(house.import(three_homes()).kind == ReplyKind::ok);
    house.settle("e-103", "1000.00");
    constexpr int kSamples = 5'000;
    const std::clock_t begin = std::clock();
    for (int i = 1; i <= kSamples; ++i) {
        house.clock.pass(kSecond);
        house.feed("e-103", Rational{100'000 + i, 100});
        house.step();
    }
    const auto ticks = static_cast<std::int64_t>(std::clock() - begin);
    std::cout << "one sample of a charged meter, judged, priced and published: "
              << ticks * (1'000'000'000 / CLOCKS_PER_SEC) / kSamples << " ns of processor time\n";
    // 49.99 kWh are confirmed: 26.409717
    CHECK(house.balance("a-103") == "-26.41");
}
