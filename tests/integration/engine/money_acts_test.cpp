// Reversal, refund, transfer and adjustment: each once for its key, by two people, whole, refused
// with place and remedy, and proved by verify.
#include <algorithm>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using Rows = std::vector<std::string>;

struct Counter : House {
    Counter() {
        open();
        FileTexts files = three_homes();
        files["staff.csv"] =
            "staff,name,roles,active_to\ns-01,李四,collector,\ns-02,王五,cashier,\n"
            "s-03,赵六,head,\ns-09,钱七,desk,2026-11-01\n";
        REQUIRE(import(files).kind == ReplyKind::ok);
    }
    static Act act(const std::string& key, const std::string& body = "body") {
        return {"local", "s-01", "s-02", "a test", key, body};
    }
    Reply refund(const std::string& account, const std::string& amount, const std::string& key,
                 const std::string& method = "", const std::string& reference = "") {
        return ask(RefundMoney{act(key, account + amount), account, amount, method, reference});
    }
    Reply transfer(const std::string& from, const std::string& to, const std::string& amount,
                   const std::string& key) {
        return ask(TransferMoney{act(key, from + to + amount), from, to, amount, ""});
    }
    Reply adjust(const std::string& account, const std::string& amount, const std::string& key,
                 const std::string& service = "") {
        return ask(AdjustMoney{act(key, account + amount), account, amount, "doc-7", service});
    }
    Reply reverse(const std::string& entry, const std::string& key) {
        return ask(ReverseEntry{act(key, entry), entry});
    }
    // What was refused: its problem type, and that nothing stands in the ledger of it.
    std::string refused(const Reply& reply) {
        CHECK(reply.kind != ReplyKind::created);
        CHECK(reply.kind != ReplyKind::ok);
        CHECK_FALSE(reply.detail.empty());
        return reply.type;
    }
};

}  // namespace

TEST_CASE_METHOD(Counter, "one payment of a bank is one receipt, until that is undone") {
    const auto pay = [&](const std::string& account, const char* method, const char* reference,
                         const std::string& key) {
        TopUp paid;
        paid.actor = "local";
        paid.account = account;
        paid.amount = "10.00";
        paid.method = method;
        paid.reference = reference;
        paid.by = "s-01";
        paid.idempotency_key = key;
        paid.body_hash = account + method + reference;
        return ask(paid);
    };
    const Reply first = pay("a-103", "qr", "4200001", "k-1");
    REQUIRE(first.kind == ReplyKind::created);
    CHECK(pay("a-103", "qr", "4200001", "k-1").json == first.json);
    const Reply twice = pay("a-103", "qr", "4200001", "k-2");
    CHECK(twice.kind == ReplyKind::conflict);
    CHECK(refused(twice) == "payment-booked");
    CHECK(twice.detail.find("R00000001") != std::string::npos);
    reopen();
    CHECK(refused(pay("a-103", "qr", "4200001", "k-2")) == "payment-booked");
    // Another bank's number, the other household's share of it, and the number beside cash.
    CHECK(pay("a-103", "transfer", "4200001", "k-3").kind == ReplyKind::created);
    CHECK(pay("a-101", "qr", "4200001", "k-4").kind == ReplyKind::created);
    CHECK(pay("a-103", "cash", "4200001", "k-5").kind == ReplyKind::created);
    CHECK(pay("a-103", "cash", "4200001", "k-6").kind == ReplyKind::created);
    REQUIRE(reverse(entries("a-103").at(0).entry.entry, "k-7").kind == ReplyKind::created);
    CHECK(pay("a-103", "qr", "4200001", "k-8").kind == ReplyKind::created);
    CHECK(refused(pay("a-103", "qr", "4200001", "k-9")) == "payment-booked");
    CHECK(proof().empty());
}

TEST_CASE_METHOD(Counter,
                 "the lines of account and flat have the money that people moved, both ends") {
    REQUIRE(top_up("a-101", "50.00", "k-1").kind == ReplyKind::created);
    REQUIRE(transfer("a-101", "a-102", "20.00", "k-2").kind == ReplyKind::created);
    REQUIRE(refund("a-102", "5.00", "k-3").kind == ReplyKind::created);
    const auto line = [&](const char* about) {
        Rows kinds;
        for (const StoredEvent& event : StoreReader(path()).events_about(about, 0, 100))
            if (event.kind.starts_with("entry.")) kinds.push_back(event.kind.substr(6));
        return kinds;
    };
    CHECK(line("unit:1-101") == Rows{"opening", "topup", "transfer"});
    CHECK(line("account:a-101") == Rows{"opening", "topup", "transfer"});
    CHECK(line("unit:1-102") == Rows{"opening", "transfer", "refund"});
    CHECK(line("unit:1-103").empty());
}

