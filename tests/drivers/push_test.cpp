// What cabinets push, decoded: each row a body and what became of it.
#include "drivers/cabinet/push.hpp"

#include "daemon/core/text.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/zones.hpp"

using namespace gatehouse;

namespace {

// "boot/seq type detail slot person card; ... | bad:index:code"
std::string decoded(std::string_view body) {
    const auto result = cabinet::decode_push(body, "kc-01", test::kZone);
    if (const auto* refused = std::get_if<cabinet::PushRefusal>(&result)) return refused->code;
    const auto& push = std::get<KeyPush>(result);
    std::string text;
    for (const KeyEvent& event : push.events) {
        text += (text.empty() ? "" : "; ") + std::to_string(event.id.boot) + "/" +
                std::to_string(event.id.seq) + " " + to_string(event.type);
        for (const std::string& part :
             {event.detail, event.slot ? "#" + std::to_string(*event.slot) : std::string(),
              event.person, event.card, event.tag})
            if (!part.empty()) text += " " + part;
        if (event.home) text += " home " + std::to_string(*event.home);
        if (!event.begins) text += " ends";
        for (const int slot : event.present) text += " +" + std::to_string(slot);
    }
    for (const KeyPush::Bad& bad : push.bad)
        text += " bad:" + std::to_string(bad.index) + ":" + bad.code;
    return text;
}

}  // namespace

