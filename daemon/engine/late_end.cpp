#include "daemon/engine/late_end.hpp"

#include <map>
#include <utility>

#include "daemon/core/assert.hpp"
#include "daemon/core/ledger.hpp"
#include "daemon/core/ledger_acts.hpp"
#include "daemon/core/settlement.hpp"
#include "daemon/engine/account_book.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/fee_book.hpp"
#include "daemon/engine/meter_acts.hpp"

namespace gatehouse {
namespace {

// The cause under which an end takes minimums back, and what stands before that of a fee.
constexpr const char* kMinimumBack = "close:minimum";
constexpr const char* kFeeBack = "close:";

// The last day of which the household has a part; the next holder has that of the instant itself.
LocalDate last_day(const Context& context, UtcMs end) {
    return context.day_of(end - 1);
}

// The lines of minimums from the month of that instant on.
std::map<LineKey, Line> minimums_from(Context& context, const AccountRuntime& account, UtcMs end) {
    const std::string month = month_scope(context.day_of(end));
    std::map<LineKey, Line> minimums;
    if (!covers_ledger(account)) return minimums;
    for (const auto& [key, line] :
         context.store.account_books().settlement(account.row->account).lines)
        if (is_minimum(key) && key.scope >= month) minimums.emplace(key, line);
    return minimums;
}

// A fee's cause ends with its day or its month. The month of the end was lived in, and its fee
// falls due with whatever is posted of it; a day's fee is of the whole day, which is the next
// holder's.
bool is_after(const Context& context, const Entry& fee, UtcMs end) {
    const std::string of = fee.cause.substr(fee.cause.rfind('/') + 1);
    const bool monthly = of.size() == std::string("2026-11").size();
    return monthly ? of > month_scope(last_day(context, end))
                   : of >= format_date(context.day_of(end));
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
    for (const Entry& fee : fees_after(context, account, end)) sum -= fee.amount;
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
    take_back_minimums(context, index, end, act);
}

}  // namespace gatehouse