TEST_CASE_METHOD(Counter, "who has left takes no money, and blanks are no reason") {
    TopUp paid;
    paid.account = "a-101";
    paid.amount = "10.00";
    paid.by = "s-09";
    paid.idempotency_key = "k-1";
    const Reply left = ask(paid);
    CHECK(left.kind == ReplyKind::invalid);
    CHECK(left.detail == "`s-09` left on 2026-11-01 (staff.csv)");
    RefundMoney blank{act("k-2"), "a-101", "1.00", "", ""};
    blank.act.reason = " \t ";
    CHECK(ask(blank).errors.at(0).pointer == "/reason");
    CHECK(balance("a-101") == "100.00");
}

TEST_CASE_METHOD(Counter, "a refund in cash pays jiao, rounds the fen off and falls by all of it") {
    const Reply done = refund("a-101", "36.42", "k-1");
    REQUIRE(done.kind == ReplyKind::created);
    CHECK(field(done.json, "amount") == "-36.42");
    CHECK(field(done.json, "paid") == "36.40");
    CHECK(field(done.json, "round_off") == "0.02");
    CHECK(field(done.json, "receipt") == "R00000001");
    CHECK(field(done.json, "authenticated") == "false");
    // 100.00 - 36.42
    CHECK(field(done.json, "balance") == "63.58");
    CHECK(book("a-101") ==
          Rows{"opening 100.00 opening", "refund -36.40 refund:k-1", "round_off -0.02 refund:k-1"});
    const StoredEntry paid = entries("a-101").at(1);
    CHECK(paid.entry.by == "s-01");
    CHECK(paid.entry.second == "s-02");
    CHECK(paid.method == "cash");
    CHECK(paid.note == "a test");
    CHECK(refund("a-101", "63.58", "k-2", "transfer", "20261123-1").kind == ReplyKind::created);
    CHECK(ledger("a-101") == "0.00");
    CHECK(book("a-101").back() == "refund -63.58 refund:k-2");
    CHECK(proof().empty());
    reopen();
    CHECK(ledger("a-101") == "0.00");
}

TEST_CASE_METHOD(Counter, "a refund has in it what was used and not posted yet") {
    settle("e-101", "1000.00");
    clock.pass(10 * kMinute);
    settle("e-101", "1010.00");
    // 10 x 0.5283 = 5.283 -> 5.28; 100.00 - 5.28 = 94.72
    REQUIRE(balance("a-101") == "94.72");
    const Reply above = refund("a-101", "94.73", "k-1", "qr", "1");
    CHECK(refused(above) == "balance");
    CHECK(above.kind == ReplyKind::refused);
    CHECK(above.errors.at(0).pointer == "/amount");
    CHECK(above.errors.at(0).message.find("94.72") != std::string::npos);
    CHECK(refund("a-101", "94.72", "k-1", "qr", "1").kind == ReplyKind::created);
    CHECK(balance("a-101") == "0.00");
    CHECK(account("a-101").level == 3);
    CHECK(proof().empty());
}

TEST_CASE_METHOD(Counter, "a key gives one answer, and is no other act's") {
    const Reply first = refund("a-101", "10.00", "k");
    REQUIRE(first.kind == ReplyKind::created);
    const Reply again = refund("a-101", "10.00", "k");
    CHECK(again.kind == ReplyKind::ok);
    CHECK(again.json == first.json);
    CHECK(refund("a-101", "11.00", "k").kind == ReplyKind::key_reused);
    CHECK(refund("a-102", "10.00", "k").kind == ReplyKind::key_reused);
    CHECK(refund("a-101", "10.00", "").kind == ReplyKind::bad_request);
    CHECK(refund("a-101", "10.00", std::string(129, 'k')).kind == ReplyKind::bad_request);
    CHECK(top_up("a-101", "10.00", "k").kind == ReplyKind::key_reused);
    CHECK(adjust("a-101", "10.00", "k").kind == ReplyKind::key_reused);
    CHECK(transfer("a-101", "a-103", "10.00", "k").kind == ReplyKind::key_reused);
    CHECK(reverse(entries("a-101").at(1).entry.entry, "k").kind == ReplyKind::key_reused);
    reopen();
    CHECK(top_up("a-101", "10.00", "k").kind == ReplyKind::key_reused);
    CHECK(refund("a-101", "10.00", "k").json == first.json);
    CHECK(ledger("a-101") == "90.00");
    CHECK(proof().empty());
}