TEST_CASE("a cabinet's push becomes events") {
    struct Row {
        const char* body;
        const char* events;
    };
    const Row rows[] = {
        {R"({"v":1,"src":"kc-01","boot":7,"seq":3,"type":"key.removed","slot":12})",
         "7/3 key.removed #12"},
        {R"([{"boot":7,"seq":3,"type":"door.opened"},{"boot":7,"seq":4,"type":"door.closed"}])",
         "7/3 door.opened; 7/4 door.closed"},
        {R"({"src":"kc-01","boot":7,"events":[{"seq":1,"type":"access.granted","person":"s-1"}]})",
         "7/1 access.granted s-1"},
        {R"({"boot":7,"events":[{"boot":8,"seq":1,"type":"boot"}]})", "8/1 boot"},
        {R"({"boot":1,"events":[{"seq":1,"type":"access.denied","reason":"unknown_card"}]})",
         "1/1 access.denied unknown_card"},
        {R"({"boot":1,"events":[{"seq":1,"type":"access.denied.wrong_pin"}]})",
         "1/1 access.denied wrong_pin"},
        {R"({"boot":1,"events":[{"seq":1,"type":"door.held{clear}"}]})",
         "1/1 door.held clear ends"},
        {R"({"boot":1,"events":[{"seq":1,"type":"tamper","begins":false}]})", "1/1 tamper ends"},
        // Start and clear as members, as the type of keys-and-tickets.md 5.1 lists them.
        {R"({"boot":1,"events":[{"seq":1,"type":"tamper","clear":true},
             {"seq":2,"type":"door.held","start":true},{"seq":3,"type":"door.forced","start":false},
             {"seq":4,"type":"tamper","start":false,"clear":true},
             {"seq":5,"type":"tamper","start":null,"clear":false},
             {"seq":6,"type":"tamper.clear","clear":true},
             {"seq":7,"type":"door.held","start":true,"clear":false,"state":"start"},
             {"seq":8,"type":"duress","clear":true}]})",
         "1/1 tamper ends; 1/2 door.held; 1/3 door.forced ends; 1/4 tamper ends; 1/5 tamper; "
         "1/6 tamper clear ends; 1/7 door.held start; 1/8 duress ends"},
        // What says both, or something else, says nothing: it is kept, counted and begins nothing.
        {R"({"boot":1,"events":[{"seq":1,"type":"tamper","start":true,"clear":true},
             {"seq":2,"type":"tamper","start":false,"clear":false},
             {"seq":3,"type":"door.held{clear}","start":true},
             {"seq":4,"type":"door.held","state":"start","clear":true},
             {"seq":5,"type":"door.held","clear":"2026-11-23T10:00:00+08:00"},
             {"seq":6,"type":"door.held","begins":false,"start":true}]})",
         "1/1 vendor; 1/2 vendor; 1/3 vendor; 1/4 vendor; 1/5 vendor; 1/6 vendor "
         "bad:0:start_clear bad:1:start_clear bad:2:start_clear bad:3:start_clear "
         "bad:4:start_clear bad:5:start_clear"},
        // Each spelling of a beginning and of an end.
        {R"({"boot":1,"events":[{"seq":1,"type":"tamper{start}"},{"seq":2,"type":"tamper.cleared"},
             {"seq":3,"type":"door.held.start"},{"seq":4,"type":"door.held","state":"ended"},
             {"seq":5,"type":"tamper","detail":"START"},{"seq":6,"type":"tamper{Clear}"},
             {"seq":7,"type":"tamper","detail":"lid","state":"on"},
             {"seq":8,"type":"tamper","detail":"lid","clear":true}]})",
         "1/1 tamper start; 1/2 tamper cleared ends; 1/3 door.held start; "
         "1/4 door.held ended ends; 1/5 tamper START; 1/6 tamper Clear ends; 1/7 tamper on; "
         "1/8 tamper lid ends"},
        // A word that nobody knows begins nothing that only its end would end; a call for help and
        // a forced door wait for people anyway.
        {R"({"boot":1,"events":[{"seq":1,"type":"tamper{start,clear}"},
             {"seq":2,"type":"tamper.released"},{"seq":3,"type":"door.held","state":"gone"},
             {"seq":4,"type":"tamper","active":false},{"seq":5,"type":"tamper","begins":"no"},
             {"seq":6,"type":"tamper.cleared","state":"start"},
             {"seq":7,"type":"tamper{clear"},{"seq":8,"type":"duress.pin9"},
             {"seq":9,"type":"door.forced","detail":"hinge"}]})",
         "1/1 vendor; 1/2 vendor; 1/3 vendor; 1/4 vendor; 1/5 vendor; 1/6 vendor; 1/7 vendor; "
         "1/8 duress pin9; 1/9 door.forced hinge bad:0:start_clear bad:1:start_clear "
         "bad:2:start_clear bad:3:start_clear bad:4:start_clear bad:5:start_clear "
         "bad:6:start_clear"},
        // Where it belongs, of what hangs in a strange slot.
        {R"({"boot":1,"events":[{"seq":1,"type":"key.wrong_slot","slot":5,"home":3},
             {"seq":2,"type":"key.wrong_slot","slot":5,"home":"three"},
             {"seq":3,"type":"door.opened","home":"three"}]})",
         "1/1 key.wrong_slot #5 home 3; 1/2 vendor; 1/3 door.opened bad:1:home_range"},
        // Of what does not last they are words like any other.
        {R"({"boot":1,"events":[{"seq":1,"type":"key.removed","slot":1,"start":"08:00"}]})",
         "1/1 key.removed #1"},
        {R"({"boot":1,"events":[{"seq":1,"type":"session.open",
             "cred":{"kind":"card","fmt":"w34","ref":"123"}}]})",
         "1/1 session.open w34:123"},
        {R"({"boot":1,"events":[{"seq":1,"type":"session.open",
             "cred":{"kind":"card","fmt":"w34","ref":"hmac256:00ff"}}]})",
         "1/1 session.open hmac256:00ff"},
        {R"({"boot":1,"events":[{"seq":1,"type":"inventory","present":[1,3]}]})",
         "1/1 inventory +1 +3"},
        {R"({"boot":1,"events":[{"seq":1,"type":"inventory","bitmap":"0101"}]})",
         "1/1 inventory +2 +4"},
        {R"({"boot":1,"events":[{"seq":1,"type":"inventory","list":[1,2]}]})",
         "1/1 inventory +1 +2"},
        // What is no text of 0 and 1 says nothing of any slot.
        {R"({"boot":1,"events":[{"seq":1,"type":"inventory","bitmap":"FD03"}]})",
         "1/1 vendor bad:0:slots"},
        {R"({"boot":1,"events":[{"seq":1,"type":"inventory","bitmap":"01 1"}]})",
         "1/1 vendor bad:0:slots"},
        {R"({"boot":1,"events":[{"seq":1,"type":"inventory","bitmap":""}]})",
         "1/1 vendor bad:0:slots"},
        {R"({"boot":1,"events":[{"seq":1,"type":"inventory","bitmap":5}]})",
         "1/1 vendor bad:0:slots"},
        {R"({"boot":1,"events":[{"seq":1,"type":"inventory","list":["1"]}]})",
         "1/1 vendor bad:0:slots"},
        {R"({"boot":1,"events":[{"seq":1,"type":"door.closed","present":true}]})",
         "1/1 door.closed"},
        {R"({"boot":1,"events":[{"seq":1,"type":"maker.thing"}]})", "1/1 vendor"},
        // What has a number is kept raw, so that no hole is told where there is none.
        {R"({"boot":1,"events":[{"seq":1,"type":"key.removed","slot":-1}]})",
         "1/1 vendor bad:0:slot_range"},
        {R"({"boot":1,"events":[{"seq":1,"type":"key.removed","ts":"soon"}]})",
         "1/1 vendor bad:0:ts"},
        {R"({"boot":1,"events":[{"seq":1,"type":"inventory"}]})", "1/1 vendor bad:0:slots"},
        {R"({"boot":1,"events":[{"type":"key.removed"},7]})", " bad:0:seq bad:1:no_object"},
        {R"({"events":[{"seq":1,"type":"boot"}]})", " bad:0:boot"},
        {R"({"boot":1,"events":[]})", ""},
        {R"({"src":"kc-02","boot":1,"events":[]})", "src-mismatch"},
        {R"({"boot":1,"events":[{"src":"kc-02","seq":1,"type":"boot"}]})", "src-mismatch"},
        {R"({"boot":1,"events":7})", "malformed"},
        // Neither a batch nor an event: a name is wrong, or something is missing.
        {"{}", "no-events"},
        {R"({"src":"kc-01","boot":1})", "no-events"},
        {R"({"src":"kc-01","boot":1,"event":[{"seq":1,"type":"boot"}]})", "no-events"},
        {R"({"boot":1,"type":"boot"})", "no-events"},
        {R"({"boot":1,"seq":1})", "no-events"},
        {R"({"boot":1)", "malformed"},
        {"7", "malformed"},
        {R"([[[[[[[[[1]]]]]]]]])", "malformed"},
    };
    for (const Row& row : rows) {
        INFO(row.body);
        CHECK(decoded(row.body) == row.events);
    }
}

