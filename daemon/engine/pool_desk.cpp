#include "daemon/engine/pool_desk.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/ledger.hpp"
#include "daemon/engine/account_book.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/fee_book.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_desk.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/money_desk.hpp"

namespace gatehouse {
namespace {

LocalDate day_after(LocalDate day) {
    return date_from_days(days_since_epoch(day) + 1);
}

std::string subject_of(const std::string& pool, const std::string& month) {
    JsonWriter json;
    json.begin_object().field("pool", pool).field("month", month).end_object();
    return json.take();
}

Reply refuse_problems(const PoolSheet& sheet) {
    Reply reply = refusal(ReplyKind::refused, sheet.negative ? "pool-negative" : "pool-sheet",
                          "the sheet of pool " + sheet.pool + ", " + sheet.month +
                              ", cannot be charged: " + sheet.problems.front());
    for (const std::string& text : sheet.problems) reply.errors.push_back({"/month", text});
    return reply;
}

bool is_open(const Context& context, const std::string& account) {
    const auto found = context.world.account_index.find(account);
    return found != context.world.account_index.end() &&
           context.world.accounts[found->second].row->closed.empty();
}

}  // namespace

std::vector<WaitingShareRow> shares_of_closing(Context& context, std::size_t index) {
    const AccountRuntime& account = context.world.accounts[index];
    if (!covers_ledger(account)) return {};
    return context.store.load_waiting_shares(account.row->account);
}

Fen sum_of(const std::vector<WaitingShareRow>& shares) {
    Fen sum;
    for (const WaitingShareRow& share : shares) sum += share.amount;
    return sum;
}

void charge_shares(Context& context, std::size_t index,
                   const std::vector<WaitingShareRow>& shares) {
    const std::string& account = context.world.accounts[index].row->account;
    for (const WaitingShareRow& share : shares) {
        const Entry entry = pool_entry(account, share.amount, share.pool, share.month);
        if (share.amount.count != 0) {
            const bool fresh = context.store.add_posting(account, entry.cause);
            GH_ASSERT(fresh);
            book_entry(context, index, entry, {});
        }
        context.store.put_pool_share(share.sheet, share.n, PoolShareRow::State::charged);
    }
}

Reply PoolDesk::approve(const ApprovePool& command) {
    const KeyedRequest request = keyed(act_route::kPool, command.act);
    if (std::optional<Reply> before = answered(context_, request)) return *std::move(before);
    const PoolSheet& sheet = command.sheet;
    Reply reply;
    check_signature(context_, reply, command.act);
    if (is_refused(reply)) return reply;
    if (command.registry != context_.world.registry)
        return refusal(ReplyKind::conflict, "registry-moved",
                       "the registry changed while the sheet was made; look at it again");
    if (!context_.clock.trusted())
        return refusal(ReplyKind::refused, "clock",
                       "who is charged from which day on goes by the clock, and it is not trusted "
                       "(" +
                           context_.clock.reason() +
                           "); confirm it with `gatehousectl clock confirm` first");
    if (const auto there = context_.store.find_pool_sheet(sheet.pool, sheet.month))
        return refusal(ReplyKind::conflict, "pool-approved",
                       sheet.month + " of pool " + sheet.pool + " was approved by " + there->by +
                           " and " + there->second + " and is " + to_string(there->state));
    if (!sheet.problems.empty()) return refuse_problems(sheet);
    if (sheet.amount.count == 0)
        return refusal(ReplyKind::refused, "pool-empty",
                       "nothing is to be shared: the meters below counted all that the main ones "
                       "did");

    const PoolSheetRow row = row_of(command);
    Fen charged, left;
    for (const PoolShareRow& share : row.shares)
        (share.state == PoolShareRow::State::waiting ? charged : left) += share.amount;
    JsonWriter body;
    body.begin_object()
        .field("schema", 1)
        .field("pool", row.pool)
        .field("month", row.month)
        .field("quantity", format(sheet.quantity))
        .field("amount", format(sheet.amount))
        .field("charged_amount", format(charged))
        .field("left_amount", format(left))
        .field("currency", context_.options.currency)
        .field("members", row.shares.size())
        .field("charge_from", format_date(row.charge_from))
        .field("sha256", row.sha256)
        .field("by", row.by)
        .field("second", row.second)
        .field("authenticated", context_.vouched(row.by, row.second))
        .field("reason", command.act.reason)
        .field("at", context_.iso(context_.now_ms()))
        .end_object();
    std::string text = body.take();
    reply.kind = ReplyKind::created;
    reply.json = text;
    const std::uint64_t event =
        log_event(context_, "pool.approved", subject_of(row.pool, row.month), std::move(text),
                  {"pool:" + row.pool});
    GH_ASSERT(event == row.event);
    context_.store.add_pool_sheet(row);
    remember(context_, request, reply);
    load();
    return reply;
}

PoolSheetRow PoolDesk::row_of(const ApprovePool& command) {
    const PoolSheet& sheet = command.sheet;
    PoolSheetRow row;
    row.event = context_.store.next(Series::event);
    row.pool = sheet.pool;
    row.month = sheet.month;
    row.charge_from = day_after(context_.day_of(context_.now_ms()));
    row.amount = sheet.amount;
    row.by = command.act.by;
    row.second = command.act.second;
    row.document = command.document;
    row.sha256 = command.sha256;
    for (const PoolMember& member : sheet.members)
        row.shares.push_back(
            {static_cast<int>(row.shares.size()), member.unit, member.account, member.weight,
             member.amount,
             member.account.empty() ? PoolShareRow::State::left : PoolShareRow::State::waiting});
    return row;
}

Reply PoolDesk::withdraw(const WithdrawPool& command) {
    Reply reply;
    check_staff(context_, reply, "/by", command.by);
    check_reason(reply, command.reason);
    if (is_refused(reply)) return reply;
    const auto sheet = context_.store.find_pool_sheet(command.pool, command.month);
    if (!sheet)
        return refusal(ReplyKind::not_found, "not-found",
                       command.month + " of pool " + command.pool + " is not approved");
    const bool begun =
        std::any_of(sheet->shares.begin(), sheet->shares.end(), [&](const PoolShareRow& one) {
            return one.state == PoolShareRow::State::charged && is_open(context_, one.account);
        });
    if (begun || sheet->state != PoolSheetRow::State::approved)
        return refusal(ReplyKind::conflict, "pool-charged",
                       command.month + " of pool " + command.pool + " was charged from " +
                           format_date(sheet->charge_from) +
                           " on; undo single shares with a reversal of their entries");
    JsonWriter body;
    body.begin_object()
        .field("schema", 1)
        .field("pool", sheet->pool)
        .field("month", sheet->month)
        .field("sheet", sheet->event)
        .field("charged_amount", format(sheet->charged))
        .field("currency", context_.options.currency)
        .field("by", command.by)
        .field("authenticated", context_.vouched(command.by))
        .field("reason", command.reason)
        .field("at", context_.iso(context_.now_ms()))
        .end_object();
    reply.json = body.take();
    log_event(context_, "pool.withdrawn", subject_of(sheet->pool, sheet->month),
              std::string(reply.json), {"pool:" + sheet->pool});
    context_.store.end_pool_sheet(sheet->event, PoolSheetRow::State::withdrawn);
    load();
    return reply;
}

void PoolDesk::load() {
    waiting_ = context_.store.load_pool_sheets();
    loaded_ = true;
}

bool PoolDesk::slice(const Clock& clock, MonoMs deadline_mono_ms) {
    if (!context_.writable || !context_.clock.trusted()) return false;
    if (!loaded_) load();
    const LocalDate today = context_.day_of(context_.now_ms());
    for (PoolSheetRow& sheet : waiting_) {
        if (sheet.charge_from > today) continue;
        if (charge(sheet, clock, deadline_mono_ms)) return true;
    }
    std::erase_if(waiting_, [&](const PoolSheetRow& sheet) { return sheet.charge_from <= today; });
    return false;
}

bool PoolDesk::charge(PoolSheetRow& sheet, const Clock& clock, MonoMs deadline_mono_ms) {
    // Who left since it was loaded has paid already.
    const auto stands = context_.store.find_pool_sheet(sheet.pool, sheet.month);
    GH_ASSERT(stands && stands->event == sheet.event);
    sheet = *stands;
    for (PoolShareRow& share : sheet.shares) {
        if (share.state != PoolShareRow::State::waiting) continue;
        if (clock.mono_ms() >= deadline_mono_ms) return true;
        charge_share(sheet, share);
    }
    end(sheet);
    return false;
}

// An account that ended since has paid with its end; one that keeps no ledger any more is left.
void PoolDesk::charge_share(const PoolSheetRow& sheet, PoolShareRow& share) {
    share.state = PoolShareRow::State::left;
    if (is_open(context_, share.account)) {
        const auto found = context_.world.account_index.find(share.account);
        const Entry entry = pool_entry(share.account, share.amount, sheet.pool, sheet.month);
        if (covers_ledger(context_.world.accounts[found->second])) {
            share.state = PoolShareRow::State::charged;
            if (share.amount.count != 0 && context_.store.add_posting(share.account, entry.cause)) {
                book_entry(context_, found->second, entry, {});
                context_.repriced.insert(found->second);
            }
        }
    }
    context_.store.put_pool_share(sheet.event, share.n, share.state);
}

void PoolDesk::end(const PoolSheetRow& sheet) {
    Fen charged, left;
    for (const PoolShareRow& share : sheet.shares)
        (share.state == PoolShareRow::State::charged ? charged : left) += share.amount;
    JsonWriter body;
    body.begin_object()
        .field("schema", 1)
        .field("pool", sheet.pool)
        .field("month", sheet.month)
        .field("sheet", sheet.event)
        .field("amount", format(sheet.amount))
        .field("charged_amount", format(charged))
        .field("left_amount", format(left))
        .field("currency", context_.options.currency)
        .field("at", context_.iso(context_.now_ms()))
        .end_object();
    log_event(context_, "pool.charged", subject_of(sheet.pool, sheet.month), body.take(),
              {"pool:" + sheet.pool});
    context_.store.end_pool_sheet(sheet.event, PoolSheetRow::State::charged);
}

}  // namespace gatehouse
