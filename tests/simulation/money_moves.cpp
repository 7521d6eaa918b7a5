// Who lives there changes: an account ends, with all that is left of it, and another goes on from
// the same registers; or it ends for good.
#include <boost/json/parse.hpp>

#include "tests/simulation/money_world.hpp"

namespace gatehouse::money {
namespace {

namespace json = boost::json;

std::vector<std::string> accounts_in(const std::string& reply, const char* list) {
    std::vector<std::string> accounts;
    const json::value document = json::parse(reply);
    for (const json::value& one : document.as_object().at(list).as_array())
        accounts.emplace_back(one.as_object().at("account").as_string());
    return accounts;
}

// What may stand against the end of an account at that moment; people come back later.
bool may_wait(const Reply& reply) {
    for (const char* type : {"clock", "settling", "reading-held", "no-fresh-reading", "not-later",
                             "settle", "trial", "no-open-account", "balance-left"})
        if (reply.type == type) return true;
    return reply.kind == ReplyKind::unavailable;
}

}  // namespace

// Each meter of these accounts is read twice, so that the end rests on readings.
void World::read_for(const std::vector<std::string>& accounts) {
    const std::map<std::string, Terms> terms = plan_.terms();
    for (int twice = 0; twice < 2; ++twice) {
        for (TrueMeter& meter : meters_) {
            const std::string& payer = terms.at(meter.id).account;
            const bool theirs =
                std::find(accounts.begin(), accounts.end(), payer) != accounts.end();
            if (theirs && meter.dead_until <= now_) send(meter, true);
        }
        pass_to(now_ + 2 * kSecond);
        engine_->step();
    }
}

Act World::new_act() {
    const std::string by = dice_.percent(50) ? "s-01" : "s-02";
    Act act{
        "local", by, by == "s-01" ? "s-02" : "s-01", "they moved", "s-" + std::to_string(++keys_),
        ""};
    act.body_hash = act.idempotency_key;
    return act;
}

void World::change_holder() {
    static_cast<void>(move_in(dice_.pick(plan_.units).id, std::nullopt));
}

// Somebody goes and nobody says so; nothing in the flat answers until days later, when the office
// hears of it.
void World::leave_unseen() {
    const std::string unit = dice_.pick(plan_.units).id;
    const UtcMs left = now_, seen_again = now_ + dice_.from_to(30, 41 * 24) * kHour;
    const std::map<std::string, Terms> terms = plan_.terms();
    for (const PlanAccount& account : plan_.accounts)
        for (TrueMeter& meter : meters_)
            if (account.unit == unit && !account.closed && terms.at(meter.id).account == account.id)
                meter.dead_until = std::max(meter.dead_until, seen_again);
    later(26 * kHour, seen_again - left - kHour, [=, this] { enter_move(unit, left, seen_again); });
}

void World::enter_move(const std::string& unit, UtcMs left, UtcMs seen_again) {
    const UtcMs at = dice_.from_to(left, std::min(now_ - kDay, left + 3 * kDay));
    // Days begin at midnight, and so do many contracts.
    const UtcMs midnight = calendar_.midnight(calendar_.day_of(at) + 1);
    const bool whole = dice_.percent(40) && midnight < now_ - kDay;
    if (move_in(unit, whole ? midnight : at) || now_ + 2 * kDay > seen_again) return;
    later(6 * kHour, kDay, [=, this] { enter_move(unit, left, seen_again); });
}

// Whether anybody was asked to do it.
bool World::move_in(const std::string& unit, std::optional<UtcMs> at) {
    // A copy that is put back knows nothing of who came since.
    if (copy_ || import_due_) return false;
    std::vector<std::string> accounts;
    for (const PlanAccount& account : plan_.accounts)
        if (account.unit == unit && !account.closed) accounts.push_back(account.id);
    if (accounts.empty()) return true;
    plan_.people.push_back("p-" + std::to_string(plan_.people.size() + 1));
    import_due_ = true;
    import();
    if (import_due_) return false;
    if (!at) read_for(accounts);
    ChangeOccupant command;
    command.act = new_act();
    command.unit = unit;
    command.holder = plan_.people.back();
    const bool owes = balance_of(accounts.front()) < 0;
    command.settle = owes ? "debt" : dice_.percent(50) ? "refund" : "transfer";
    command.method = command.settle == "refund" && dice_.percent(30) ? "qr" : "";
    if (!command.method.empty()) command.reference = "R-" + command.act.idempotency_key;
    command.ladder = dice_.percent(50) ? "continue" : "";
    command.accept_last_reading = at || dice_.percent(40);
    // What a clock of the house shows is what people take for the time.
    if (at) command.at = format_iso8601(*at + clock_.wall - now_, *zone_);
    look(true);
    const std::string cause = "occupant:" + command.act.idempotency_key;
    Asked asked{"occupant", "", "", 0, command.method, command.act.by, command.act.second, "", ""};
    auditor_.asked(cause, asked);
    const Reply reply = ask(command);
    if (!is_done(reply)) {
        if (!may_wait(reply)) throw Disagreement(cause + " is refused: " + told(reply));
        ++deeds_.moves_refused;
        look(true);
        return false;
    }
    const std::vector<std::string> ended = accounts_in(reply.json, "closed");
    const std::vector<std::string> begun = accounts_in(reply.json, "opened");
    for (std::size_t i = 0; i < ended.size(); ++i)
        succeed(ended.at(i), begun.at(i), command.ladder == "continue",
                at ? parse_iso8601(command.at, *zone_) : std::nullopt);
    if (ask(command).json != reply.json) throw Disagreement(cause + " was answered in two ways");
    ++(at ? deeds_.late_moves : deeds_.moves);
    look(true);
    for (const std::string& id : begun)
        if (command.ladder == "continue")
            for (PlanAccount& account : plan_.accounts)
                if (account.id == id) account.opening_ladder = auditor_.ladders_of(id);
    return true;
}

// In the books of the office the row of who left is closed, and one stands beside it.
void World::succeed(const std::string& old_id, const std::string& new_id, bool ladder_goes_on,
                    std::optional<UtcMs> at) {
    PlanAccount next;
    for (PlanAccount& account : plan_.accounts) {
        if (account.id != old_id) continue;
        account.closed = true;
        next = account;
    }
    next.id = new_id;
    next.closed = false;
    next.opening_balance = next.overdraft = "";
    next.opening_ladder.clear();
    next.live_day.reset();
    for (PlanMeter& meter : plan_.meters)
        if (meter.account == old_id) meter.account = new_id;
    if (!new_id.empty()) plan_.accounts.push_back(next);
    auditor_.moved(old_id, next, plan_, ladder_goes_on, at);
}

// All of it is paid out or written off first; then the account ends and nobody follows.
void World::close_account() {
    if (copy_ || import_due_) return;
    const PlanAccount account = dice_.pick(plan_.accounts);
    if (account.closed) return;
    read_for({account.id});
    CloseAccount command;
    command.act = new_act();
    command.account = account.id;
    command.accept_last_reading = true;
    const std::int64_t left = balance_of(account.id);
    if (left != 0 && account.billing == "prepaid") {
        Signed one;
        Act act = new_act();
        one.asked = {"adjustment", account.id, "", -left, "", act.by, act.second, "", ""};
        one.asked.service = account.service == "water" ? "water" : "electricity";
        one.command =
            AdjustMoney{act, account.id, decimal_of(-left, 2), "basis 9", one.asked.service};
        one.cause = "adjustment:" + act.idempotency_key;
        signed_.push_back(one);
        settle(signed_.back());
    }
    look(true);
    const Reply reply = ask(command);
    if (!is_done(reply)) {
        if (!may_wait(reply))
            throw Disagreement("account " + account.id + " is not closed: " + told(reply));
        ++deeds_.moves_refused;
        look(true);
        return;
    }
    succeed(account.id, "", false);
    ++deeds_.closes;
    look(true);
}

}  // namespace gatehouse::money
