// The publisher against a real mosquitto: order, loss, refusal, farewell, and what is retained.
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "daemon/mqtt/publisher.hpp"
#include "tests/integration/mqtt/broker.hpp"
#include "tests/integration/mqtt/fake_source.hpp"
#include "tests/support/catch.hpp"

namespace gatehouse::test {
namespace {

struct World {
    FakeSource source;
    RealClock clock;
    EastZone zone;
    SeededRandom random{20261123};
    std::unique_ptr<mqtt::Publisher> publisher;

    void start(mqtt::Settings settings) {
        publisher =
            std::make_unique<mqtt::Publisher>(std::move(settings), source, zone, clock, random);
        publisher->start();
    }
    bool connected() const { return publisher->status().connected; }
    bool drained() const {
        const mqtt::Status status = publisher->status();
        return status.connected && status.backlog == 0 && status.in_flight == 0;
    }
};

std::vector<std::uint64_t> first_seqs(const std::vector<Heard>& heard) {
    std::vector<std::uint64_t> seqs;
    std::set<std::uint64_t> seen;
    for (const Heard& one : heard) {
        const std::uint64_t seq = seq_of(one.payload);
        if (seen.insert(seq).second) seqs.push_back(seq);
    }
    return seqs;
}

std::vector<std::uint64_t> one_to(std::uint64_t last) {
    std::vector<std::uint64_t> seqs;
    for (std::uint64_t seq = 1; seq <= last; ++seq) seqs.push_back(seq);
    return seqs;
}

MeterView meter(std::uint64_t version) {
    Meter row;
    row.meter = "m-1";
    row.unit = "u-1";
    MeterView view;
    view.row = std::make_shared<const Meter>(row);
    view.unit_label = "3-2-1201";
    view.online = true;
    view.register_value = Milli{4'211'730};
    view.total = Milli{4'211'730};
    view.read_at = 1'795'392'900'000;
    view.state_version = version;
    return view;
}

AccountView account(const std::string& id, std::uint64_t version) {
    AccountView view;
    view.account = id;
    view.unit = "u-1";
    view.ledger = view.balance = view.provisional = Fen{1230};
    view.state_version = version;
    return view;
}

constexpr std::int64_t kHourMs = 3'600'000;

TEST_CASE("events arrive once and in order; the cleared alert leaves nothing retained") {
    Broker broker;
    broker.start();
    Subscriber subscriber(broker.port(), "watch");
    World world;
    world.source.alert("A1", "raised");
    world.source.append("entry.charge", "{}");
    world.source.alert("A1", "escalated");
    world.start(settings_for(broker.port()));
    REQUIRE(eventually([&] { return world.drained(); }));
    CHECK(seq_of(subscriber.last("alert/active/A1")) == 3);

    world.source.alert("A2", "raised");
    world.source.alert("A1", "cleared");
    world.publisher->wake();
    REQUIRE(eventually([&] { return subscriber.on("alert/active/A1").size() == 3; }));
    CHECK(first_seqs(subscriber.on("alert/low_balance")) == std::vector<std::uint64_t>{1, 3, 4, 5});
    CHECK(subscriber.on("alert/low_balance").size() == 4);
    CHECK(subscriber.last("alert/active/A1").empty());
    for (const Heard& heard : subscriber.on("alert/low_balance")) CHECK(heard.qos == 1);

    Subscriber later(broker.port(), "later");
    REQUIRE(eventually([&] { return !later.on("alert/active/A2").empty(); }));
    CHECK(later.on("alert/active/A2").front().retained);
    CHECK(later.on("alert/active/A1").empty());
    CHECK(later.on("alert/low_balance").empty());
    REQUIRE(eventually([&] { return !world.source.cursors().empty(); }));
    REQUIRE(eventually([&] { return world.source.cursors().back() == 5; }));
}

// What a dead broker acknowledged and did not pass on is its own loss; what it did not acknowledge
// comes again. So each life of the broker begins after the cursor of the one before, without a gap.
TEST_CASE("after the broker was killed everything not acknowledged comes again, in order") {
    Broker broker;
    broker.start();
    auto subscriber = std::make_unique<Subscriber>(broker.port(), "watch");
    World world;
    mqtt::Settings settings = settings_for(broker.port());
    // It stays away until the subscriber is back, since it would speak to nobody.
    settings.reconnect_min_ms = settings.reconnect_max_ms = kHourMs;
    world.start(settings);
    REQUIRE(eventually([&] { return world.connected(); }));

    std::uint64_t cursor = 0, appended = 0;
    // Empty where the life's first occurrences rise from the cursor without a gap.
    const auto gap = [&] {
        const std::vector<std::uint64_t> seqs = first_seqs(subscriber->on("alert/low_balance"));
        for (std::size_t i = 0; i < seqs.size(); ++i) {
            if (seqs[i] == cursor + 1 + i) continue;
            return "cursor " + std::to_string(cursor) + ", heard " + std::to_string(seqs[i]) +
                   " as number " + std::to_string(i + 1) + " of " + std::to_string(seqs.size());
        }
        return std::string(seqs.empty() ? "heard nothing" : "");
    };
    for (int life = 0; life < 3; ++life) {
        for (int i = 0; i < 3'000; ++i) {
            appended = world.source.alert("A" + std::to_string(i), "raised");
        }
        world.publisher->wake();
        REQUIRE(eventually([&] { return subscriber->on("alert/low_balance").size() > 40; }));
        broker.kill_hard();
        CHECK(gap() == "");
        REQUIRE(eventually([&] {
            const mqtt::Status status = world.publisher->status();
            return !status.connected && status.in_flight == 0;
        }));
        cursor = world.publisher->status().cursor;
        subscriber.reset();
        broker.start();
        subscriber = std::make_unique<Subscriber>(broker.port(), "watch");
        world.clock.skip(kHourMs);
        world.publisher->wake();
        CHECK(cursor < appended);
        REQUIRE(eventually([&] { return world.connected(); }));
    }
    REQUIRE(eventually([&] { return world.drained(); }));
    REQUIRE(eventually([&] { return seq_of(subscriber->last("alert/low_balance")) == appended; }));
    CHECK(gap() == "");
    CHECK(world.publisher->status().reconnects >= 3);
}

TEST_CASE("a refused password is said by name, and a new one is read at the next attempt") {
    TempFolder folder;
    write_file(folder.file("secret"), "wrong\n");
    run_program({"mosquitto_passwd", "-b", "-c", folder.file("users"), "gatehouse", "right"});
    Broker broker({"allow_anonymous false", "password_file " + folder.file("users")});
    broker.start();
    World world;
    mqtt::Settings settings = settings_for(broker.port());
    settings.username = "gatehouse";
    settings.password_file = folder.file("secret");
    world.start(settings);
    REQUIRE(eventually([&] {
        const std::string reason = world.publisher->status().reason;
        return reason.find("refuses") != std::string::npos;
    }));
    CHECK_FALSE(world.connected());
    write_file(folder.file("secret"), "right\n");
    REQUIRE(eventually([&] { return world.connected(); }));
    CHECK(world.publisher->status().reason.empty());
    world.publisher->stop();

    SECTION("a missing password file is said by its name") {
        settings.password_file = folder.file("absent");
        world.start(settings);
        REQUIRE(eventually(
            [&] { return world.publisher->status().reason.find("absent") != std::string::npos; }));
    }
}

TEST_CASE("with no broker at start the log waits, and all of it arrives when one comes") {
    Broker broker;
    World world;
    for (int i = 0; i < 50; ++i) world.source.alert("A" + std::to_string(i), "raised");
    mqtt::Settings settings = settings_for(broker.port());
    settings.reconnect_min_ms = 2'000;
    settings.reconnect_max_ms = 2'000;
    world.start(settings);
    REQUIRE(eventually([&] {
        return world.publisher->status().reason.find("no connection") != std::string::npos;
    }));
    CHECK(world.publisher->status().backlog == 50);
    CHECK(world.source.cursors().empty());
    broker.start();
    const Subscriber subscriber(broker.port(), "watch");
    REQUIRE(eventually([&] { return world.drained(); }));
    REQUIRE(eventually([&] { return subscriber.on("alert/active/A49").size() == 1; }));
    CHECK(subscriber.last("/status") == "online");
}

TEST_CASE("the broker says offline for a process that died") {
    Broker broker;
    broker.start();
    const Subscriber subscriber(broker.port(), "watch");
    const pid_t child = start_program({PUBLISHER_CHILD, std::to_string(broker.port())});
    REQUIRE(eventually([&] { return subscriber.last("/status") == "online"; }));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    REQUIRE(eventually([&] { return subscriber.last("/status") == "offline"; }));
}

TEST_CASE("a clean stop makes the last pass, the cursor and offline") {
    Broker broker;
    broker.start();
    const Subscriber subscriber(broker.port(), "watch");
    World world;
    world.start(settings_for(broker.port()));
    REQUIRE(eventually([&] { return world.connected(); }));
    for (int i = 0; i < 100; ++i) world.source.alert("A" + std::to_string(i), "raised");
    world.publisher->stop();
    REQUIRE_FALSE(world.source.cursors().empty());
    CHECK(world.source.cursors().back() == 100);
    REQUIRE(eventually([&] { return subscriber.last("/status") == "offline"; }));
    CHECK(subscriber.on("/status").size() == 2);
    CHECK(first_seqs(subscriber.on("alert/low_balance")) == one_to(100));
    CHECK_FALSE(world.connected());
}

TEST_CASE("a broker that lost its state gets all retained topics again") {
    Broker broker;
    broker.start();
    World world;
    world.source.seals = {{"2026-11-21", 5, "ab"}, {"2026-11-22", 7, "abcd"}};
    world.source.change([](Snapshot& snapshot) {
        snapshot.meters.set(0, meter(3));
        snapshot.accounts.set(0, account("a-1", 2));
        AlertView alert;
        alert.id = "OPEN1";
        alert.payload = FakeSource::body("OPEN1", "raised", 1);
        snapshot.open_alerts.push_back(std::make_shared<const AlertView>(alert));
    });
    world.start(settings_for(broker.port()));
    REQUIRE(eventually([&] { return world.connected(); }));
    // Noted once both days were acknowledged.
    REQUIRE(eventually([&] { return world.source.seal_told() == "2026-11-22"; }));
    broker.kill_hard();
    broker.start();
    const Subscriber subscriber(broker.port(), "watch");
    for (const char* topic :
         {"/status", "bridge/info", "bridge/health", "bridge/seal", "meter/m-1/state",
          "meter/m-1/availability", "account/a-1/balance", "alert/active/OPEN1"}) {
        CAPTURE(topic);
        CHECK(eventually([&] { return !subscriber.on(topic).empty(); }));
    }
    CHECK(subscriber.last("meter/m-1/availability") == "online");
    CHECK(subscriber.last("meter/m-1/state").find("\"total\":\"4211.730\"") != std::string::npos);
    CHECK(subscriber.last("account/a-1/balance").find("\"balance\":\"12.30\"") !=
          std::string::npos);
    CHECK(subscriber.last("bridge/info").find("\"run\":\"run-1\"") != std::string::npos);
    CHECK(subscriber.last("bridge/seal").find("\"date\":\"2026-11-22\"") != std::string::npos);
    CHECK(subscriber.last("bridge/health").find("\"disk_free_bytes\":123456789") !=
          std::string::npos);

    const Subscriber later(broker.port(), "later");
    REQUIRE(eventually([&] { return !later.on("meter/m-1/state").empty(); }));
    CHECK(later.on("meter/m-1/state").front().retained);
}

TEST_CASE("a changed meter is said at once, a balance at most once in its interval") {
    Broker broker;
    broker.start();
    const Subscriber subscriber(broker.port(), "watch");
    World world;
    world.source.change([](Snapshot& snapshot) {
        snapshot.meters.set(0, meter(1));
        snapshot.accounts.set(0, account("a-1", 1));
        AccountView trial = account("a-trial", 1);
        trial.trial = true;
        snapshot.accounts.set(1, trial);
        AccountView internal = account("a-internal", 1);
        internal.billing = Billing::internal;
        snapshot.accounts.set(2, internal);
        AccountView refused = account("a-refused", 1);
        refused.not_yet = "bands";
        snapshot.accounts.set(3, refused);
    });
    mqtt::Settings settings = settings_for(broker.port());
    settings.scan_interval_ms = 10;
    settings.balance_interval_ms = 600'000;
    world.start(settings);
    REQUIRE(eventually([&] { return subscriber.on("account/a-1/balance").size() == 1; }));
    REQUIRE(eventually([&] { return subscriber.on("meter/m-1/state").size() == 1; }));
    for (std::uint64_t version = 2; version <= 5; ++version) {
        world.source.change([version](Snapshot& snapshot) {
            snapshot.meters.set(0, meter(version));
            AccountView changed = account("a-1", version);
            changed.balance = Fen{static_cast<std::int64_t>(version)};
            snapshot.accounts.set(0, changed);
        });
        world.publisher->wake();
        REQUIRE(eventually([&] { return subscriber.on("meter/m-1/state").size() == version; }));
    }
    CHECK(subscriber.on("account/a-1/balance").size() == 1);
    CHECK(subscriber.on("meter/m-1/availability").size() == 1);
    CHECK(subscriber.on("account/a-trial/balance").empty());
    CHECK(subscriber.on("account/a-internal/balance").empty());
    CHECK(subscriber.on("account/a-refused/balance").empty());
}

TEST_CASE("a balance that had to wait for its interval is said when it is over") {
    Broker broker;
    broker.start();
    const Subscriber subscriber(broker.port(), "watch");
    World world;
    world.source.change([](Snapshot& snapshot) { snapshot.accounts.set(0, account("a-1", 1)); });
    mqtt::Settings settings = settings_for(broker.port());
    settings.balance_interval_ms = 300;
    world.start(settings);
    REQUIRE(eventually([&] { return subscriber.on("account/a-1/balance").size() == 1; }));
    world.source.change([](Snapshot& snapshot) {
        AccountView changed = account("a-1", 2);
        changed.balance = Fen{-5};
        snapshot.accounts.set(0, changed);
    });
    world.publisher->wake();
    REQUIRE(eventually([&] { return subscriber.on("account/a-1/balance").size() == 2; }));
    CHECK(subscriber.last("account/a-1/balance").find("\"balance\":\"-0.05\"") !=
          std::string::npos);
}

TEST_CASE("a balance of which only the time moved is said once in a longer interval") {
    Broker broker;
    broker.start();
    const Subscriber subscriber(broker.port(), "watch");
    World world;
    const auto read = [&](std::uint64_t version) {
        world.source.change([version](Snapshot& snapshot) {
            AccountView view = account("a-1", version);
            view.as_of = 1'795'392'900'000 + static_cast<std::int64_t>(version) * 60'000;
            snapshot.accounts.set(0, view);
            snapshot.meters.set(0, meter(version));
        });
    };
    const auto said = [&] { return subscriber.on("account/a-1/balance").size(); };
    read(1);
    mqtt::Settings settings = settings_for(broker.port());
    settings.scan_interval_ms = 10;
    settings.balance_interval_ms = 0;
    SECTION("not before it is over") {
        settings.balance_time_interval_ms = 600'000;
        world.start(settings);
        REQUIRE(eventually([&] { return said() == 1; }));
        for (std::uint64_t version = 2; version <= 5; ++version) {
            read(version);
            world.publisher->wake();
            REQUIRE(eventually([&] { return subscriber.on("meter/m-1/state").size() == version; }));
        }
        CHECK(said() == 1);
        // What somebody acts on does not wait for it, and takes the time along.
        world.source.change([](Snapshot& snapshot) {
            AccountView view = account("a-1", 6);
            view.days_left = 3;
            view.as_of = 1'795'392'900'000 + 360'000;
            snapshot.accounts.set(0, view);
        });
        world.publisher->wake();
        REQUIRE(eventually([&] { return said() == 2; }));
    }
    SECTION("and then without another change") {
        settings.balance_time_interval_ms = 300;
        world.start(settings);
        REQUIRE(eventually([&] { return said() == 1; }));
        read(2);
        world.publisher->wake();
        REQUIRE(eventually([&] { return said() == 2; }));
    }
}

struct Stall {
    std::size_t window;
    std::uint64_t events;
    std::size_t text_bytes;
};

// Appends while the broker stands still, and sees everything arrive, in order, once it goes on.
void stall(const Stall& at) {
    CAPTURE(at.window, at.events, at.text_bytes);
    Broker broker;
    broker.start();
    const Subscriber subscriber(broker.port(), "watch");
    World world;
    mqtt::Settings settings = settings_for(broker.port());
    settings.window = at.window;
    settings.cursor_interval_ms = 10;
    world.start(settings);
    REQUIRE(eventually([&] { return world.connected(); }));
    broker.pause();
    for (std::uint64_t i = 1; i <= at.events; ++i) {
        world.source.alert("A1", "reminded", at.text_bytes);
    }
    world.publisher->wake();
    REQUIRE(eventually([&] { return world.publisher->status().in_flight >= 20; }));
    CHECK(world.publisher->status().in_flight <= at.window);
    CHECK(world.publisher->status().cursor < at.events);
    if (at.text_bytes > 0) {
        REQUIRE(eventually([&] { return world.publisher->status().held_back > 0; }));
    }
    broker.go_on();
    REQUIRE(eventually([&] {
        CHECK(world.publisher->status().in_flight <= at.window);
        return world.drained();
    }));
    REQUIRE(eventually([&] { return subscriber.on("alert/low_balance").size() == at.events; }));
    CHECK(first_seqs(subscriber.on("alert/low_balance")) == one_to(at.events));
    const std::vector<std::uint64_t> cursors = world.source.cursors();
    CHECK(std::is_sorted(cursors.begin(), cursors.end()));
    CHECK(world.publisher->status().reconnects == 0);
}

TEST_CASE("5,000 events pass a stalled broker within the window, and none is lost") {
    // 20 is what runs in service.
    stall({GENERATE(std::size_t{20}, std::size_t{400}), 5'000, 0});
}

// 400 of 60 kB are more than the sockets take in, so the library keeps what it cannot send, and
// refuses with -12 when it keeps a hundred. Small ones are away as fast as they are handed over.
TEST_CASE("what the library refuses to buffer waits, and none is lost") {
    stall({400, 600, 60'000});
}

TEST_CASE("TLS proves the broker by certificate and host name") {
    TempFolder folder;
    const auto make = [&folder](const std::string& name, const std::string& subject) {
        run_program({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                     "-keyout", folder.file(name + ".key"), "-out", folder.file(name + ".crt"),
                     "-subj", "/CN=" + subject, "-addext", "subjectAltName=" + subject});
    };
    make("good", "IP:127.0.0.1");
    make("other", "DNS:elsewhere.example");
    const std::string name = GENERATE(std::string("good"), std::string("other"));
    CAPTURE(name);
    Broker broker({"allow_anonymous true", "certfile " + folder.file(name + ".crt"),
                   "keyfile " + folder.file(name + ".key")});
    broker.start();
    World world;
    mqtt::Settings settings = settings_for(broker.port());
    settings.tls = true;
    settings.ca_file = folder.file(name + ".crt");
    SECTION("the certificate that ca_file names") {
        world.start(settings);
        if (name == "good") {
            CHECK(eventually([&] { return world.connected(); }));
        } else {
            REQUIRE(eventually(
                [&] { return world.publisher->status().reason.find("TLS") != std::string::npos; }));
            CHECK_FALSE(world.connected());
            CHECK(world.publisher->status().reason.find("names another host") != std::string::npos);
        }
    }
    SECTION("a broker that is not there is not called a matter of certificates") {
        broker.kill_hard();
        world.start(settings);
        REQUIRE(eventually(
            [&] { return world.publisher->status().reason.find("TLS") != std::string::npos; }));
        CHECK(world.publisher->status().reason.find("is refused") == std::string::npos);
    }
    SECTION("a certificate that nobody vouches for") {
        settings.ca_file.clear();
        world.start(settings);
        REQUIRE(eventually(
            [&] { return world.publisher->status().reason.find("TLS") != std::string::npos; }));
        CHECK_FALSE(world.connected());
        CHECK(world.publisher->status().reason.find("certificate is refused") != std::string::npos);
    }
}

TEST_CASE("stop is bounded though the broker never answers") {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener, 8) == 0);
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    World world;
    world.source.alert("A1", "raised");
    world.start(settings_for(ntohs(address.sin_port)));
    const int accepted = ::accept(listener, nullptr, nullptr);
    REQUIRE(accepted >= 0);
    const MonoMs before = world.clock.mono_ms();
    world.publisher->stop();
    CHECK(world.clock.mono_ms() - before < 20'000);
    CHECK(world.source.cursors().empty());
    ::close(accepted);
    ::close(listener);
}

}  // namespace
}  // namespace gatehouse::test
