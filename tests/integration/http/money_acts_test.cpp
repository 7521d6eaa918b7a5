// What two people sign, over HTTP: each field reaches the engine as it was typed, once under its
// key, and a body that lacks a signature reaches nobody.
#include <string>

#include "daemon/core/ledger_acts.hpp"
#include "daemon/http/statement.hpp"
#include "tests/integration/http/http_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

const std::string kSigned = R"("by":"s-01","second":"s-02","reason":"误充")";

std::string key(const std::string& value) {
    return "Idempotency-Key: " + value + "\r\n";
}

struct Route {
    std::string path, fields;  // of a body beside the signature
};
const Route kRoutes[] = {
    {"/api/v1/accounts/a-0/refunds", R"("amount":"5.00",)"},
    {"/api/v1/accounts/a-0/transfers", R"("amount":"5.00","to":"a-1",)"},
    {"/api/v1/accounts/a-0/adjustments", R"("amount":"-5.00",)"},
    {"/api/v1/entries/e7/reversal", ""},
    {"/api/v1/accounts/a-0/close", ""},
    {"/api/v1/units/h-0/occupant", R"("holder":"p-1","settle":"refund",)"},
};

}  // namespace

TEST_CASE("an act reaches the engine as it was typed and its answer comes back") {
    HttpHouse house;
    house.engine.script = [](const Command&) {
        return Reply{ReplyKind::created, R"({"entry":"e9"})", {}, {}, {}};
    };
    const auto done = [&](const std::string& path, const std::string& body) {
        const Got got = house.ask("POST", path, body, key("k-1"));
        INFO(got.body);
        REQUIRE(got.status == 201);
        REQUIRE(at(got.body, "/entry") == "e9");
    };
    done("/api/v1/accounts/a-0/refunds",
         R"({"amount":"36.42","method":"qr","reference":"7",)" + kSigned + "}");
    const RefundMoney refund = house.engine.seen<RefundMoney>().at(0);
    REQUIRE(refund.account == "a-0");
    REQUIRE(refund.amount == "36.42");
    REQUIRE(refund.method == "qr");
    REQUIRE(refund.reference == "7");
    REQUIRE(refund.act.by == "s-01");
    REQUIRE(refund.act.second == "s-02");
    REQUIRE(refund.act.reason == "误充");
    REQUIRE(refund.act.actor == "local");
    REQUIRE(refund.act.idempotency_key == "k-1");
    REQUIRE(refund.act.body_hash.size() == 64);
    done("/api/v1/accounts/a-0/transfers",
         R"({"amount":"5.00","to":"a-1","reference":"9",)" + kSigned + "}");
    const TransferMoney transfer = house.engine.seen<TransferMoney>().at(0);
    REQUIRE(transfer.account == "a-0");
    REQUIRE(transfer.to == "a-1");
    REQUIRE(transfer.reference == "9");
    done("/api/v1/accounts/a-0/adjustments",
         R"({"amount":"-5.00","service":"water","reference":"doc",)" + kSigned + "}");
    const AdjustMoney adjust = house.engine.seen<AdjustMoney>().at(0);
    REQUIRE(adjust.amount == "-5.00");
    REQUIRE(adjust.service == "water");
    REQUIRE(adjust.reference == "doc");
    done("/api/v1/entries/e7/reversal", "{" + kSigned + "}");
    REQUIRE(house.engine.seen<ReverseEntry>().at(0).entry == "e7");
}

TEST_CASE("an act without a key, a signature or its own fields reaches nobody") {
    HttpHouse house;
    for (const Route& route : kRoutes) {
        INFO(route.path);
        const std::string whole = "{" + route.fields + kSigned + "}";
        REQUIRE(house.ask("POST", route.path, whole).status == 400);
        REQUIRE(house.ask("POST", route.path, whole, key("a b")).status == 400);
        REQUIRE(house.ask("POST", route.path, "{}", key("k")).status == 422);
        for (const std::string missing : {"by", "second", "reason"}) {
            const std::string named = "\"" + missing + "\"";
            const std::size_t place = whole.find(named);
            const std::string body =
                whole.substr(0, place) + "\"note\"" + whole.substr(place + named.size());
            const Got got = house.ask("POST", route.path, body, key("k"));
            REQUIRE(got.status == 422);
            REQUIRE(got.body.find("/" + missing) != std::string::npos);
        }
    }
    const Got number = house.ask("POST", "/api/v1/accounts/a-0/refunds",
                                 "{\"amount\":5.00," + kSigned + "}", key("k"));
    REQUIRE(number.status == 422);
    REQUIRE(at(number.body, "/errors/0/pointer") == "/amount");
    REQUIRE(house.engine.seen<RefundMoney>().empty());
    REQUIRE(house.engine.seen<TransferMoney>().empty());
    REQUIRE(house.engine.seen<AdjustMoney>().empty());
    REQUIRE(house.engine.seen<ReverseEntry>().empty());
    REQUIRE(house.engine.seen<CloseAccount>().empty());
    REQUIRE(house.engine.seen<ChangeOccupant>().empty());
}

TEST_CASE("the hash of an act tells bodies, subjects and routes apart") {
    HttpHouse house;
    const auto hash = [&](const std::string& path, const std::string& fields) {
        const Got got = house.ask("POST", path, "{" + fields + kSigned + "}", key("k"));
        REQUIRE(got.status == 200);
        return house.engine.seen<RefundMoney>().back().act.body_hash;
    };
    const std::string path = "/api/v1/accounts/a-0/refunds";
    const std::string first = hash(path, R"("amount":"5.00",)");
    REQUIRE(hash(path, R"( "amount" : "5.00" ,)") == first);
    REQUIRE(hash(path, R"("amount":"5.01",)") != first);
    REQUIRE(hash(path, R"("amount":"5.00","method":"qr",)") != first);
    REQUIRE(hash("/api/v1/accounts/a-1/refunds", R"("amount":"5.00",)") != first);
}

