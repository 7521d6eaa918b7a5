// What cabinets push, decoded: each row a body and what became of it.
#include "drivers/cabinet/push.hpp"

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
