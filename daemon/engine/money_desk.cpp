#include "daemon/engine/money_desk.hpp"

#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/meter_acts.hpp"

namespace gatehouse {
namespace {

std::optional<std::size_t> find_account(const Context& context, const std::string& account) {
    const auto found = context.world.account_index.find(account);
    if (found == context.world.account_index.end()) return std::nullopt;
    return found->second;
}

Reply no_such_account(const std::string& account) {
    return refusal(ReplyKind::not_found, "not-found", "no account has the id `" + account + "`");
}

Signature signature_of(const Act& act, const KeyedRequest& request) {
    return {act.by, act.second, cause_of(request)};
}

// The answer of an act: the entries, what the act adds, the account as it stands now.
Reply answer(Context& context, const KeyedRequest& request, const Act& act, const Booked& booked,
             std::size_t account, const std::function<void(JsonWriter&)>& more) {
    JsonWriter json;
    json.begin_object();
    booked_fields(json, booked);
    more(json);
    act_fields(json, context, act, context.world.accounts[account]);
    json.end_object();
    Reply reply;
    reply.kind = ReplyKind::created;
    reply.json = json.take();
    remember(context, request, reply);
    return reply;
}

// Beside a refund in cash stands what coins could not pay; undone whole is both.
std::optional<Entry> round_off_beside(Context& context, const Store::NumberedEntry& refund) {
    if (refund.entry.kind != EntryKind::refund) return std::nullopt;
    const auto next = context.store.entry_at(refund.seq + 1);
    if (!next || next->entry.kind != EntryKind::round_off ||
        next->entry.cause != refund.entry.cause || next->entry.account != refund.entry.account)
        return std::nullopt;
    return next->entry;
}

// Whose revenue an adjustment moves; nothing where the word is none or the account has no such
// service.
std::optional<Service> service_of(const AccountRuntime& account, const std::string& word) {
    const AccountService covers = account.row->service;
    if (word.empty())
        return covers == AccountService::water ? Service::water : Service::electricity;
    const std::optional<Service> service = parse_service(word);
    if (!service || covers == AccountService::all) return service;
    return (covers == AccountService::water) == (*service == Service::water) ? service
                                                                             : std::nullopt;
}

}  // namespace

std::optional<KeyedRequest> act_request(const Command& command) {
    if (const auto* one = std::get_if<ReverseEntry>(&command))
        return keyed(act_route::kReversal, one->act);
    if (const auto* one = std::get_if<RefundMoney>(&command))
        return keyed(act_route::kRefund, one->act);
    if (const auto* one = std::get_if<TransferMoney>(&command))
        return keyed(act_route::kTransfer, one->act);
    if (const auto* one = std::get_if<AdjustMoney>(&command))
        return keyed(act_route::kAdjustment, one->act);
    if (const auto* one = std::get_if<CloseAccount>(&command))
        return keyed(act_route::kClose, one->act);
    if (const auto* one = std::get_if<ChangeOccupant>(&command))
        return keyed(act_route::kOccupant, one->act);
    if (const auto* one = std::get_if<ApprovePool>(&command))
        return keyed(act_route::kPool, one->act);
    if (const auto* one = std::get_if<RemapMeter>(&command))
        return keyed(act_route::kRemap, one->act);
    return std::nullopt;
}

void check_signature(const Context& context, Reply& reply, const Act& act) {
    check_two(context, reply, act.by, act.second);
    check_reason(reply, act.reason);
}

void add_refusals(Reply& reply, const std::vector<Refusal>& refusals) {
    if (refusals.empty()) return;
    Reply judged = judged_refusal(refusals);
    // What people can wait for or have done already is a conflict with how things stand.
    if (judged.type == "already-reversed") judged.kind = ReplyKind::conflict;
    if (reply.type.empty()) {
        reply.kind = judged.kind;
        reply.type = judged.type;
        reply.detail = judged.detail;
    }
    for (FieldError& error : judged.errors) reply.errors.push_back(std::move(error));
}

namespace {

// Whether the act is refused; a reply of core's keeps its type, else a field is wrong.
bool stops(Reply& reply) {
    return !reply.type.empty() || is_refused(reply);
}

}  // namespace

Booked book_act(Context& context, const Act& act, std::vector<Entry> entries,
                const std::string& method, const std::string& reference) {
    Booked booked;
    for (Entry& entry : entries) {
        const std::size_t account = context.world.account_index.at(entry.account);
        if (entry.kind == EntryKind::refund) entry.receipt = draw_receipt(context);
        EntryExtra extra;
        if (entry.kind == EntryKind::refund) extra.method = method;
        extra.reference = reference;
        extra.note = act.reason;
        entry.entry = "e" + std::to_string(context.store.next(Series::entry));
        const std::uint64_t event = book_entry(context, account, entry, extra);
        if (booked.event == 0) booked.event = event;
        booked.entries.push_back(std::move(entry));
    }
    return booked;
}

void booked_fields(JsonWriter& json, const Booked& booked) {
    if (booked.entries.empty()) return;
    const Entry& first = booked.entries.front();
    json.field("entry", first.entry).field("kind", to_string(first.kind));
    json.field_if("receipt", first.receipt).field("account", first.account);
    Fen sum;
    for (const Entry& entry : booked.entries) sum += entry.amount;
    json.field("amount", format(sum)).key("entries").begin_array();
    for (const Entry& entry : booked.entries)
        json.begin_object()
            .field("entry", entry.entry)
            .field("kind", to_string(entry.kind))
            .field("account", entry.account)
            .field("amount", format(entry.amount))
            .end_object();
    json.end_array().field("event", booked.event);
}

void act_fields(JsonWriter& json, const Context& context, const Act& act,
                const AccountRuntime& account) {
    json.field("currency", context.options.currency)
        .field("by", act.by)
        .field("second", act.second)
        .field("authenticated", context.vouched(act.by, act.second))
        .field("reason", act.reason)
        .field("ledger", format(account.ledger))
        .field("balance", format(account.balance))
        .field("days_left", account.days_left)
        .field("level", account.level)
        .field("at", context.iso(context.now_ms()))
        .field("clock_trusted", context.clock.trusted());
}

Reply reverse_entry(Context& context, const ReverseEntry& command) {
    const KeyedRequest request = keyed(act_route::kReversal, command.act);
    if (std::optional<Reply> before = answered(context, request)) return *std::move(before);
    const auto undone = context.store.find_entry(command.entry);
    if (!undone)
        return refusal(ReplyKind::not_found, "not-found",
                       "no entry has the id `" + command.entry + "`");
    const std::optional<std::size_t> account = find_account(context, undone->entry.account);
    const std::string undone_by = context.store.undone_by(command.entry);
    ReversalFacts facts{&undone->entry, undone_by, true, command.act.second};
    if (account) facts.account_open = context.world.accounts[*account].row->closed.empty();
    Reply reply;
    add_refusals(reply, judge_reversal(facts));
    check_signature(context, reply, command.act);
    if (stops(reply)) return reply;
    const Signature signature = signature_of(command.act, request);
    std::vector<Entry> entries{reversal_entry(undone->entry, signature)};
    if (const auto rest = round_off_beside(context, *undone))
        entries.push_back(round_off_entry(rest->account, -rest->amount, signature));
    const Booked booked = book_act(context, command.act, std::move(entries), "", "");
    reprice(context, *account, Mover::correction);
    return answer(context, request, command.act, booked, *account, [&](JsonWriter& json) {
        json.field("reverses", command.entry).field_if("undone_receipt", undone->entry.receipt);
    });
}

Reply refund_money(Context& context, const RefundMoney& command) {
    const KeyedRequest request = keyed(act_route::kRefund, command.act);
    if (std::optional<Reply> before = answered(context, request)) return *std::move(before);
    const std::optional<std::size_t> account = find_account(context, command.account);
    if (!account) return no_such_account(command.account);
    const std::string method = command.method.empty() ? "cash" : command.method;
    const ActJudgement judged = judge_refund(facts_of(context.world.accounts[*account]),
                                             command.amount, method, command.reference);
    Reply reply;
    add_refusals(reply, judged.refusals);
    check_signature(context, reply, command.act);
    if (stops(reply)) return reply;
    std::vector<Entry> entries = refund_entries(command.account, judged.amount, judged.method,
                                                signature_of(command.act, request));
    const Booked booked =
        book_act(context, command.act, std::move(entries), method, command.reference);
    reprice(context, *account, Mover::correction);
    return answer(context, request, command.act, booked, *account, [&](JsonWriter& json) {
        Fen paid, rest;
        for (const Entry& entry : booked.entries)
            (entry.kind == EntryKind::refund ? paid : rest) -= entry.amount;
        json.field("paid", format(paid)).field("round_off", format(rest));
        json.field("method", method).field_if("reference", command.reference);
    });
}

Reply transfer_money(Context& context, const TransferMoney& command) {
    const KeyedRequest request = keyed(act_route::kTransfer, command.act);
    if (std::optional<Reply> before = answered(context, request)) return *std::move(before);
    const std::optional<std::size_t> from = find_account(context, command.account);
    if (!from) return no_such_account(command.account);
    const std::optional<std::size_t> to = find_account(context, command.to);
    Reply reply;
    ActJudgement judged;
    if (to) {
        judged = judge_transfer(facts_of(context.world.accounts[*from]),
                                facts_of(context.world.accounts[*to]), command.amount,
                                command.reference);
        add_refusals(reply, judged.refusals);
    } else {
        reply.errors.push_back({"/to", "no account has the id `" + command.to + "`"});
    }
    check_signature(context, reply, command.act);
    if (stops(reply)) return reply;
    const Booked booked = book_act(context, command.act,
                                   {transfer_entry(command.account, command.to, judged.amount,
                                                   signature_of(command.act, request))},
                                   "", command.reference);
    reprice(context, *from, Mover::correction);
    // For that household the payment has arrived now.
    reprice(context, *to, Mover::topup);
    return answer(context, request, command.act, booked, *from, [&](JsonWriter& json) {
        json.field("to", command.to)
            .field("to_balance", format(context.world.accounts[*to].balance))
            .field_if("reference", command.reference);
    });
}

Reply adjust_money(Context& context, const AdjustMoney& command) {
    const KeyedRequest request = keyed(act_route::kAdjustment, command.act);
    if (std::optional<Reply> before = answered(context, request)) return *std::move(before);
    const std::optional<std::size_t> account = find_account(context, command.account);
    if (!account) return no_such_account(command.account);
    const AccountRuntime& runtime = context.world.accounts[*account];
    const ActJudgement judged =
        judge_adjustment(facts_of(runtime), command.amount, command.reference);
    Reply reply;
    add_refusals(reply, judged.refusals);
    const std::optional<Service> service = service_of(runtime, command.service);
    if (!service)
        reply.errors.push_back({"/service", "`" + command.service + "` is no service of account " +
                                                command.account +
                                                "; name electricity or water, or leave it out"});
    check_signature(context, reply, command.act);
    if (stops(reply)) return reply;
    const Booked booked = book_act(context, command.act,
                                   {adjustment_entry(command.account, *service, judged.amount,
                                                     signature_of(command.act, request))},
                                   "", command.reference);
    reprice(context, *account, Mover::correction);
    return answer(context, request, command.act, booked, *account, [&](JsonWriter& json) {
        json.field("service", to_string(*service)).field_if("reference", command.reference);
    });
}

}  // namespace gatehouse
