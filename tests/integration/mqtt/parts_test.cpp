// The parts that need no broker: window, backoff, routes.
#include "daemon/engine/key_board.hpp"
#include "daemon/mqtt/backoff.hpp"
#include "daemon/mqtt/cabinet_state.hpp"
#include "daemon/mqtt/discovery.hpp"
#include "daemon/mqtt/event_window.hpp"
#include "daemon/mqtt/routes.hpp"
#include "daemon/mqtt/seal_line.hpp"
#include "daemon/mqtt/state_book.hpp"
#include "tests/integration/mqtt/fake_source.hpp"
#include "tests/support/catch.hpp"

namespace gatehouse::mqtt {
namespace {

TEST_CASE("the cursor is the last row before the first that is not acknowledged") {
    EventWindow window(10);
    window.add(11, 2);
    window.add(12, 0);
    window.add(13, 1);
    CHECK(window.cursor() == 10);
    window.acknowledged(13);
    CHECK(window.cursor() == 10);
    window.acknowledged(11);
    CHECK(window.cursor() == 10);
    window.acknowledged(11);
    CHECK(window.cursor() == 13);
    CHECK(window.rows() == 0);
}

TEST_CASE("a row that publishes nothing moves the cursor only when its turn has come") {
    EventWindow window(0);
    window.add(1, 0);
    CHECK(window.cursor() == 1);
    window.add(2, 1);
    window.add(3, 0);
    CHECK(window.cursor() == 1);
    window.acknowledged(2);
    CHECK(window.cursor() == 3);
}

TEST_CASE("a lost connection reads on from the cursor, and late words change nothing") {
    EventWindow window(0);
    window.add(1, 1);
    window.add(2, 1);
    window.acknowledged(1);
    window.forget();
    CHECK(window.cursor() == 1);
    CHECK(window.last() == 1);
    window.acknowledged(2);
    CHECK(window.cursor() == 1);
    window.add(2, 1);
    CHECK(window.cursor() == 1);
}

TEST_CASE("the pause between attempts doubles, with jitter, and stays in its bounds") {
    const std::uint64_t seed = GENERATE(1U, 7U, 4711U);
    CAPTURE(seed);
    test::SeededRandom random(seed);
    Backoff backoff(1'000, 60'000);
    std::int64_t most = 0;
    for (int i = 0; i < 100; ++i) {
        const std::int64_t pause = backoff.next_ms(random);
        CHECK(pause >= 1'000);
        CHECK(pause <= 60'000);
        if (i == 0) CHECK(pause <= 2'000);
        if (i >= 6) CHECK(pause >= 30'000);
        most = std::max(most, pause);
    }
    CHECK(most > 45'000);
    backoff.succeeded();
    CHECK(backoff.next_ms(random) <= 2'000);
}

TEST_CASE("each day's seal is told once, in order, the next when the one before is acknowledged") {
    const Settings settings = test::settings_for(1883);
    test::FakeSource source;
    source.seals = {{"2026-11-21", 5, "ab"}, {"2026-11-22", 7, "cd"}, {"2026-11-23", 7, "cd"}};
    SealLine line(settings);
    const auto date_of = [](const std::optional<Message>& message) {
        if (!message) return std::string();
        CHECK(message->topic == "gatehouse/riverside/bridge/seal");
        CHECK(message->qos == 1);
        CHECK(message->retained);
        const std::size_t at = message->payload.find("\"date\":\"");
        return message->payload.substr(at + 8, 10);
    };

    SECTION("of days that nobody was told of") {
        for (const char* date : {"2026-11-21", "2026-11-22", "2026-11-23"}) {
            CHECK(date_of(line.next(source, 0)) == date);
            CHECK(date_of(line.next(source, 0)) == date);  // the library was full
            line.handed_over();
            CHECK_FALSE(line.next(source, 0));
            CHECK(line.told() < date);
            line.acknowledged();
            CHECK(line.told() == date);
        }
        CHECK_FALSE(line.next(source, 0));
    }
    SECTION("of those after what is noted as told") {
        REQUIRE(source.advance_cursor(0, "2026-11-21"));
        CHECK(date_of(line.next(source, 0)) == "2026-11-22");
    }
    SECTION("again where its connection went before the acknowledgement") {
        CHECK(date_of(line.next(source, 0)) == "2026-11-21");
        line.handed_over();
        line.forget();
        CHECK(date_of(line.next(source, 0)) == "2026-11-21");
        line.handed_over();
        line.acknowledged();
        CHECK(date_of(line.next(source, 0)) == "2026-11-22");
    }
    SECTION("the newest alone for a broker that may have lost it, and once a connection") {
        REQUIRE(source.advance_cursor(0, "2026-11-23"));
        CHECK(date_of(line.next(source, 0)) == "2026-11-23");
        line.handed_over();
        line.acknowledged();
        CHECK_FALSE(line.next(source, 0));
        CHECK_FALSE(line.next(source, 10 * 60'000));
        line.forget();
        CHECK(date_of(line.next(source, 10 * 60'000)) == "2026-11-23");
    }
    SECTION("a day that ends while the connection stands") {
        REQUIRE(source.advance_cursor(0, "2026-11-23"));
        line.handed_over();
        line.acknowledged();
        CHECK_FALSE(line.next(source, 0));
        source.seals.push_back({"2026-11-24", 9, "ef"});
        CHECK_FALSE(line.next(source, 1'000));  // looked at a moment ago
        CHECK(date_of(line.next(source, 60'000)) == "2026-11-24");
    }
}

TEST_CASE("an alert goes to its kind's topic and to its retained copy") {
    const Settings settings = test::settings_for(1883);
    const Routed raised =
        route({5, "alert.raised", test::FakeSource::body("A1", "raised", 5)}, settings);
    REQUIRE(raised.messages.size() == 2);
    CHECK(raised.messages[0].topic == "gatehouse/riverside/alert/low_balance");
    CHECK(raised.messages[0].qos == 1);
    CHECK_FALSE(raised.messages[0].retained);
    CHECK(raised.messages[1].topic == "gatehouse/riverside/alert/active/A1");
    CHECK(raised.messages[1].retained);
    CHECK(raised.messages[1].payload == raised.messages[0].payload);

    const Routed cleared =
        route({6, "alert.cleared", test::FakeSource::body("A1", "cleared", 6)}, settings);
    REQUIRE(cleared.messages.size() == 2);
    CHECK_FALSE(cleared.messages[0].payload.empty());
    CHECK(cleared.messages[1].payload.empty());
}

TEST_CASE("rows of other kinds, and removed bodies, only move the cursor") {
    const Settings settings = test::settings_for(1883);
    CHECK(route({1, "entry.charge", "{}"}, settings).messages.empty());
    const Routed removed = route({2, "alert.raised", std::nullopt}, settings);
    CHECK(removed.messages.empty());
    CHECK_FALSE(removed.broken);
}

TEST_CASE("a body that is not what its kind promises is passed over and counted") {
    const Settings settings = test::settings_for(1883);
    for (const char* body : {"", "{", "[]", "{}", R"({"id":"A1","kind":"low_balance"})",
                             R"({"id":"A/#","kind":"low_balance","state":"raised"})",
                             R"({"id":"A1","kind":"low/+","state":"raised"})"}) {
        CAPTURE(body);
        const Routed routed = route({1, "alert.raised", body}, settings);
        CHECK(routed.broken);
        CHECK(routed.messages.empty());
    }
    CHECK(route({1, "alert.raised", std::string(65 * 1024, ' ')}, settings).broken);
}

TEST_CASE("a test alert leaves nothing retained behind") {
    const Routed routed =
        route({1, "alert.raised", R"({"id":"A1","seq":1,"kind":"test","state":"raised"})"},
              test::settings_for(1883));
    REQUIRE(routed.messages.size() == 1);
    CHECK_FALSE(routed.messages[0].retained);
}

// The topics that a new connection is told, as StateBook gives them.
std::vector<Message> told(const Settings& settings, const Snapshot& snapshot) {
    const test::EastZone zone;
    StateBook book(settings, zone);
    book.scan(std::make_shared<const Snapshot>(snapshot), 0);
    std::vector<Message> messages;
    while (!book.empty()) {
        messages.push_back(book.front({}));
        book.handed_over(0);
    }
    return messages;
}

TEST_CASE("Home Assistant is told where each meter and balance is, where it is asked for") {
    test::FakeSource source;
    source.change([](Snapshot& snapshot) {
        Meter row;
        row.meter = "w.1";
        row.service = Service::water;
        MeterView meter;
        meter.row = std::make_shared<const Meter>(row);
        meter.unit_label = "3-1201";
        snapshot.meters.set(0, meter);
        AccountView account;
        account.account = "a-1";
        snapshot.accounts.set(0, account);
        account.account = "a-2";
        account.billing = Billing::internal;
        snapshot.accounts.set(1, account);
    });
    const auto announced = [&](const std::string& prefix) {
        Settings settings = test::settings_for(1883);
        settings.homeassistant_prefix = prefix;
        std::vector<Message> found;
        for (Message& message : told(settings, *source.snapshot()))
            if (message.topic.ends_with("/config")) found.push_back(std::move(message));
        return found;
    };
    CHECK(announced("").empty());
    const std::vector<Message> found = announced("ha");
    REQUIRE(found.size() == 3);  // the gateway too, and an internal account has no balance
    for (const Message& message : found) CHECK(message.retained);
    CHECK(found[0].topic == "ha/device/riverside_gateway/config");
    CHECK(found[1].topic == "ha/device/riverside_account_a-1/config");
    CHECK(found[1].payload.find(R"("state_topic":"gatehouse/riverside/account/a-1/balance")") !=
          std::string::npos);
    CHECK(found[2].topic == "ha/device/riverside_meter_w-2e-1/config");
    CHECK(found[2].payload.find(R"("state_topic":"gatehouse/riverside/meter/w.1/state")") !=
          std::string::npos);
    CHECK(found[2].payload.find(R"("device_class":"water")") != std::string::npos);
    // What is gone is ignored from 2026.4 on.
    for (const Message& message : found)
        CHECK(message.payload.find("\"object_id\"") == std::string::npos);
}

TEST_CASE("devices are announced once, again on a birth, and taken away with what they stand for") {
    test::FakeSource source;
    Settings settings = test::settings_for(1883);
    settings.homeassistant_prefix = "ha";
    const test::EastZone zone;
    StateBook book(settings, zone);
    const auto configs = [&] {
        book.scan(source.snapshot(), 0);
        std::vector<std::string> found;
        for (; !book.empty(); book.handed_over(0)) {
            const Message message = book.front({});
            if (message.topic.ends_with("/config"))
                found.push_back(message.topic + (message.payload.empty() ? " gone" : ""));
        }
        return found;
    };
    using Topics = std::vector<std::string>;
    const std::string gateway = "ha/device/riverside_gateway/config";
    const std::string one = "ha/device/riverside_account_a-1/config";
    source.change([](Snapshot& snapshot) {
        AccountView account;
        account.account = "a-1";
        snapshot.accounts.set(0, account);
    });
    CHECK(configs() == Topics{gateway, one});
    CHECK(configs().empty());
    book.announce_again();
    CHECK(configs() == Topics{gateway, one});
    book.heard_device("riverside_account_a-1");
    CHECK(configs().empty());
    book.heard_device("riverside_meter_old");
    CHECK(configs() == Topics{"ha/device/riverside_meter_old/config gone"});
    source.change([](Snapshot& snapshot) {
        AccountView account = snapshot.accounts[0];
        account.unit_label = "3-1201";
        snapshot.accounts.set(0, account);
    });
    CHECK(configs() == Topics{one});
    source.change([](Snapshot& snapshot) {
        AccountView account = snapshot.accounts[0];
        account.open = false;
        snapshot.accounts.set(0, account);
    });
    CHECK(configs() == Topics{one + " gone"});
    CHECK(configs().empty());
    book.forget();
    CHECK(configs() == Topics{gateway});
}

TEST_CASE("a figure that is not known renders as None, which Home Assistant shows as unknown") {
    test::FakeSource source;
    source.change([](Snapshot& snapshot) {
        Meter row;
        row.meter = "e-1";
        MeterView meter;
        meter.row = std::make_shared<const Meter>(row);
        meter.power_milliwatt = 1'000;
        snapshot.meters.set(0, meter);
        AccountView account;
        account.account = "a-1";
        snapshot.accounts.set(0, account);
    });
    Settings settings = test::settings_for(1883);
    settings.homeassistant_prefix = "ha";
    std::string all;
    for (const Message& message : told(settings, *source.snapshot()))
        if (message.topic.ends_with("/config")) all += message.payload;
    for (const std::string field : {"days_left", "power", "total", "register", "disk_free_bytes"}) {
        const std::string value = "value_json." + field;
        INFO(field);
        CHECK(all.find("{{ " + value + " if " + value + " is defined and " + value +
                       " is not none else 'None' }}") != std::string::npos);
    }
    CHECK(all.find("else ''") == std::string::npos);
}

TEST_CASE("with Home Assistant switched off what was announced is taken away, and nothing more") {
    test::FakeSource source;
    source.change([](Snapshot& snapshot) {
        AccountView account;
        account.account = "a-1";
        snapshot.accounts.set(0, account);
    });
    Settings settings = test::settings_for(1883);
    settings.homeassistant_old_prefix = "ha";
    const test::EastZone zone;
    StateBook book(settings, zone);
    const auto cleared = [&] {
        book.scan(source.snapshot(), 0);
        std::vector<std::string> found;
        for (; !book.empty(); book.handed_over(0)) {
            const Message message = book.front({});
            CHECK(message.retained);
            if (message.topic.starts_with("ha/")) CHECK(message.payload.empty());
            if (message.payload.empty()) found.push_back(message.topic);
        }
        return found;
    };
    using Topics = std::vector<std::string>;
    CHECK(announced_filter(settings) == "ha/device/+/config");
    CHECK(cleared().empty());
    for (const char* object : {"gateway", "account_a-1"}) {
        const std::string topic = "ha/device/riverside_" + std::string(object) + "/config";
        CHECK(own_object(settings, topic) == "riverside_" + std::string(object));
        // The account is still there: its balance stays.
        book.heard_device(
            *own_object(settings, topic),
            R"({"state_topic":"gatehouse/riverside/account/a-1/balance","availability":[]})");
        CHECK(cleared() == Topics{topic});
    }
    CHECK(cleared().empty());
}

TEST_CASE("what nobody knows any more goes with its retained state, and only its own") {
    test::FakeSource source;
    source.change([](Snapshot& snapshot) { snapshot.keys = std::make_shared<KeyBoard>(); });
    Settings settings = test::settings_for(1883);
    settings.homeassistant_prefix = "ha";
    const test::EastZone zone;
    StateBook book(settings, zone);
    const auto cleared = [&] {
        book.scan(source.snapshot(), 0);
        std::vector<std::string> found;
        for (; !book.empty(); book.handed_over(0))
            if (const Message message = book.front({}); message.payload.empty())
                found.push_back(message.topic);
        return found;
    };
    struct Row {
        const char *object, *config;
        std::vector<std::string> cleared;
    };
    const std::string root = "gatehouse/riverside/";
    const Row rows[] = {
        {"riverside_meter_m",
         R"({"state_topic":"gatehouse/riverside/meter/m/state","availability":[)"
         R"({"topic":"gatehouse/riverside/status"},)"
         R"({"topic":"gatehouse/riverside/meter/m/availability"}]})",
         {root + "meter/m/availability", root + "meter/m/state"}},
        {"riverside_account_a",
         R"({"state_topic":"gatehouse/riverside/account/a/balance"})",
         {root + "account/a/balance"}},
        {"riverside_meter_n", R"({"state_topic":"gatehouse/elsewhere/meter/n/state"})", {}},
        {"riverside_meter_o", "no JSON", {}},
        {"riverside_meter_p", R"({"state_topic":7,"availability":[1,{"topic":[]}]})", {}},
    };
    for (const Row& row : rows) {
        INFO(row.object);
        book.heard_device(row.object, row.config);
        std::vector<std::string> all{"ha/device/" + std::string(row.object) + "/config"};
        all.insert(all.end(), row.cleared.begin(), row.cleared.end());
        CHECK(cleared() == all);
    }
    // A cabinet needs no announcement for that: there are few, and their topics are listened to.
    CHECK(cabinet_state_filter(settings) == root + "cabinet/+/state");
    CHECK(cabinet_of_state(settings, root + "cabinet/kc-9/state") == "kc-9");
    CHECK_FALSE(cabinet_of_state(settings, root + "cabinet/kc-9/event"));
    book.heard_cabinet("kc-9");
    CHECK(cleared() == std::vector<std::string>{root + "cabinet/kc-9/state"});
    CHECK(cleared().empty());
}

TEST_CASE("a closed account says its last balance, and then its topic carries nothing") {
    test::FakeSource source;
    const Settings settings = test::settings_for(1883);
    const test::EastZone zone;
    StateBook book(settings, zone);
    MonoMs now = 0;
    const std::string topic = "gatehouse/riverside/account/a-1/balance";
    const auto said = [&] {
        now += 2'000;
        book.scan(source.snapshot(), now);
        std::vector<std::string> found;
        for (; !book.empty(); book.handed_over(now)) {
            const Message message = book.front({});
            if (message.topic == topic)
                found.push_back(message.payload.empty() ? "nothing" : "a balance");
        }
        return found;
    };
    using Words = std::vector<std::string>;
    const auto change = [&](bool open, std::optional<UtcMs> closed_at, std::uint64_t version) {
        source.change([&](Snapshot& snapshot) {
            AccountView account;
            account.account = "a-1";
            account.open = open;
            account.closed_at = closed_at;
            account.state_version = version;
            snapshot.accounts.set(0, account);
        });
    };
    const UtcMs at = source.snapshot()->now_ms;
    change(true, {}, 1);
    CHECK(said() == Words{"a balance"});
    change(false, at, 2);
    CHECK(said() == Words{"a balance", "nothing"});
    change(false, at, 3);
    CHECK(said().empty());
    book.forget();  // a new connection, or another run: a crash may have kept the old balance there
    CHECK(said() == Words{"nothing"});
    CHECK(said().empty());
    change(false, at - 40 * std::int64_t{86'400'000}, 4);
    book.forget();
    CHECK(said().empty());
}

Key key_at(const std::string& id, int slot) {
    Key key;
    key.key = id;
    key.cabinet = "kc.1";
    key.slot = slot;
    return key;
}

// Three keys at home in one cabinet; of each, where it is.
void hang(Snapshot& snapshot, const std::vector<std::pair<int, KeyPlace>>& keys) {
    auto registry = std::make_shared<Registry>();
    auto board = std::make_shared<KeyBoard>();
    CabinetView cabinet;
    cabinet.cabinet = "kc.1";
    cabinet.profile = "kcm-1";
    cabinet.seen = true;
    cabinet.keys = static_cast<int>(keys.size());
    for (const auto& [slot, place] : keys) {
        registry->keys.push_back(key_at("k-" + std::to_string(slot), slot));
        KeyView view;
        view.key = registry->keys.back().key;
        view.cabinet = "kc.1";
        view.slot = slot;
        view.place = place;
        cabinet.out += place == KeyPlace::out ? 1 : 0;
        board->keys.push_back(view);
    }
    board->cabinets.push_back(cabinet);
    snapshot.registry = registry;
    snapshot.keys = board;
}

TEST_CASE("a key cabinet has a retained state, told again only where it changed") {
    test::FakeSource source;
    Settings settings = test::settings_for(1883);
    const test::EastZone zone;
    StateBook book(settings, zone);
    const std::string topic = "gatehouse/riverside/cabinet/kc.1/state";
    const auto told_now = [&] {
        book.scan(source.snapshot(), 0);
        std::vector<std::string> found;
        for (; !book.empty(); book.handed_over(0)) {
            const Message message = book.front({});
            if (message.topic != topic) continue;
            CHECK(message.retained);
            found.push_back(message.payload);
        }
        return found;
    };
    using Payloads = std::vector<std::string>;
    source.change([](Snapshot& snapshot) {
        hang(snapshot, {{2, KeyPlace::in}, {7, KeyPlace::out}, {9, KeyPlace::unknown}});
    });
    CHECK(told_now() ==
          Payloads{R"({"schema":1,"cabinet":"kc.1","online":true,"keys":3,"out":1,"slots":)"
                   R"({"2":{"key":"k-2","occupied":true},"7":{"key":"k-7","occupied":false},)"
                   R"("9":{"key":"k-9","occupied":null}},"gaps":0})"});
    source.change([](Snapshot& snapshot) {
        hang(snapshot, {{2, KeyPlace::in}, {7, KeyPlace::out}, {9, KeyPlace::unknown}});
    });
    CHECK(told_now().empty());
    // Back, and into the wrong slot.
    source.change([](Snapshot& snapshot) {
        hang(snapshot, {{2, KeyPlace::out}, {7, KeyPlace::in}});
        auto board = std::make_shared<KeyBoard>(*snapshot.keys);
        board->keys[1].slot = 2;
        snapshot.keys = board;
    });
    CHECK(told_now() ==
          Payloads{R"({"schema":1,"cabinet":"kc.1","online":true,"keys":2,"out":1,"slots":)"
                   R"({"2":{"key":"k-7","occupied":true},"7":{"key":"k-7","occupied":false}},)"
                   R"("gaps":0})"});
    book.forget();
    CHECK(told_now().size() == 1);
}

TEST_CASE("Home Assistant is told of a cabinet's slots, and of those that are none any more") {
    test::FakeSource source;
    Settings settings = test::settings_for(1883);
    settings.homeassistant_prefix = "ha";
    const test::EastZone zone;
    StateBook book(settings, zone);
    const auto config = [&] {
        book.scan(source.snapshot(), 0);
        std::string found;
        for (; !book.empty(); book.handed_over(0)) {
            const Message message = book.front({});
            if (message.topic == "ha/device/riverside_cabinet_kc-2e-1/config")
                found = message.payload;
        }
        return found;
    };
    const auto holds = [](const std::string& text, const char* part) {
        return text.find(part) != std::string::npos;
    };
    source.change([](Snapshot& snapshot) {
        hang(snapshot, {{2, KeyPlace::in}, {7, KeyPlace::in}});
    });
    const std::string both = config();
    CHECK(holds(both, R"("slot_2":{"platform":"binary_sensor","unique_id")"));
    CHECK(holds(both, R"("slot_7":{"platform":"binary_sensor","unique_id")"));
    CHECK(holds(both, R"("event_types":["session.open",)"));
    CHECK(holds(both, R"("key.extended","log.filled"])"));
    book.heard_device("riverside_cabinet_kc-2e-1");
    CHECK(config().empty());
    source.change([](Snapshot& snapshot) { hang(snapshot, {{7, KeyPlace::in}}); });
    const std::string one = config();
    CHECK(holds(one, R"("slot_2":{"platform":"binary_sensor"})"));
    CHECK(holds(one, R"("slot_7":{"platform":"binary_sensor","unique_id")"));
    source.change([](Snapshot& snapshot) {
        hang(snapshot, {{2, KeyPlace::in}, {7, KeyPlace::in}});
    });
    CHECK(config() == both);
}

TEST_CASE("only devices of this site are its own") {
    Settings settings = test::settings_for(1883);
    settings.homeassistant_prefix = "ha";
    CHECK(own_object(settings, "ha/device/riverside_meter_e-1/config") == "riverside_meter_e-1");
    CHECK(own_object(settings, "ha/device/riverside_gateway/config") == "riverside_gateway");
    CHECK_FALSE(own_object(settings, "ha/device/riverside2_meter_e-1/config"));
    CHECK_FALSE(own_object(settings, "ha/device/0x00158d/config"));
    CHECK_FALSE(own_object(settings, "ha/sensor/riverside_meter_e-1/config"));
    CHECK_FALSE(own_object(settings, "other/device/riverside_meter_e-1/config"));
}

}  // namespace
}  // namespace gatehouse::mqtt
