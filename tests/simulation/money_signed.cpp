// What two people of the office sign: refunds, transfers, adjustments and reversals.
#include "tests/simulation/money_world.hpp"

namespace gatehouse::money {

std::int64_t World::balance_of(const std::string& account) const {
    const auto shown = engine_->snapshot();
    for (std::size_t i = 0; i < shown->accounts.size(); ++i)
        if (shown->accounts[i].account == account) return shown->accounts[i].balance.count;
    return 0;
}

World::Signed World::draw_signed() {
    Signed one;
    Asked& asked = one.asked;
    const PlanAccount& account = dice_.pick(plan_.accounts);
    asked.account = account.id;
    asked.by = dice_.percent(50) ? "s-01" : "s-02";
    asked.second = asked.by == "s-01" ? "s-02" : "s-01";
    asked.fen = dice_.from_to(1, 3'000);
    // Some take all of it, and a few a little more.
    const std::int64_t all = balance_of(account.id);
    if (dice_.percent(20) && all > 0) asked.fen = all + (dice_.one_in(3) ? 1 : 0);
    Act act{"local",
            asked.by,
            dice_.one_in(40) ? asked.by : asked.second,
            "an agreement",
            "s-" + std::to_string(++keys_),
            ""};
    act.body_hash = act.idempotency_key;
    const std::string amount = decimal_of(asked.fen, 2);
    const std::int64_t kind = dice_.below(100);
    if (kind < 35) {
        asked.kind = "refund";
        asked.method = dice_.pick(std::vector<std::string>{"cash", "cash", "transfer", "qr"});
        one.command = RefundMoney{act, account.id, amount, asked.method,
                                  asked.method == "cash" ? "" : "R-" + act.idempotency_key};
    } else if (kind < 60) {
        asked.kind = "transfer";
        asked.to = dice_.pick(plan_.accounts).id;
        one.command = TransferMoney{act, account.id, asked.to, amount, ""};
    } else if (kind < 80 || undoable_.empty()) {
        asked.kind = "adjustment";
        if (dice_.percent(50)) asked.fen = -asked.fen;
        asked.service = account.service == "water" ? "water" : "electricity";
        if (account.service == "all" && dice_.percent(30)) asked.service = "water";
        one.command =
            AdjustMoney{act, account.id, decimal_of(asked.fen, 2), "basis 7", asked.service};
    } else {
        asked.kind = "reversal";
        asked.entry = dice_.pick(undoable_);
        one.command = ReverseEntry{act, asked.entry};
    }
    one.cause = asked.kind + ":" + act.idempotency_key;
    return one;
}

void World::sign() {
    signed_.push_back(draw_signed());
    Signed& one = signed_.back();
    if (!dice_.percent(10)) {
        settle(one);
        return;
    }
    // The power goes before anybody looked at it, or before the answer arrived.
    auditor_.asked(one.cause, one.asked);
    if (dice_.percent(50))
        static_cast<void>(engine_->submit(one.command, [](const Reply&) {}));
    else
        static_cast<void>(ask(one.command));
    power_cut(false);
}

void World::settle(Signed& one) {
    auditor_.asked(one.cause, one.asked);
    const std::int64_t before = balance_of(one.asked.account);
    const Reply reply = ask(one.command);
    if (reply.kind == ReplyKind::unavailable) return;
    one.answered = true;
    if (!is_done(reply)) {
        if (one.done) throw Disagreement(one.cause + " is refused: " + told(reply));
        if (reply.type == "balance" && one.asked.fen <= before &&
            before == balance_of(one.asked.account))
            throw Disagreement(one.cause + " is refused at a balance of " + decimal_of(before, 2) +
                               ": " + told(reply));
        ++deeds_.acts_refused;
        return;
    }
    if (one.done) {
        if (reply.json != one.answer) throw Disagreement(one.cause + " was answered in two ways");
        return;
    }
    one.done = true;
    one.answer = reply.json;
    ++deeds_.acts;
    auditor_.done(one.cause);
    const bool takes = one.asked.kind == "refund" || one.asked.kind == "transfer";
    if (takes && text_field(reply.json, "balance").rfind('-', 0) == 0)
        throw Disagreement(one.cause + " took more than the balance: " + reply.json);
    if (one.asked.kind == "refund") undoable_.push_back(text_field(reply.json, "entry"));
}

void World::sign_again() {
    if (!signed_.empty())
        settle(signed_[static_cast<std::size_t>(
            dice_.below(static_cast<std::int64_t>(signed_.size())))]);
}

}  // namespace gatehouse::money
