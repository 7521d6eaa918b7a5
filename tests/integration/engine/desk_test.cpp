// Money over the counter: once for each key, refused honestly, and never lost.
#include <algorithm>
#include <chrono>
#include <future>

#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

struct Desk : House {
    Desk() {
        open();
        REQUIRE(import(three_homes()).kind == ReplyKind::ok);
    }
};

}  // namespace

TEST_CASE_METHOD(Desk, "the same key and body is the same receipt, over a restart as well") {
    const Reply first = top_up("a-101", "100.00", "k-1");
    REQUIRE(first.kind == ReplyKind::created);
    CHECK(field(first.json, "balance") == "200.00");
    CHECK(field(first.json, "receipt") == "R00000001");
    const Reply again = top_up("a-101", "100.00", "k-1");
    CHECK(again.kind == ReplyKind::ok);
    CHECK(again.json == first.json);
    reopen();
    CHECK(top_up("a-101", "100.00", "k-1").json == first.json);
    CHECK(ledger("a-101") == "200.00");
    CHECK(events("entry.topup").size() == 1);

    const Reply other = top_up("a-101", "200.00", "k-1");
    CHECK(other.kind == ReplyKind::key_reused);
    CHECK(ledger("a-101") == "200.00");
    const Reply next = top_up("a-101", "1.00", "k-2");
    CHECK(field(next.json, "receipt") == "R00000002");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Desk, "the hoarding cap refuses a top-up whole, for two cashiers together too") {
    // 100.00 stand there, 500.00 may.
    const Reply over = top_up("a-101", "400.01", "k-1");
    CHECK(over.kind == ReplyKind::refused);
    CHECK(over.type == "hoarding-cap");
    CHECK(over.detail.find("at most 400.00 fits") != std::string::npos);
    CHECK(ledger("a-101") == "100.00");

    std::vector<ReplyKind> kinds;
    for (const char* key : {"k-2", "k-3"}) {
        TopUp command;
        command.account = "a-101";
        command.amount = "300.00";
        command.by = key == std::string("k-2") ? "s-01" : "s-02";
        command.idempotency_key = key;
        command.body_hash = key;
        REQUIRE(engine().submit(command, [&](const Reply& reply) { kinds.push_back(reply.kind); }));
    }
    step();
    CHECK(kinds == std::vector<ReplyKind>{ReplyKind::created, ReplyKind::refused});
    CHECK(ledger("a-101") == "400.00");
    // What was refused is not remembered: with less it may be tried under its key.
    CHECK(top_up("a-101", "100.00", "k-3").kind == ReplyKind::created);
    CHECK(ledger("a-101") == "500.00");
}

TEST_CASE_METHOD(Desk, "what is used makes room below the cap before it is posted") {
    settle("e-101", "1000.00");
    pass(kHour);
    settle("e-101", "1100.00");
    // 100.00 - 52.83 = 47.17
    CHECK(top_up("a-101", "452.84", "k-1").kind == ReplyKind::refused);
    CHECK(top_up("a-101", "452.83", "k-2").kind == ReplyKind::created);
    CHECK(balance("a-101") == "500.00");
}

TEST_CASE_METHOD(Desk, "what is no amount is refused and names the field") {
    const std::string amount =
        GENERATE("", "0", "0.00", "-1.00", "1.001", "1e3", "abc", " 1.00", "1,00", "+1.00", "１.00",
                 "1000000.01", "99999999999999999999", "0x10", "NaN", "1.", ".5.");
    CAPTURE(amount);
    const Reply reply = top_up("a-103", amount, "k-1");
    if (amount == "1.") {
        CHECK((reply.kind == ReplyKind::invalid || reply.kind == ReplyKind::created));
        return;
    }
    CHECK(reply.kind == ReplyKind::invalid);
    REQUIRE_FALSE(reply.errors.empty());
    CHECK(reply.errors[0].pointer == "/amount");
    CHECK(entries("a-103").empty());
}

TEST_CASE_METHOD(Desk, "who and where are asked for") {
    CHECK(top_up("a-999", "1.00", "k-1").kind == ReplyKind::not_found);
    CHECK(top_up("a-101", "1.00", "").kind == ReplyKind::bad_request);
    TopUp command;
    command.account = "a-101";
    command.amount = "1.00";
    command.by = "s-99";
    command.idempotency_key = "k-1";
    const Reply nobody = ask(command);
    CHECK(nobody.kind == ReplyKind::invalid);
    CHECK(nobody.errors.at(0).pointer == "/by");
    command.by = "s-01";
    command.method = "card";
    const Reply no_reference = ask(command);
    CHECK(no_reference.kind == ReplyKind::invalid);
    CHECK(no_reference.errors.at(0).pointer == "/reference");
    command.method = "shells";
    CHECK(ask(command).errors.at(0).pointer == "/method");
    command.method = "cash";
    command.received_at = "yesterday";
    CHECK(ask(command).errors.at(0).pointer == "/received_at");
    CHECK(ledger("a-101") == "100.00");
}

TEST_CASE_METHOD(Desk, "a token is shown once, and only its hash is kept") {
    const Reply made = ask(AddToken{"local", "office", {"readings:read"}, "", {}});
    REQUIRE(made.kind == ReplyKind::created);
    const std::string id = field(made.json, "id");
    CHECK(field(made.json, "token").rfind("gh_" + id + "_", 0) == 0);
    const auto row = StoreReader(path()).token(id);
    REQUIRE(row);
    CHECK(row->secret_hash.size() == 64);
    CHECK(ask(AddToken{"local", "x", {"reading:read"}, "", {}}).detail.find("readings:read") !=
          std::string::npos);
    CHECK(ask(RevokeToken{"local", id}).kind == ReplyKind::ok);
    CHECK(ask(RevokeToken{"local", id}).kind == ReplyKind::not_found);
    reopen();
    CHECK(StoreReader(path()).token(id)->revoked_at);
}

TEST_CASE_METHOD(Desk, "the broker's cursor is on disk within half a minute of silence") {
    REQUIRE(engine().submit(MqttCursor{3, {}}, nullptr));
    step();
    pass(31 * kSecond);
    reopen();
    CHECK(engine().snapshot()->mqtt_cursor == 3);
}

TEST_CASE_METHOD(Desk, "on its own thread it answers after the commit and keeps all at a stop") {
    engine().start();
    std::promise<Reply> promise;
    TopUp command;
    command.account = "a-103";
    command.amount = "20.00";
    command.by = "s-01";
    command.idempotency_key = "k-1";
    command.body_hash = "one";
    REQUIRE(engine().submit(command, [&](Reply reply) { promise.set_value(std::move(reply)); }));
    std::future<Reply> answer = promise.get_future();
    REQUIRE(answer.wait_for(std::chrono::seconds(60)) == std::future_status::ready);
    CHECK(answer.get().kind == ReplyKind::created);
    CHECK(entries("a-103").size() == 1);
    CHECK(account("a-103").ledger == Fen{20'00});
    REQUIRE(engine().submit(MqttCursor{2, {}}, nullptr));
    engine().stop();
    CHECK_FALSE(engine().submit(command, nullptr));
    reopen();
    CHECK(engine().snapshot()->mqtt_cursor == 2);
    CHECK(ledger("a-103") == "20.00");
}
