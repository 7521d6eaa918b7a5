#include "daemon/engine/import_checks.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/tariff.hpp"
#include "daemon/engine/edge_book.hpp"
#include "daemon/engine/trial_book.hpp"

namespace gatehouse {
namespace files = registry_files;
namespace {

// The accounts that a meter is or was charged to by that tariff.
std::set<std::string> charged_by(const Context& context, const std::string& tariff) {
    const std::vector<std::string> rows = context.store.accounts_of_tariff(tariff);
    std::set<std::string> accounts(rows.begin(), rows.end());
    for (const MeterRuntime& meter : context.world.meters)
        if (meter.marked && meter.account && meter.tariff != nullptr &&
            meter.tariff->tariff == tariff)
            accounts.insert(context.world.accounts[*meter.account].row->account);
    return accounts;
}

// Who is charged has a price from the first day on: what is used before it would be nobody's.
class PricesFrom {
  public:
    PricesFrom(const Context& context, const Registry& merged, const files::Places& places,
               std::vector<Problem>& problems)
        : context_(context),
          merged_(merged),
          places_(places),
          problems_(problems),
          today_(context.day_of(context.now_ms())) {}
    void check() {
        if (!context_.clock.trusted()) return;
        const std::size_t known = context_.world.accounts.size();
        for (std::size_t i = 0; i < merged_.accounts.size(); ++i) {
            const Account& account = merged_.accounts[i];
            if (i < known && context_.world.accounts[i].row->tariffs == account.tariffs) continue;
            for (const std::string& tariff : account.tariffs)
                judge(account, tariff, files::Table::accounts, account.account);
        }
        for (std::size_t i = 0; i < merged_.meters.size(); ++i) {
            const Meter& meter = merged_.meters[i];
            const bool same = i < context_.world.meters.size() &&
                              context_.world.meters[i].row->tariff == meter.tariff;
            if (same || meter.tariff.empty()) continue;
            for (const Account& account : merged_.accounts)
                if (meter.account.empty() ? account.unit == meter.unit && !account.unit.empty()
                                          : account.account == meter.account)
                    judge(account, meter.tariff, files::Table::meters, meter.meter);
        }
    }

  private:
    void judge(const Account& account, const std::string& id, files::Table table,
               const std::string& row) {
        if (!account.closed.empty() || account.billing == Billing::none) return;
        const LocalDate from = std::max(today_, account.live_from.value_or(today_));
        for (const Tariff& tariff : merged_.tariffs) {
            if (tariff.tariff != id || tariff.versions.empty() || version_on(tariff, from))
                continue;
            const std::string begins = format_date(tariff.versions.front().valid_from);
            problems_.push_back(at_row(
                places_, table, row, "tariff",
                "tariff `" + id + "` has no price before " + begins + " and account `" +
                    account.account + "` is charged by it from " + format_date(from) +
                    " on: add a version that is in force by then, or name another tariff until " +
                    begins));
        }
    }