TEST_CASE("a bitmap says how many slots it speaks of, and a list speaks of all") {
    const auto covers = [](const std::string& fields) {
        const auto result = cabinet::decode_push(
            R"({"boot":1,"seq":1,"type":"inventory",)" + fields + "}", "kc-01", test::kZone);
        return std::get<KeyPush>(result).events.at(0).covers;
    };
    CHECK(covers(R"("bitmap":"00")") == 2);
    CHECK_FALSE(covers(R"("slots":[1])"));
}

TEST_CASE("what is not read of a known event is kept with it, cut short") {
    const auto extra = [](const std::string& fields) {
        const auto result = cabinet::decode_push(
            R"({"boot":1,"seq":1,"type":"key.removed","slot":2)" + fields + "}", "kc-01",
            test::kZone);
        return std::get<KeyPush>(result).events.at(0).extra;
    };
    CHECK(extra(R"(,"person":"s-1","clk":"sync","q":"device")").empty());
    CHECK(extra(R"(,"start":"08:00")") == R"({"start":"08:00"})");
    CHECK(extra(R"(,"raw":"AA 01","weight_g":31)") == R"({"raw":"AA 01","weight_g":31})");
    CHECK(extra(R"(,"raw":")" + std::string(1'000, 'A') + "\"").size() == 256);
    // Between two characters, so that the book can be read again.
    std::string words;
    for (int i = 0; i < 300; ++i) words += "钥";
    CHECK(is_utf8(extra(R"(,"raw":")" + words + "\"")));
}