TEST_CASE_METHOD(Counter, "right money, wrong room: both ledgers show it and no drawer moves") {
    REQUIRE(top_up("a-102", "100.00", "k-0").kind == ReplyKind::created);
    const Reply done = transfer("a-102", "a-103", "100.00", "k-1");
    REQUIRE(done.kind == ReplyKind::created);
    CHECK(field(done.json, "to") == "a-103");
    CHECK(field(done.json, "balance") == "200.00");
    CHECK(field(done.json, "to_balance") == "100.00");
    CHECK(book("a-102").back() == "transfer -100.00 transfer:k-1");
    CHECK(book("a-103") == Rows{"transfer 100.00 transfer:k-1"});
    CHECK(entries("a-102").back().balance_after == Fen{200'00});
    CHECK(entries("a-103").back().balance_after == Fen{100'00});
    CHECK(entries("a-103").back().entry.account == "a-103");
    CHECK(account("a-103").judged);
    const StoredEvent told = events("entry.transfer").at(0);
    CHECK(field(told.subject, "account") == "a-102");
    CHECK(field(told.subject, "to") == "a-103");
    CHECK(StoreReader(path()).why("a-103", "").entries.at(0).entry.amount == Fen{100'00});
    CHECK(refused(transfer("a-102", "a-103", "200.01", "k-2")) == "balance");
    CHECK(refused(transfer("a-102", "a-102", "1.00", "k-2")) == "to");
    const Reply nowhere = transfer("a-102", "a-999", "1.00", "k-2");
    CHECK(nowhere.kind == ReplyKind::invalid);
    CHECK(nowhere.errors.at(0).pointer == "/to");
    CHECK(transfer("a-999", "a-102", "1.00", "k-2").kind == ReplyKind::not_found);
    CHECK(proof().empty());
    reopen();
    CHECK(ledger("a-102") == "200.00");
    CHECK(ledger("a-103") == "100.00");
    CHECK(account("a-103").ledger_seq == account("a-102").ledger_seq);
}

TEST_CASE_METHOD(Counter, "money that reaches its room clears the alert of that room at once") {
    REQUIRE(top_up("a-103", "5.00", "k-0").kind == ReplyKind::created);
    REQUIRE(account("a-103").level == 2);
    // 54.00 is above T = 50.00 and below T + margin = 55.00: only a payment clears there.
    REQUIRE(transfer("a-102", "a-103", "49.00", "k-1").kind == ReplyKind::created);
    CHECK(account("a-103").level == 0);
    CHECK(events("alert.cleared").size() == 1);
}

TEST_CASE_METHOD(Counter, "an adjustment moves a balance either way and no ladder") {
    REQUIRE(adjust("a-102", "-203.27", "k-1").kind == ReplyKind::created);
    // 200.00 - 203.27
    CHECK(ledger("a-102") == "-3.27");
    CHECK(account("a-102").level == 3);
    CHECK(adjust("a-102", "3.27", "k-2").kind == ReplyKind::created);
    CHECK(ledger("a-102") == "0.00");
    const StoredEntry entry = entries("a-102").at(1);
    CHECK(entry.reference == "doc-7");
    CHECK(entry.entry.legs.at(1).account == "revenue:electricity");
    CHECK(adjust("a-101", "1.00", "k-3", "water").kind == ReplyKind::created);
    CHECK(entries("a-101").at(1).entry.legs.at(1).account == "revenue:water");
    const Reply other = adjust("a-102", "1.00", "k-4", "water");
    CHECK(other.kind == ReplyKind::invalid);
    CHECK(other.errors.at(0).pointer == "/service");
    CHECK(refused(adjust("a-102", "0.00", "k-4")) == "amount");
    CHECK(proof().empty());
}

TEST_CASE_METHOD(Counter, "a reversal undoes a payment whole, once, and not a reversal") {
    REQUIRE(top_up("a-103", "100.00", "k-0").kind == ReplyKind::created);
    const std::string paid = entries("a-103").at(0).entry.entry;
    // Who took the money may undo it, and does not approve that.
    Act own = Counter::act("k-1", paid);
    own.by = "s-03";
    own.second = "s-01";
    const Reply alone = ask(ReverseEntry{own, paid});
    CHECK(alone.kind == ReplyKind::invalid);
    CHECK(alone.errors.at(0).pointer == "/second");
    const Reply done = reverse(paid, "k-1");
    REQUIRE(done.kind == ReplyKind::created);
    CHECK(field(done.json, "reverses") == paid);
    CHECK(field(done.json, "undone_receipt") == "R00000001");
    CHECK(ledger("a-103") == "0.00");
    CHECK(book("a-103") == Rows{"topup 100.00 topup:k-0", "reversal -100.00 reversal:k-1"});
    const Reply twice = reverse(paid, "k-2");
    CHECK(twice.kind == ReplyKind::conflict);
    CHECK(refused(twice) == "already-reversed");
    CHECK(refused(reverse(entries("a-103").at(1).entry.entry, "k-2")) == "not-reversible");
    CHECK(refused(reverse(entries("a-101").at(0).entry.entry, "k-2")) == "not-reversible");
    CHECK(reverse("e999", "k-2").kind == ReplyKind::not_found);
    CHECK(proof().empty());
    reopen();
    CHECK(refused(reverse(paid, "k-2")) == "already-reversed");
    CHECK(reverse(paid, "k-1").json == done.json);
}

TEST_CASE_METHOD(Counter, "a refund that is undone brings the fen back as well") {
    REQUIRE(refund("a-101", "36.42", "k-1").kind == ReplyKind::created);
    const std::string paid = entries("a-101").at(1).entry.entry;
    REQUIRE(reverse(paid, "k-2").kind == ReplyKind::created);
    CHECK(book("a-101") == Rows{"opening 100.00 opening", "refund -36.40 refund:k-1",
                                "round_off -0.02 refund:k-1", "reversal 36.40 reversal:k-2",
                                "round_off 0.02 reversal:k-2"});
    CHECK(ledger("a-101") == "100.00");
    // A refund without a rest that stands before somebody else's entry has none beside it.
    REQUIRE(refund("a-101", "30.00", "k-3").kind == ReplyKind::created);
    REQUIRE(refund("a-101", "0.05", "k-4").kind == ReplyKind::created);
    REQUIRE(reverse(entries("a-101").at(5).entry.entry, "k-5").kind == ReplyKind::created);
    CHECK(ledger("a-101") == "99.95");
    CHECK(proof().empty());
}

TEST_CASE_METHOD(Counter, "two different people of the staff, and a reason, or nothing happens") {
    struct Row {
        std::string by, second, reason, pointer;
    };
    const Row rows[] = {
        {"s-01", "s-01", "x", "/second"}, {"s-01", "", "x", "/second"},
        {"", "s-02", "x", "/by"},         {"s-77", "s-02", "x", "/by"},
        {"s-01", "s-77", "x", "/second"}, {"s-01", "s-09", "x", "/second"},
        {"s-01", "s-02", "", "/reason"},  {"s-01", "s-02", std::string(1'001, 'x'), "/reason"},
    };
    REQUIRE(top_up("a-103", "9.00", "k-0").kind == ReplyKind::created);
    const std::string paid = entries("a-103").at(0).entry.entry;
    const std::uint64_t before = engine().snapshot()->event_seq;
    for (const Row& row : rows) {
        CAPTURE(row.by, row.second, row.pointer);
        const Act act{"local", row.by, row.second, row.reason, "k-1", "b"};
        for (const Reply& reply :
             {ask(RefundMoney{act, "a-101", "1.00", "", ""}),
              ask(TransferMoney{act, "a-101", "a-103", "1.00", ""}),
              ask(AdjustMoney{act, "a-101", "1.00", "", ""}), ask(ReverseEntry{act, paid})}) {
            CHECK(reply.kind == ReplyKind::invalid);
            CHECK(std::any_of(reply.errors.begin(), reply.errors.end(),
                              [&](const FieldError& one) { return one.pointer == row.pointer; }));
        }
    }
    CHECK(engine().snapshot()->event_seq == before);
    CHECK(ledger("a-101") == "100.00");
}

TEST_CASE_METHOD(Counter, "an act that was answered is on disk, and one that was not never was") {
    REQUIRE(transfer("a-102", "a-103", "20.00", "k-1").kind == ReplyKind::created);
    crash();
    open();
    CHECK(ledger("a-103") == "20.00");
    REQUIRE(engine().submit(TransferMoney{act("k-2"), "a-102", "a-103", "20.00", ""}, nullptr));
    reopen();
    CHECK(ledger("a-103") == "20.00");
    CHECK(ledger("a-102") == "180.00");
    CHECK(transfer("a-102", "a-103", "20.00", "k-1").kind == ReplyKind::ok);
    CHECK(proof().empty());
}

TEST_CASE_METHOD(Counter, "two cashiers at once cannot pass the hoarding cap together") {
    std::vector<Reply> replies;
    for (const char* key : {"k-1", "k-2"}) {
        TopUp command;
        command.account = "a-101";
        command.amount = "250.00";
        command.by = "s-01";
        command.idempotency_key = command.body_hash = key;
        REQUIRE(engine().submit(command, [&](Reply reply) { replies.push_back(reply); }));
    }
    step();
    REQUIRE(replies.size() == 2);
    CHECK(replies[0].kind == ReplyKind::created);
    // 100.00 + 250.00 = 350.00; 350.00 + 250.00 = 600.00 > 500.00
    CHECK(refused(replies[1]) == "hoarding-cap");
    CHECK(replies[1].detail.find("at most 150.00 fits") != std::string::npos);
    CHECK(field(replies[0].json, "hoarding_cap") == "500.00");
    CHECK(ledger("a-101") == "350.00");
    CHECK(proof().empty());
}