    const Context& context_;
    const Registry& merged_;
    const files::Places& places_;
    std::vector<Problem>& problems_;
    LocalDate today_;
};

constexpr std::size_t kClosedNamed = 20;

// From when to when a version holds; the newest has no end.
struct Held {
    UtcMs from = 0;
    std::optional<UtcMs> to;
};
Held held(const Context& context, const Tariff& tariff, LocalDate valid_from) {
    Held time{context.zone.midnight(valid_from), std::nullopt};
    for (const TariffVersion& version : tariff.versions) {
        if (version.valid_from <= valid_from) continue;
        const UtcMs next = context.zone.midnight(version.valid_from);
        time.to = time.to ? std::min(*time.to, next) : next;
    }
    return time;
}

bool used_it(const Context& context, const std::string& account, const std::string& tariff,
             const Held& time) {
    const auto at = [&](const auto& row) {
        return row.stands_at ? *row.stands_at : context.best(row.at);
    };
    for (const auto& charged : context.store.account_books().charged_meters(account))
        for (std::size_t i = 0; i < charged.terms.size(); ++i) {
            const TermsRow& terms = charged.terms[i];
            if (terms.account != account || terms.tariff != tariff) continue;
            const UtcMs to = i + 1 < charged.terms.size() ? at(charged.terms[i + 1]) : at(charged);
            if (to > time.from && !(time.to && at(terms) >= *time.to)) return true;
        }
    return false;
}

// What was not read whole has its problem already.
bool is_whole(const files::Places& places, files::Table table, const std::string& id) {
    const auto place = places.find(std::pair(table, id));
    return place == places.end() || place->second.whole();
}

}  // namespace

Problem at_row(const files::Places& places, files::Table table, const std::string& id,
               const std::string& column, std::string message) {
    Problem problem;
    problem.file = std::string(files::to_string(table)) + ".csv";
    problem.message = std::move(message);
    const auto found = places.find({table, id});
    if (found == places.end()) return problem;
    problem.file = found->second.file;
    problem.line = found->second.line;
    const auto cell = found->second.columns.find(column);
    problem.column = cell == found->second.columns.end() ? 1 : cell->second;
    return problem;
}

void check_books(const Context& context, const Registry& merged, const files::Places& places,
                 std::vector<Problem>& problems) {
    const World& world = context.world;
    for (std::size_t i = 0; i < world.meters.size(); ++i) {
        const Meter& before = *world.meters[i].row;
        const Meter& after = merged.meters[i];
        if (!world.meters[i].epoch || before.status != after.status) continue;
        if (before.opening_register != after.opening_register ||
            before.opening_at != after.opening_at)
            problems.push_back(at_row(
                places, files::Table::meters, after.meter, "opening_register",
                "meter `" + after.meter + "` has counted from its opening already; restore `" +
                    before.opening_register.value_or("") + "`, or correct it by an adjustment"));
    }
    for (std::size_t i = 0; i < world.accounts.size(); ++i) {
        const Account& before = *world.accounts[i].row;
        const Account& after = merged.accounts[i];
        if (!world.accounts[i].opening_booked) continue;
        if (before.opening_balance != after.opening_balance ||
            before.opening_ladder != after.opening_ladder || before.live_from != after.live_from)
            problems.push_back(at_row(places, files::Table::accounts, after.account,
                                      "opening_balance",
                                      "account `" + after.account +
                                          "` is open already; its opening values and live_from "
                                          "stay, correct them by an adjustment"));
    }
}

LateVersions late_versions(const Context& context, const Registry& merged,
                           const files::Places& places, std::vector<Problem>& problems) {
    LateVersions late;
    const Registry& registry = *context.world.registry;
    const bool trusted = context.clock.trusted();
    const LocalDate today = context.day_of(context.now_ms());
    for (std::size_t i = 0; i < registry.tariffs.size(); ++i) {
        const Tariff& before = registry.tariffs[i];
        const Tariff& after = merged.tariffs[i];
        if (before.versions == after.versions) continue;
        const std::set<std::string> accounts = charged_by(context, before.tariff);
        if (accounts.empty()) continue;
        for (const TariffVersion& version : after.versions) {
            // Without a clock that is trusted every day may have come.
            if (trusted && version.valid_from > today) continue;
            const auto known = std::find_if(
                before.versions.begin(), before.versions.end(),
                [&](const TariffVersion& one) { return one.valid_from == version.valid_from; });
            if (known != before.versions.end() && *known == version) continue;
            const std::string name =
                "version " + format_date(version.valid_from) + " of tariff `" + after.tariff + "` ";
            if (trusted && known != before.versions.end()) {
                problems.push_back(at_row(places, files::Table::tariffs, after.tariff, "valid_from",
                                          name + "was charged already: leave it as it was and add "
                                                 "a version that begins on another day"));
                continue;
            }
            late.versions.push_back({after.tariff, version.valid_from, 0});
            late.places.push_back(at_row(
                places, files::Table::tariffs, after.tariff, "valid_from",
                name + "begins on a day that has come, and " + std::to_string(accounts.size()) +
                    " accounts were charged by that tariff: look at what it changes with "
                    "--dry-run, then import it with --by, --second and --reason; the differences "
                    "are posted as price settlements"));
            late.accounts.insert(accounts.begin(), accounts.end());
        }
    }
    return late;
}

void warn_of_closed(const Context& context, const Registry& merged, const LateVersions& late,
                    const files::Places& places, std::vector<Problem>& warnings) {
    for (const LateVersionRow& version : late.versions) {
        const auto tariff =
            std::find_if(merged.tariffs.begin(), merged.tariffs.end(),
                         [&](const Tariff& one) { return one.tariff == version.tariff; });
        const Held time = held(context, *tariff, version.valid_from);
        std::size_t count = 0;
        std::string named;
        for (const std::string& id : late.accounts) {
            const Account& account =
                *context.world.accounts[context.world.account_index.at(id)].row;
            const auto closed = parse_iso8601(account.closed, context.zone);
            if (!closed || *closed <= time.from || !used_it(context, id, version.tariff, time))
                continue;
            if (++count <= kClosedNamed) named += (count == 1 ? "" : ", ") + id;
        }
        if (count == 0) continue;
        if (count > kClosedNamed) named += " and " + std::to_string(count - kClosedNamed) + " more";
        warnings.push_back(at_row(
            places, files::Table::tariffs, version.tariff, "valid_from",
            "version " + format_date(version.valid_from) + " of tariff `" + version.tariff +
                "` covers a time in which " + std::to_string(count) +
                (count == 1 ? " account that is closed by now was"
                            : " accounts that are closed by now were") +
                " charged by it: " + named +
                "; nothing is posted there, so what the version would change for those who left is "
                "for the office to settle with them"));
    }
}

void check_calendar(const Context& context, const Registry& merged, const files::Places& places,
                    std::vector<Problem>& problems) {
    const bool in_use = std::any_of(
        context.world.meters.begin(), context.world.meters.end(), [](const MeterRuntime& meter) {
            return meter.marked && meter.tariff != nullptr && tells_days_apart(*meter.tariff);
        });
    if (!in_use) return;
    const LocalDate today = context.day_of(context.now_ms());
    const Calendar after(merged.calendar);
    for (const CalendarDay& day : merged.calendar) {
        if (day.date > today || after.kind(day.date) == context.world.calendar.kind(day.date))
            continue;
        const std::string date = format_date(day.date);
        problems.push_back(at_row(
            places, files::Table::calendar, date, "kind",
            date + " has begun and tariffs in use tell kinds of day apart: leave the day as it "
                   "was, only days after today can be changed"));
    }
}

void check_prices(const Context& context, const Registry& merged, const files::Places& places,
                  std::vector<Problem>& problems) {
    PricesFrom(context, merged, places, problems).check();
}

void check_served(const Registry& merged, const files::Places& places,
                  std::vector<Problem>& problems) {
    const std::vector<std::string> not_yet = files::not_yet(merged);
    for (std::size_t i = 0; i < not_yet.size(); ++i) {
        if (not_yet[i].empty()) continue;
        const Account& account = merged.accounts[i];
        const bool read = is_whole(places, files::Table::accounts, account.account) &&
                          std::all_of(account.tariffs.begin(), account.tariffs.end(),
                                      [&](const std::string& tariff) {
                                          return is_whole(places, files::Table::tariffs, tariff);
                                      });
        if (read)
            problems.push_back(
                at_row(places, files::Table::accounts, account.account, "tariff", not_yet[i]));
    }
}

void warn_of_openings(const Context& context, const Registry& merged, const files::Places& places,
                      std::vector<Problem>& warnings) {
    if (!context.clock.trusted()) return;
    for (const Meter& meter : merged.meters) {
        const auto at = meter.opening_at ? parse_iso8601(*meter.opening_at, context.zone)
                                         : std::optional<UtcMs>{};
        if (!at || *at <= context.now_ms()) continue;
        const auto known = context.world.meter_index.find(meter.meter);
        if (known != context.world.meter_index.end() && context.world.meters[known->second].epoch)
            continue;
        warnings.push_back(
            at_row(places, files::Table::meters, meter.meter, "opening_at",
                   "meter '" + meter.meter + "' has the opening register of " + *meter.opening_at +
                       ", which has not come; it counts from the first reading: write when the "
                       "register showed it, and in accounts.csv live_from for the day from which "
                       "use is charged"));
    }
}

void warn_of_calendar(const Context& context, const Registry& merged,
                      std::vector<Problem>& warnings) {
    if (!context.clock.trusted()) return;
    Problem warning;
    warning.file = kCalendarFile;
    warning.message = calendar_warning(merged.calendar, context.day_of(context.now_ms()));
    if (!warning.message.empty()) warnings.push_back(std::move(warning));
}

}  // namespace gatehouse
