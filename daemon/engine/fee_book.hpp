// The fee book: the fixed fees and minimums of the tariffs that charge an account, and when each
// falls due (DESIGN.md 5, "fixed", "minimum"). What a minimum's line holds core/settlement decides.
// Engine thread only.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/ledger_acts.hpp"
#include "daemon/engine/account_replay.hpp"
#include "daemon/engine/world.hpp"

namespace gatehouse {

// Whether entries of the account are booked: prepaid, live, and with prices that can be charged.
[[nodiscard]] bool covers_ledger(const AccountRuntime& account);
// Whether a day lies before the account went live; what was used then is charged to nobody.
[[nodiscard]] bool is_before_live(const AccountRuntime& account, LocalDate day);

// Days are posted without a gap from the one before the account's first on: its opening leaves the
// day before as posted.
[[nodiscard]] bool was_open_on(Context& context, const AccountRuntime& account, LocalDate day);

// Books what is due with a posting of that consumption day, which ends at `edge`: monthly fees with
// the first of the month, daily ones where `daily`. Each once for an (account, tariff), under a
// cause of its own: fee:<tariff>/<name>/<month or day>.
void post_fees(Context& context, std::size_t account, LocalDate day, UtcMs edge, bool daily);

// What closing the account at that instant would book of monthly fees besides what was used.
[[nodiscard]] Fen fees_of_closing(Context& context, std::size_t account, UtcMs at);
// Whether monthly fees of the tariff are still to come in the month of that day.
[[nodiscard]] bool month_fees_due(Context& context, AccountRuntime& account, const Tariff& tariff,
                                  LocalDate day);

// Sets the minimums of the month that ends with that day; the lines that moved. All lines of the
// month stand in memory.
[[nodiscard]] std::vector<LineKey> begin_minimums(Context& context, std::size_t account,
                                                  LocalDate last_day, UtcMs edge);
// The same of minimums that were set before, in these settlement's scopes from `from_scope` on:
// what comes late takes from them.
[[nodiscard]] std::vector<LineKey> follow_minimums(const Context& context, Settlement& settlement,
                                                   const std::string& from_scope);

// The fees of the posted days from the first of that month on, as these tariffs would have them, by
// tariff and name; of the account whose meters were charged in those stretches.
// `until`: as if no later day had been posted, and of those the ones of who ended at that instant.
using FeeSums = std::map<std::pair<std::string, std::string>, Fen>;
struct FeesUntil {
    std::optional<LocalDate> posted;
    std::optional<UtcMs> end;
};
[[nodiscard]] FeeSums fees_by(const Context& context, std::size_t account,
                              const std::vector<AccountReplay::Stretch>& stretches,
                              const TariffLookup& tariffs, LocalDate from,
                              const FeesUntil& until = {});

// Whose fee it is where an account ended: the month of the end was lived in, and its fee falls due
// with whatever is posted of it; a day's fee is of the whole day, which is the next holder's.
[[nodiscard]] bool is_after_end(const Context& context, FeePeriod per, LocalDate day, UtcMs end);

}  // namespace gatehouse