TEST_CASE("a key in progress on one route holds up no other") {
    HttpHouse house;
    house.engine.hold();
    Wire first(house.socket_path);
    first.send(
        request_text("POST", kRoutes[0].path, "{" + kRoutes[0].fields + kSigned + "}", key("k-1")));
    house.engine.wait_for_held(1);
    const Got same =
        house.ask("POST", kRoutes[0].path, "{" + kRoutes[0].fields + kSigned + "}", key("k-1"));
    REQUIRE(same.status == 409);
    REQUIRE(at(same.body, "/type") == "urn:gatehouse:problem:in-progress");
    Wire other(house.socket_path);
    other.send(
        request_text("POST", kRoutes[1].path, "{" + kRoutes[1].fields + kSigned + "}", key("k-1")));
    house.engine.wait_for_held(2);
    house.engine.release();
    REQUIRE(first.receive().status == 200);
    REQUIRE(other.receive().status == 200);
    house.engine.refuse(true);
    const Got full = house.ask("POST", kRoutes[3].path, "{" + kSigned + "}", key("k-1"));
    REQUIRE(full.status == 503);
    house.engine.refuse(false);
    REQUIRE(house.ask("POST", kRoutes[3].path, "{" + kSigned + "}", key("k-1")).status == 200);
}

TEST_CASE("before an account ends each of its meters is read twice, and no other") {
    HttpHouse house;
    http::MeterReadOutcome outcome;
    outcome.sample.emplace();
    outcome.sample->meter = "e-0";
    house.meters.outcome = outcome;
    MeterView paid = house.world().meters[0];
    paid.account = "a-0";
    house.world().meters.set(0, paid);
    house.show();
    const auto done = [&](const std::string& path, const std::string& fields) {
        REQUIRE(house.ask("POST", path, "{" + fields + kSigned + "}", key(path)).status == 200);
    };
    done("/api/v1/accounts/a-0/close", "");
    REQUIRE(house.engine.seen<CloseAccount>().at(0).fresh.size() == 2);
    REQUIRE_FALSE(house.engine.seen<CloseAccount>().at(0).accept_last_reading);
    done("/api/v1/units/h-0/occupant",
         R"("holder":"p-1","settle":"transfer","to":"a-1","ladder":"continue",)"
         R"("at":"2026-11-23T08:00","accept_last_reading":true,)");
    const ChangeOccupant change = house.engine.seen<ChangeOccupant>().at(0);
    REQUIRE(change.fresh.size() == 2);
    REQUIRE(change.unit == "h-0");
    REQUIRE(change.holder == "p-1");
    REQUIRE(change.settle == "transfer");
    REQUIRE(change.to == "a-1");
    REQUIRE(change.ladder == "continue");
    REQUIRE(change.at == "2026-11-23T08:00");
    REQUIRE(change.accept_last_reading);
    // A meter that does not answer, or cannot be asked, holds nothing up.
    house.meters.outcome->sample.reset();
    done("/api/v1/accounts/a-1/close", "");
    house.meters.outcome.reset();
    done("/api/v1/accounts/a-2/close", "");
    REQUIRE(house.engine.seen<CloseAccount>().at(1).fresh.empty());
    REQUIRE(house.engine.seen<CloseAccount>().at(2).fresh.empty());
}

TEST_CASE("an entry is a document, or a page that prints") {
    HttpHouse house;
    const Got json = house.ask("GET", "/api/v1/entries/en-1");
    REQUIRE(json.status == 200);
    REQUIRE(at(json.body, "/receipt") == "R-1");
    REQUIRE(at(json.body, "/balance_after") == "100.00");
    const Got page = house.ask("GET", "/api/v1/entries/en-1", {}, "Accept: text/html\r\n");
    REQUIRE(page.status == 200);
    REQUIRE(page.header("Content-Type") == "text/html; charset=utf-8");
    REQUIRE(page.body.find("预存款收据") != std::string::npos);
    REQUIRE(page.body.find("<td>100.00 CNY</td>") != std::string::npos);
    REQUIRE(page.body.find("R-1") != std::string::npos);
    REQUIRE(house.ask("GET", "/api/v1/entries/none").status == 404);
}

TEST_CASE("what people typed is text on the page and nothing else") {
    StoredEntry stored;
    stored.entry = transfer_entry("a-1", "a-2", Fen{5'00}, {"s-01", "s-02", "transfer:k"});
    stored.entry.entry = "e7";
    stored.note = "<script>alert('1')</script> & \"x\"";
    const EightHoursEast zone;
    const std::string page = http::statement_html(stored, {"河畔", "CNY", "1栋101", false}, zone);
    REQUIRE(page.find("<script>") == std::string::npos);
    REQUIRE(page.find("&lt;script&gt;alert('1')&lt;/script&gt; &amp; &quot;x&quot;") !=
            std::string::npos);
    REQUIRE(page.find("Transfer between accounts") != std::string::npos);
    REQUIRE(page.find("<th>To account</th><td>a-2</td>") != std::string::npos);
    REQUIRE(page.find("<td>-5.00 CNY</td>") != std::string::npos);
}

TEST_CASE("a terminal that takes payments cannot pay out") {
    HttpHouse house;
    const std::string terminal = house.add_token("t1", {"topups:write", "balances:read"});
    for (const Route& route : kRoutes) {
        INFO(route.path);
        REQUIRE(
            house
                .ask_tcp(terminal, "POST", route.path, "{" + route.fields + kSigned + "}", key("k"))
                .status == 403);
    }
}