TEST_CASE("how a key was taken by no badge, and of which boot an unreadable event was") {
    const auto push = [](const char* body) {
        return std::get<KeyPush>(cabinet::decode_push(body, "kc-01", test::kZone));
    };
    for (const char* kind : {"mech", "remote"})
        CHECK(push((R"({"boot":1,"seq":1,"type":"key.removed","cred":{"kind":")" +
                    std::string(kind) + "\"}}")
                       .c_str())
                  .events.at(0)
                  .stranger);
    CHECK_FALSE(push(R"({"boot":1,"seq":1,"type":"key.removed","cred":{"kind":"none"}})")
                    .events.at(0)
                    .stranger);
    CHECK(push(R"({"boot":7,"seq":"x","type":"boot"})").boot == 7);
}

TEST_CASE("a push has a limit of bytes and of events") {
    std::string many = R"({"boot":1,"events":[)";
    for (int i = 0; i < 256; ++i)
        many += (i == 0 ? "" : ",") + std::string(R"({"seq":)") + std::to_string(i) +
                R"(,"type":"boot"})";
    CHECK(decoded(many + "]}").starts_with("1/0 boot"));
    CHECK(decoded(many + R"(,{"seq":256,"type":"boot"}]})") == "too-many");
    CHECK(decoded("[" + std::string(cabinet::kPushBytesMax - 2, ' ') + "]") == "");
    CHECK(decoded("[" + std::string(cabinet::kPushBytesMax - 1, ' ') + "]") == "too-large");
}

TEST_CASE("a badge reader beside a cabinet pushes under a name of its own") {
    struct Row {
        const char* body;
        const char *of_cabinet,
            *of_asked;  // where the cabinet pushes itself, and where it is asked
    };
    const Row rows[] = {
        {R"({"src":"kc-01/reader","boot":1,"events":[{"seq":1,"type":"boot"}]})",
         "kc-01/reader/1/1", "kc-01/reader/1/1"},
        {R"({"src":"kc-01","boot":1,"events":[{"seq":1,"type":"boot"}]})", "kc-01/1/1",
         "kc-01/reader/1/1"},
        {R"({"boot":1,"seq":1,"type":"boot"})", "kc-01/1/1", "kc-01/reader/1/1"},
        {R"([{"boot":1,"seq":1,"type":"boot"},
             {"src":"kc-01/reader","boot":1,"seq":2,"type":"boot"}])",
         "kc-01/reader/1/1", "kc-01/reader/1/1"},
        {R"({"src":"kc-02/reader","boot":1,"events":[]})", "src-mismatch", "src-mismatch"},
        {R"({"src":"kc-01-reader","boot":1,"events":[]})", "src-mismatch", "src-mismatch"},
        {R"({"src":"kc-01","boot":1,"events":[{"src":"kc-01/reader","seq":1,"type":"boot"}]})",
         "src-mismatch", "kc-01/reader/1/1"},
    };
    for (const Row& row : rows) {
        const auto told = [&](cabinet::PushFrom from) {
            const auto result = cabinet::decode_push(row.body, "kc-01", test::kZone, from);
            if (const auto* refused = std::get_if<cabinet::PushRefusal>(&result))
                return refused->code;
            const auto& push = std::get<KeyPush>(result);
            for (const KeyEvent& event : push.events) CHECK(event.id.source == push.source);
            return format(push.events.at(0).id);
        };
        INFO(row.body);
        CHECK(told(cabinet::PushFrom::cabinet) == row.of_cabinet);
        CHECK(told(cabinet::PushFrom::reader_alone) == row.of_asked);
    }
}

TEST_CASE("times of a push: the cabinet's own, its clock as it sends, or none") {
    const auto result = cabinet::decode_push(
        R"({"boot":1,"now":"2026-11-23T10:00:00+08:00","events":[
            {"seq":1,"type":"boot","ts":"2026-11-23T09:59:00+08:00"},
            {"seq":2,"type":"boot","ts":"2026-11-23T09:59:00+08:00","clk":"unset"}]})",
        "kc-01", test::kZone);
    const auto& push = std::get<KeyPush>(result);
    REQUIRE(push.events.size() == 2);
    CHECK(push.device_now == test::at({2026, 11, 23}, 10, 0));
    CHECK(push.events[0].at == test::at({2026, 11, 23}, 9, 59));
    CHECK(push.events[1].at == 0);
}
