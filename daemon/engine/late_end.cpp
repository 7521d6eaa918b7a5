#include "daemon/engine/late_end.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "daemon/core/assert.hpp"
#include "daemon/core/ledger.hpp"
#include "daemon/core/ledger_acts.hpp"
#include "daemon/core/settlement.hpp"
#include "daemon/engine/account_book.hpp"
#include "daemon/engine/account_replay.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/fee_book.hpp"
#include "daemon/engine/meter_acts.hpp"

namespace gatehouse {
namespace {

// The cause under which an end takes minimums back, and what stands before that of a fee.
constexpr const char* kMinimumBack = "close:minimum";
constexpr const char* kFeeBack = "close:";

constexpr std::size_t kStepsAtOnce = 1'024;
// Days are posted minutes after they end, and those of an outage before prices are looked at.
constexpr int kPostedThenDays = 7;

// The last day of which the household has a part; the next holder has that of the instant itself.
LocalDate last_day(const Context& context, UtcMs end) {
    return context.day_of(end - 1);
}

// The lines of minimums from the month of that instant on.
std::map<LineKey, Line> minimums_from(Context& context, const AccountRuntime& account, UtcMs end) {
    const std::string month = month_scope(context.day_of(end));
    std::map<LineKey, Line> minimums;
    for (const auto& [key, line] :
         context.store.account_books().settlement(account.row->account).lines)
        if (is_minimum(key) && key.scope >= month) minimums.emplace(key, line);
    return minimums;
}

// A fee's cause ends with its day or its month.
bool is_after(const Context& context, const Entry& fee, UtcMs end) {
    const std::string of = fee.cause.substr(fee.cause.rfind('/') + 1);
    if (const auto day = parse_date(of)) return is_after_end(context, FeePeriod::day, *day, end);
    const auto month = parse_date(of + "-01");
    return month && is_after_end(context, FeePeriod::month, *month, end);
}

std::vector<Entry> fees_after(Context& context, const AccountRuntime& account, UtcMs end) {
    std::vector<Entry> fees;
    if (!covers_ledger(account)) return fees;
    // None is booked before the days that it is of.
    const std::string month = month_scope(last_day(context, end));
    for (Entry& fee : context.store.standing_fees(account.row->account, month))
        if (is_after(context, fee, end)) fees.push_back(std::move(fee));
    return fees;
}

// What a version that came late made of one fee, of the time after the end: above zero where it
// took that from the household.
struct SettledPart {
    std::uint64_t event = 0;
    std::string fee;
    Fen charged;
};

// By "<tariff>/<name>", as entries of settled fees name them.
using FeeParts = std::map<std::string, Fen>;

// One version's settlements as they stand in the book, and the day by which they were posted.
struct SettledEvent {
    std::uint64_t event = 0;
    LocalDate from, by;
    FeeParts charged;
};

// What the versions of one event made of fees, worked out again as it was when they were settled:
// with them, less without them; later ones were not there yet, and those that do not hold for the
// account never were.
class FeesMoved {
  public:
    FeesMoved(Context& context, std::size_t account, const AccountReplay& replay,
              const std::vector<KnownVersionRow>& versions)
        : context_(context), account_(account), replay_(replay), versions_(versions) {}

    [[nodiscard]] FeeParts of(const SettledEvent& one, const FeesUntil& until) {
        FeeParts parts;
        add(parts, one, one.event, until, 1);
        add(parts, one, one.event - 1, until, -1);
        std::erase_if(parts, [](const auto& part) { return part.second.count == 0; });
        return parts;
    }

  private:
    void add(FeeParts& parts, const SettledEvent& one, std::uint64_t known_by,
             const FeesUntil& until, int sign) {
        AccountBooks& books = context_.store.account_books();
        TariffsOf::LeftOut out;
        for (const AccountBooks::LeftOut& left : books.left_out(replay_.account()))
            out.insert({left.version.tariff, left.version.valid_from});
        for (const KnownVersionRow& row : versions_)
            if (row.version.event > known_by)
                out.insert({row.version.tariff, row.version.valid_from});
        TariffsOf tariffs(context_.world.registry, std::move(out));
        for (const auto& [name, amount] : fees_by(
                 context_, account_, replay_.stretches(),
                 [&](const std::string& id) { return tariffs(id); }, one.from, until))
            parts[name.first + "/" + name.second] += Fen{sign * amount.count};
    }

