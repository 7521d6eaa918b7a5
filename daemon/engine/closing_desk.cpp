#include "daemon/engine/closing_desk.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>
#include <variant>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/alert_watch.hpp"
#include "daemon/engine/base_readings.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/fee_book.hpp"
#include "daemon/engine/import_desk.hpp"
#include "daemon/engine/late_end.hpp"
#include "daemon/engine/meter_acts.hpp"
#include "daemon/engine/money_desk.hpp"
#include "daemon/engine/move_book.hpp"
#include "daemon/engine/pool_desk.hpp"
#include "daemon/engine/reading_desk.hpp"
#include "daemon/engine/registry_acts.hpp"
#include "daemon/engine/settling_desk.hpp"

namespace gatehouse {
namespace {

// One account on its way out, and the one that goes on in its place.
struct Leaving {
    std::size_t account = 0;
    std::optional<Account> successor;
    std::vector<MovedMeter> meters;
    std::vector<WaitingShareRow> shares;  // of pools that are not charged yet
    Booked settled;
};

// A change of occupant, understood.
struct Change {
    UtcMs at = 0;
    Settle settle = Settle::refund;
    Method method = Method::cash;
    bool ladder_goes_on = false;
    std::vector<Leaving> leaving;
    std::string base_readings;  // taken with it, as JSON; empty: none
};

Reply clock_refusal(const Context& context) {
    return refusal(ReplyKind::refused, "clock",
                   "the end of an account is an edge and the clock is not trusted (" +
                       context.clock.reason() +
                       "); confirm it with `gatehousectl clock confirm` first");
}

// What else is in a figure that people are told before the end; empty where nothing is.
std::string shares_text(const std::vector<WaitingShareRow>& shares) {
    std::string text;
    for (const WaitingShareRow& share : shares)
        text += (text.empty() ? "the share " : ", the share ") + format(share.amount) +
                " of pool " + share.pool + ", " + share.month;
    return text;
}

Reply balance_left(const AccountRuntime& account, Fen left, const Leaving& leaving) {
    const std::string shares = shares_text(leaving.shares);
    return refusal(ReplyKind::conflict, "balance-left",
                   how_to_settle(account.row->account, left) +
                       "; then close it again. Everything used until now is in that figure, and "
                       "so are the month's fees" +
                       (shares.empty() ? "" : ", and " + shares));
}

// What is left of that balance once what the end adds to it is booked, which people settle.
std::optional<Refusal> judge_left(Context& context, const Change& change, const Leaving& leaving,
                                  Fen left) {
    const AccountRuntime& account = context.world.accounts[leaving.account];
    left += posted_after_end(context, leaving.account, change.at) - sum_of(leaving.shares);
    auto refusal = judge_settle(account.row->account, left, change.settle);
    if (const std::string shares = shares_text(leaving.shares); refusal && !shares.empty())
        refusal->message += "; " + shares + ", is in that figure";
    return refusal;
}

void shares_json(JsonWriter& json, const std::vector<WaitingShareRow>& shares) {
    if (shares.empty()) return;
    json.key("pools").begin_array();
    for (const WaitingShareRow& share : shares)
        json.begin_object()
            .field("pool", share.pool)
            .field("month", share.month)
            .field("amount", format(share.amount))
            .end_object();
    json.end_array();
}

void meters_json(JsonWriter& json, const Context& context, const std::vector<MovedMeter>& meters) {
    json.key("meters").begin_array();
    for (const MovedMeter& moved : meters) {
        const MeterRuntime& meter = context.world.meters[moved.meter];
        json.begin_object().field("meter", meter.row->meter);
        if (moved.reading != 0)
            json.field("reading", moved.reading)
                .field("register", format(meter.last->register_value))
                .field("total", format(meter.last->total))
                .field("quality", to_string(moved.quality));
        json.end_object();
    }
    json.end_array();
}

// The registry's rows: who left is closed, who follows stands beside, and a meter that named the
// one names the other.
void end_rows(Context& context, const std::vector<Leaving>& leaving, UtcMs at) {
    const std::string closed = context.iso(at);
    change_registry(context, [&](Registry& registry) {
        for (const Leaving& one : leaving) {
            const std::string account = registry.accounts[one.account].account;
            const std::string next = one.successor ? one.successor->account : std::string();
            for (Meter& meter : registry.meters)
                if (meter.account == account) meter.account = next;
            registry.accounts[one.account].closed = closed;
            if (one.successor) registry.accounts.push_back(*one.successor);
        }
    });
}

std::vector<std::string> lines_of(const Account& account) {
    return {"account:" + account.account, "unit:" + account.unit};
}

void tell_closed(Context& context, const Act& act, const Leaving& one) {
    const AccountRuntime& account = context.world.accounts[one.account];
    JsonWriter body;
    body.begin_object()
        .field("account", account.row->account)
        .field("unit", account.row->unit)
        .field("closed_at", account.row->closed)
        .field("balance", format(account.balance))
        .field("currency", context.options.currency);
    if (one.successor) body.field("successor", one.successor->account);
    meters_json(body, context, one.meters);
    shares_json(body, one.shares);
    body.key("settled").begin_object();
    booked_fields(body, one.settled);
    body.end_object()
        .field("by", act.by)
        .field("second", act.second)
        .field("authenticated", context.vouched(act.by, act.second))
        .field("reason", act.reason)
        .field("at", context.iso(context.now_ms()))
        .end_object();
    log_event(context, "account.closed", "{\"account\":\"" + account.row->account + "\"}",
              body.take(), lines_of(*account.row));
}

// Who comes is told nothing of who went.
void tell_opened(Context& context, const Act& act, const Leaving& one, UtcMs at) {
    const std::string& id = one.successor->account;
    JsonWriter body;
    body.begin_object()
        .field("account", id)
        .field("unit", one.successor->unit)
        .field("opened_at", context.iso(at));
    meters_json(body, context, one.meters);
    body.field("by", act.by)
        .field("second", act.second)
        .field("authenticated", context.vouched(act.by, act.second))
        .field("at", context.iso(context.now_ms()))
        .end_object();
    log_event(context, "account.opened", "{\"account\":\"" + id + "\"}", body.take(),
              lines_of(*one.successor));
}

// The readings that closed an account stay those that its last balance rests on; its meters may be
// another's by now.
void keep_as_of(Context& context, const Leaving& one) {
    AccountRuntime& account = context.world.accounts[one.account];
    account.as_of.reset();
    for (const MovedMeter& moved : one.meters) {
        if (moved.reading == 0) continue;
        const UtcMs at = context.best(*context.world.meters[moved.meter].last);
        account.as_of = account.as_of ? std::min(*account.as_of, at) : at;
    }
    if (account.as_of)
        context.store.put_note(kClosedOnNote + account.row->account,
                               std::to_string(*account.as_of));
}

void finish(Context& context, const Act& act, std::vector<Leaving>& leaving, UtcMs at) {
    for (const Leaving& one : leaving) {
        keep_as_of(context, one);
        reprice(context, one.account, Mover::correction);
        end_alerts(context, one.account);
        context.world.accounts[one.account].trial = false;
        tell_closed(context, act, one);
        if (!one.successor) continue;
        reprice(context, context.world.account_index.at(one.successor->account), Mover::topup);
        tell_opened(context, act, one, at);
    }
}

Reply answer(Context& context, const KeyedRequest& request, JsonWriter& json) {
    Reply reply;
    reply.kind = ReplyKind::created;
    reply.json = json.take();
    remember(context, request, reply);
    return reply;
}

// Money from the old system that is not booked yet would be nobody's.
std::optional<Reply> opening_waits(const Context& context, const AccountRuntime& account) {
    const auto& opening = account.row->opening_balance;
    if (account.opening_booked || !opening || opening->count == 0 ||
        account.row->billing != Billing::prepaid)
        return std::nullopt;
    const std::string when = account.row->live_from ? "on " + format_date(*account.row->live_from)
                                                    : "once the clock is trusted";
    return refusal(ReplyKind::refused, account.trial ? "trial" : "clock",
                   "account " + account.row->account + " has an opening balance of " +
                       format(*opening) + " " + context.options.currency + " that is booked " +
                       when +
                       "; close it after that and refund or transfer it, or take it out of "
                       "accounts.csv");
}

}  // namespace

std::optional<UtcMs> closed_on(Context& context, const std::string& account) {
    const std::string text = context.store.load_note(kClosedOnNote + account);
    UtcMs at = 0;
    const char* const end = text.data() + text.size();
    if (text.empty() || std::from_chars(text.data(), end, at).ptr != end) return std::nullopt;
    return at;
}

Reply close_account(Context& context, const CloseAccount& command) {
    const KeyedRequest request = keyed(act_route::kClose, command.act);
    if (std::optional<Reply> before = answered(context, request)) return *std::move(before);
    const auto found = context.world.account_index.find(command.account);
    if (found == context.world.account_index.end())
        return refusal(ReplyKind::not_found, "not-found",
                       "no account has the id `" + command.account + "`");
    const std::size_t index = found->second;
    Reply reply;
    check_signature(context, reply, command.act);
    if (is_refused(reply)) return reply;
    if (const std::string& closed = context.world.accounts[index].row->closed; !closed.empty())
        return refusal(
            ReplyKind::conflict, "account-closed",
            "account " + command.account + " was closed at " + closed + "; there is nothing to do");
    if (auto refused = opening_waits(context, context.world.accounts[index]))
        return *std::move(refused);
    if (!context.clock.trusted()) return clock_refusal(context);
    if (auto waits = settling_refusal(context)) return *std::move(waits);
    take_fresh(context, command.fresh);
    reprice(context, index, Mover::drift);
    const UtcMs at = context.now_ms();
    if (auto refused = judge_move(context, index, at, command.accept_last_reading))
        return *std::move(refused);
    std::vector<Leaving> leaving(1);
    Leaving& one = leaving[0];
    one.account = index;
    one.shares = shares_of_closing(context, index);
    const AccountRuntime& account = context.world.accounts[index];
    const Fen shares = sum_of(one.shares);
    const Fen left = account.balance - fees_of_closing(context, index, at) - shares;
    if (left.count != 0) return balance_left(account, left, one);
    one.meters = freeze_and_post(context, index, at);
    // Two meters on one ladder may be priced in another order than the balance was; the rest of a
    // fen stands in the ledger now and is settled like any other.
    if (account.ledger != shares) return balance_left(account, account.ledger - shares, one);
    charge_shares(context, index, one.shares);
    end_rows(context, leaving, at);
    go_on(context, one.meters);
    finish(context, command.act, leaving, at);
    JsonWriter json;
    json.begin_object()
        .field("account", command.account)
        .field("open", false)
        .field("closed", context.world.accounts[index].row->closed);
    meters_json(json, context, one.meters);
    shares_json(json, one.shares);
    act_fields(json, context, command.act, context.world.accounts[index]);
    json.end_object();
    return answer(context, request, json);
}

namespace {

// The household's accounts: those of the unit, and those without a unit whose meters all stand in
// it.
std::vector<std::size_t> accounts_of(const World& world, const std::string& unit) {
    std::vector<std::size_t> accounts;
    for (std::size_t i = 0; i < world.accounts.size(); ++i) {
        const AccountRuntime& account = world.accounts[i];
        if (!account.row->closed.empty()) continue;
        const bool alone =
            account.row->unit.empty() && !account.meters.empty() &&
            std::all_of(account.meters.begin(), account.meters.end(),
                        [&](std::size_t meter) { return world.meters[meter].row->unit == unit; });
        if (account.row->unit == unit || alone) accounts.push_back(i);
    }
    return accounts;
}

void check_holder(const Context& context, Reply& reply, const ChangeOccupant& command,
                  const std::vector<std::size_t>& accounts) {
    const std::vector<Person>& people = context.world.registry->people;
    const bool known = std::any_of(people.begin(), people.end(), [&](const Person& person) {
        return person.person == command.holder;
    });
    if (!known)
        reply.errors.push_back({"/holder", "`" + command.holder +
                                               "` is nobody in people.csv; import the new "
                                               "holder's row first"});
    if (context.world.erased.contains(command.holder))
        reply.errors.push_back(
            {"/holder", "`" + command.holder +
                            "` is erased; import the new holder's row under an id of its own"});
    for (const std::size_t index : accounts)
        if (context.world.accounts[index].row->holder == command.holder)
            reply.errors.push_back({"/holder", "`" + command.holder +
                                                   "` is the holder of account " +
                                                   context.world.accounts[index].row->account +
                                                   " already; nothing changes"});
}

void check_settling(Context& context, Reply& reply, const ChangeOccupant& command, Change& change) {
    const std::optional<Settle> settle = parse_settle(command.settle);
    if (!settle) {
        reply.errors.push_back(
            {"/settle", "`" + command.settle + "` is none of refund, transfer, debt"});
        return;
    }
    change.settle = *settle;
    std::vector<Refusal> refusals;
    if (*settle == Settle::refund)
        change.method = read_payment(command.method.empty() ? "cash" : command.method,
                                     command.reference, refusals)
                            .value_or(Method::cash);
    if (!command.to.empty()) {
        const auto to = context.world.account_index.find(command.to);
        const bool leaves =
            to != context.world.account_index.end() &&
            std::any_of(change.leaving.begin(), change.leaving.end(),
                        [&](const Leaving& one) { return one.account == to->second; });
        if (*settle != Settle::transfer)
            reply.errors.push_back({"/to", "only settle `transfer` takes an account to go to"});
        else if (to == context.world.account_index.end())
            reply.errors.push_back({"/to", "no account has the id `" + command.to + "`"});
        else if (leaves)
            reply.errors.push_back({"/to", "account " + command.to +
                                               " ends here; leave `to` out and the new account "
                                               "takes it"});
        else
            refusals = judge_receiver(facts_of(context.world.accounts[to->second]));
    }
    for (const Leaving& one : change.leaving) {
        const AccountRuntime& account = context.world.accounts[one.account];
        const Fen left = account.balance - fees_of_closing(context, one.account, change.at);
        if (auto refusal = judge_left(context, change, one, left))
            refusals.push_back(*std::move(refusal));
    }
    add_refusals(reply, refusals);
}

void check_ladder(Reply& reply, const ChangeOccupant& command, Change& change) {
    change.ladder_goes_on = command.ladder == "continue";
    if (!command.ladder.empty() && command.ladder != "anew" && !change.ladder_goes_on)
        reply.errors.push_back({"/ladder", "`" + command.ladder + "` is none of anew, continue"});
}

void check_trial(const Context& context, Reply& reply, const Change& change) {
    for (const Leaving& one : change.leaving) {
        const AccountRuntime& account = context.world.accounts[one.account];
        if (account.trial && reply.type.empty())
            reply = refusal(ReplyKind::refused, "trial",
                            "account " + account.row->account + " is on trial until " +
                                format_date(*account.row->live_from) +
                                " and has no ledger yet; name the new holder in accounts.csv");
    }
}

// What of the ladder the old holder had used, where the price rules say that it goes with the
// dwelling.
std::vector<Milli> ladder_of(const Context& context, const AccountRuntime& account, LocalDate day) {
    std::vector<Milli> used;
    for (const std::string& id : account.row->tariffs) {
        Milli one;
        for (const Tariff& tariff : context.world.registry->tariffs)
            if (tariff.tariff == id && version_on(tariff, day) != nullptr &&
                version_on(tariff, day)->ladder != LadderPeriod::none)
                one = counter(account.settlement, tariff, day);
        used.push_back(one);
    }
    return used;
}

// The row that goes on: the same unit, tariffs and limits. What was granted to a person, such as an
// overdraft, and what was brought in from the old system does not go with it.
Account successor_of(const Context& context, const Change& change, const Leaving& one,
                     const std::string& holder) {
    const AccountRuntime& account = context.world.accounts[one.account];
    Account next = *account.row;
    next.holder = holder;
    next.opening_balance.reset();
    next.opening_ladder.clear();
    if (change.ladder_goes_on)
        next.opening_ladder = ladder_of(context, account, context.day_of(change.at));
    next.live_from.reset();
    next.overdraft.reset();
    next.chase.reset();
    next.old_number.clear();
    const auto taken = [&](const std::string& id) {
        return context.world.account_index.contains(id) ||
               std::any_of(change.leaving.begin(), change.leaving.end(), [&](const Leaving& other) {
                   return other.successor && other.successor->account == id;
               });
    };
    for (int further = 0; taken(next.account); ++further)
        next.account = successor_id(account.row->account, further);
    return next;
}

std::vector<Entry> settle_entries(const Leaving& one, const Change& change, Fen left,
                                  const std::string& account, const std::string& to,
                                  const Signature& signature) {
    if (left.count == 0) return {};
    if (left.count < 0) return {write_off_entry(account, -left, signature)};
    if (change.settle == Settle::transfer)
        return {transfer_entry(account, to.empty() ? one.successor->account : to, left, signature)};
    return refund_entries(account, left, change.method, signature);
}

// The posting may add what nobody could tell before, such as the fees of days that were missed.
// Where the way of settling does not fit what stands in the ledger then, the posting stays and
// nobody moves: to write off, or to pay out, is for people to choose.
Reply post_leaving(Context& context, Change& change) {
    std::vector<Refusal> refusals;
    for (Leaving& one : change.leaving) {
        one.meters = freeze_and_post(context, one.account, change.at);
        const AccountRuntime& account = context.world.accounts[one.account];
        if (auto refusal = judge_left(context, change, one, account.ledger))
            refusals.push_back(*std::move(refusal));
    }
    Reply reply;
    add_refusals(reply, refusals);
    return reply;
}

void carry_out(Context& context, const ChangeOccupant& command, const KeyedRequest& request,
               Change& change) {
    for (Leaving& one : change.leaving)
        one.successor = successor_of(context, change, one, command.holder);
    for (const Leaving& one : change.leaving) {
        charge_shares(context, one.account, one.shares);
        take_back_after_end(context, one.account, change.at, command.act);
    }
    end_rows(context, change.leaving, change.at);
    for (const Leaving& one : change.leaving) go_on(context, one.meters);
    open_accounts(context, context.day_of(change.at));
    for (const Leaving& one : change.leaving)
        post_ended_days(context, context.world.account_index.at(one.successor->account),
                        context.now_ms());
    const Signature signature{command.act.by, command.act.second, cause_of(request)};
    for (Leaving& one : change.leaving) {
        const AccountRuntime& account = context.world.accounts[one.account];
        one.settled = book_act(context, command.act,
                               settle_entries(one, change, account.ledger, account.row->account,
                                              command.to, signature),
                               to_string(change.method), command.reference);
    }
    finish(context, command.act, change.leaving, change.at);
    if (command.to.empty()) return;
    reprice(context, context.world.account_index.at(command.to), Mover::topup);
}

Reply occupant_answer(Context& context, const ChangeOccupant& command, const KeyedRequest& request,
                      const Change& change) {
    JsonWriter json;
    json.begin_object()
        .field("unit", command.unit)
        .field("holder", command.holder)
        .field("account", change.leaving.front().successor->account)
        .field("moved_at", context.iso(change.at))
        .key("closed")
        .begin_array();
    for (const Leaving& one : change.leaving) {
        const AccountRuntime& account = context.world.accounts[one.account];
        json.begin_object()
            .field("account", account.row->account)
            .field("settle", to_string(change.settle))
            .field("balance", format(account.balance));
        json.key("settled").begin_object();
        booked_fields(json, one.settled);
        json.end_object();
        meters_json(json, context, one.meters);
        shares_json(json, one.shares);
        json.end_object();
    }
    json.end_array().key("opened").begin_array();
    for (const Leaving& one : change.leaving) {
        const AccountRuntime& account =
            context.world.accounts[context.world.account_index.at(one.successor->account)];
        json.begin_object()
            .field("account", account.row->account)
            .field("service", to_string(account.row->service))
            .field("balance", format(account.balance))
            .end_object();
    }
    json.end_array();
    if (!change.base_readings.empty()) json.key("base_readings").raw(change.base_readings);
    json.field("currency", context.options.currency)
        .field("by", command.act.by)
        .field("second", command.act.second)
        .field("authenticated", context.vouched(command.act.by, command.act.second))
        .field("reason", command.act.reason)
        .field("at", context.iso(context.now_ms()))
        .end_object();
    return answer(context, request, json);
}

// Of the record that comes with the change: the dials that no electronics confirmed just now and
// that agree with the books. What contradicts them stays a word of the sheet, to be reconciled.
struct RecordFaces {
    std::vector<ReadFace> taken;
    std::vector<LeftFace> left;
};
RecordFaces faces_of(Context& context, const ChangeOccupant& command,
                     const std::vector<std::size_t>& accounts, UtcMs at) {
    RecordFaces faces;
    if (command.record == nullptr) return faces;
    for (const ReadFace& face : std::get<WriteRegister>(command.record->what).faces) {
        const auto meter = context.world.meter_index.find(face.meter);
        const bool pays =
            meter != context.world.meter_index.end() &&
            std::any_of(accounts.begin(), accounts.end(), [&](std::size_t index) {
                const auto& meters = context.world.accounts[index].meters;
                return std::find(meters.begin(), meters.end(), meter->second) != meters.end();
            });
        const FaceLook look = look_at_face(context, face);
        if (look.fit == FaceLook::Fit::contradicts)
            faces.left.push_back({face.meter, face.register_value, look.reason});
        else if (look.fit == FaceLook::Fit::agrees && pays &&
                 !is_near(context, context.world.meters[meter->second], at))
            faces.taken.push_back(face);
    }
    return faces;
}

}  // namespace

Reply change_occupant(Context& context, const ChangeOccupant& command) {
    const KeyedRequest request = keyed(act_route::kOccupant, command.act);
    if (std::optional<Reply> before = answered(context, request)) return *std::move(before);
    if (!context.world.units.contains(command.unit))
        return refusal(ReplyKind::not_found, "not-found",
                       "no unit has the id `" + command.unit + "`");
    if (!context.clock.trusted()) return clock_refusal(context);
    if (auto waits = settling_refusal(context)) return *std::move(waits);
    take_fresh(context, command.fresh);
    const std::vector<std::size_t> accounts = accounts_of(context.world, command.unit);
    Change change;
    for (const std::size_t index : accounts) {
        reprice(context, index, Mover::drift);
        change.leaving.push_back({index, {}, {}, shares_of_closing(context, index), {}});
    }
    Reply reply;
    check_signature(context, reply, command.act);
    check_holder(context, reply, command, accounts);
    check_ladder(reply, command, change);
    const TypedTime typed = check_time(context, reply, command.at);
    change.at = typed.typed.value_or(context.now_ms());
    if (context.now_ms() - change.at <= kTypedMs) change.at = context.now_ms();
    for (const Leaving& one : change.leaving)
        if (auto refused = judge_end(context, one.account, change.at, one.shares))
            return *std::move(refused);
    check_settling(context, reply, command, change);
    check_trial(context, reply, change);
    if (!reply.type.empty() || is_refused(reply)) return reply;
    if (accounts.empty())
        return refusal(ReplyKind::conflict, "no-open-account",
                       "unit " + command.unit +
                           " has no open account; import one with the new holder instead");
    const RecordFaces faces = faces_of(context, command, accounts, change.at);
    std::set<std::size_t> faced;
    for (const ReadFace& face : faces.taken) faced.insert(context.world.meter_index.at(face.meter));
    for (const std::size_t index : accounts)
        if (auto refused =
                judge_move(context, index, change.at, command.accept_last_reading, faced))
            return *std::move(refused);
    if (!faces.taken.empty() || !faces.left.empty())
        change.base_readings = take_base_readings(context, faces.taken, faces.left).json;
    reply = post_leaving(context, change);
    if (!reply.type.empty() || is_refused(reply)) return reply;
    carry_out(context, command, request, change);
    return occupant_answer(context, command, request, change);
}

}  // namespace gatehouse