    Context& context_;
    std::size_t account_;
    const AccountReplay& replay_;
    const std::vector<KnownVersionRow>& versions_;
};

// Those that were settled on the account after its end.
std::vector<SettledEvent> settled_events(Context& context, const std::string& account, UtcMs end,
                                         const std::vector<KnownVersionRow>& versions) {
    std::map<std::uint64_t, SettledEvent> events;
    std::map<std::uint64_t, UtcMs> settled_at;
    const std::string month = month_scope(last_day(context, end));
    for (const KnownVersionRow& row : versions)
        if (row.posted && row.imported) settled_at[row.version.event] = context.best(*row.imported);
    const std::vector<FeeSettlementRow> fees = context.store.settled_fees(account, month);
    for (const FeeSettlementRow& fee : fees) {
        UtcMs& at = settled_at[fee.event];
        at = std::max(at, context.best(fee.at));
    }
    for (const KnownVersionRow& row : versions) {
        const auto at = settled_at.find(row.version.event);
        if (!row.posted || at == settled_at.end() || at->second <= end) continue;
        SettledEvent& one = events[row.version.event];
        one.from =
            one.event == 0 ? row.version.valid_from : std::min(one.from, row.version.valid_from);
        one.event = row.version.event;
        one.by = date_from_days(days_since_epoch(context.day_of(at->second)) - 1);
    }
    for (const FeeSettlementRow& fee : fees)
        if (const auto one = events.find(fee.event); one != events.end())
            one->second.charged[fee.fee] -= fee.amount;
    std::vector<SettledEvent> rows;
    for (auto& [event, one] : events) rows.push_back(std::move(one));
    return rows;
}

// The newest day that was posted when it was settled: the one with which it comes to what stands in
// the book. Right after midnight, or after an outage, that is not the day before.
LocalDate posted_then(FeesMoved& moved, const SettledEvent& one) {
    Fen charged;
    for (const auto& [fee, amount] : one.charged) charged += amount;
    for (int back = 0; back <= kPostedThenDays; ++back) {
        const LocalDate day = date_from_days(days_since_epoch(one.by) - back);
        Fen sum;
        for (const auto& [fee, amount] : moved.of(one, {day, {}})) sum += amount;
        if (sum == charged) return day;
    }
    return one.by;
}

// An entry for each fee had all that a version changed of it until then; what of that is of the
// days and months before the end is the household's, and the rest is taken back.
std::vector<SettledPart> settled_after(Context& context, const AccountRuntime& account,
                                       std::size_t index, UtcMs end) {
    std::vector<SettledPart> parts;
    if (!covers_ledger(account)) return parts;
    const std::string& id = account.row->account;
    const std::vector<KnownVersionRow> versions = context.store.late_versions(id);
    const std::vector<SettledEvent> events = settled_events(context, id, end, versions);
    if (events.empty()) return parts;
    const ReplayFrame frame{context.world.calendar, context.zone,
                            [&](const Stamp& stamp) { return context.best(stamp); }};
    AccountReplay replay(context.store.account_books(), frame, id, account.row->live_from);
    replay.add({std::make_shared<TariffsOf>(context.world.registry, TariffsOf::LeftOut{})});
    while (!replay.advance(kStepsAtOnce)) {
    }
    if (!replay.fault().empty()) return parts;
    FeesMoved moved(context, index, replay, versions);
    for (const SettledEvent& one : events) {
        FeeParts before = moved.of(one, {posted_then(moved, one), end});
        const auto add = [&](const std::string& fee, Fen charged) {
            if (charged.count != 0) parts.push_back({one.event, fee, charged});
        };
        Fen nameless;
        for (const auto& [fee, charged] : one.charged) {
            if (fee.empty()) {
                nameless = charged;
                continue;
            }
            add(fee, charged - before[fee]);
            before.erase(fee);
        }
        for (const auto& [fee, amount] : before) nameless -= amount;
        add({}, nameless);
    }
    return parts;
}

void take_back_settled(Context& context, std::size_t index, UtcMs end, const Act& act) {
    const AccountRuntime& account = context.world.accounts[index];
    const std::string& id = account.row->account;
    for (const SettledPart& part : settled_after(context, account, index, end)) {
        const std::string cause = kFeeBack + ("version:" + std::to_string(part.event));
        static_cast<void>(context.store.add_posting(id, cause));
        Entry entry = fee_settlement_entry(id, -part.charged, cause);
        entry.by = act.by;
        entry.second = act.second;
        EntryExtra extra;
        extra.note = act.reason;
        extra.reference = part.fee;
        book_entry(context, index, std::move(entry), std::move(extra));
    }
}

void take_back_minimums(Context& context, std::size_t index, UtcMs end, const Act& act) {
    AccountRuntime& account = context.world.accounts[index];
    const std::string& id = account.row->account;
    for (const auto& [key, line] : minimums_from(context, account, end)) {
        const Due due{key, line.price, {}, {}, -line.posted};
        const std::int64_t row = context.store.put_line(id, key, {line.price, {}, {}});
        account.settlement.lines.erase(key);
        if (due.amount.count == 0) continue;
        static_cast<void>(context.store.add_posting(id, kMinimumBack));
        Entry entry = correction_entry(id, due, kMinimumBack);
        entry.by = act.by;
        entry.second = act.second;
        EntryExtra extra;
        extra.note = act.reason;
        book_entry(context, index, std::move(entry), std::move(extra), row);
    }
    context.store.drop_month_tariffs(id, month_scope(context.day_of(end)));
}

}  // namespace

std::optional<Reply> judge_end(Context& context, std::size_t index, UtcMs at,
                               const std::vector<WaitingShareRow>& shares) {
    const AccountRuntime& account = context.world.accounts[index];
    Reply reply;
    if (account.posted_through && !was_open_on(context, account, context.day_of(at))) {
        reply.type = "not-later";
        reply.errors.push_back(
            {"/at", "account " + account.row->account + " began after " + context.iso(at) +
                        ", so that its holder cannot have gone then; type the day of the move"});
        static_cast<void>(is_refused(reply));
        return reply;
    }
    for (const WaitingShareRow& share : shares)
        if (share.month > month_scope(last_day(context, at)))
            return refusal(ReplyKind::conflict, "pool-approved",
                           "the sheet of pool " + share.pool + ", " + share.month +
                               ", has a share of account " + account.row->account +
                               ", whose holder had gone by then; withdraw it (gatehousectl pool "
                               "withdraw " +
                               share.pool + " --month " + share.month +
                               "), enter the move, and approve the sheet again");
    return std::nullopt;
}

Fen posted_after_end(Context& context, std::size_t index, UtcMs end) {
    const AccountRuntime& account = context.world.accounts[index];
    Fen sum;
    // What is only valued has lines and no money.
    if (!covers_ledger(account)) return sum;
    for (const Entry& fee : fees_after(context, account, end)) sum -= fee.amount;
    for (const SettledPart& part : settled_after(context, account, index, end)) sum += part.charged;
    for (auto& [key, line] : minimums_from(context, account, end)) {
        Line now = line;
        if (account.pending)
            for (const PendingPart& part : *account.pending)
                if (part.line == key) now.quantity += part.quantity;
        sum += target(now);
    }
    return sum;
}

void take_back_after_end(Context& context, std::size_t index, UtcMs end, const Act& act) {
    const AccountRuntime& account = context.world.accounts[index];
    for (const Entry& fee : fees_after(context, account, end)) {
        EntryExtra extra;
        extra.note = act.reason;
        book_entry(context, index, reversal_entry(fee, {act.by, act.second, kFeeBack + fee.cause}),
                   std::move(extra));
    }
    take_back_settled(context, index, end, act);
    take_back_minimums(context, index, end, act);
}

}  // namespace gatehouse
