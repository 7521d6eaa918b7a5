#include "daemon/mqtt/publisher.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "daemon/mqtt/backoff.hpp"
#include "daemon/mqtt/cabinet_state.hpp"
#include "daemon/mqtt/discovery.hpp"
#include "daemon/mqtt/event_window.hpp"
#include "daemon/mqtt/link.hpp"
#include "daemon/mqtt/routes.hpp"
#include "daemon/mqtt/seal_line.hpp"
#include "daemon/mqtt/state_book.hpp"

namespace gatehouse::mqtt {
namespace {

constexpr std::size_t kReadRows = 256;      // rows of the log taken at once
constexpr std::size_t kWindowRows = 4096;   // rows between the cursor and what was read
constexpr std::int64_t kTurnMaxMs = 1'000;  // the heartbeat's least pace
constexpr std::int64_t kFullPauseMs = 20;   // after -12, unless a delivery comes first
constexpr std::int64_t kAckMaxMs = 60'000;  // nothing acknowledged for so long: connect anew
constexpr std::int64_t kSourceRetryMs = 500;
constexpr std::size_t kPushesMax = 64;  // of cabinets, not answered yet; more push again

// Where answers to cabinets arrive: the engine may give one after the publisher has gone.
struct Inbox {
    std::mutex mutex;
    std::deque<Message> answers;
    std::function<void()> wake;  // empty: nobody waits any more
};

}  // namespace

struct Publisher::Impl {
    Impl(Settings settings_, Source& source_, const Zone& zone, const Clock& clock_,
         Random& random_)
        : settings(std::move(settings_)),
          source(source_),
          clock(clock_),
          random(random_),
          backoff(settings.reconnect_min_ms, settings.reconnect_max_ms),
          states(settings, zone),
          seals(settings) {}

    enum class Phase {
        idle,        // waits for next_attempt
        connecting,  // an answer comes, or connect_deadline
        online,
        ending,  // our disconnect is under way, because the connection went bad
    };
    struct Outgoing {
        std::uint64_t seq;
        Message message;
    };
    enum class Owner { greeting, event, state, seal, farewell };
    struct Pending {
        Owner owner;
        std::uint64_t seq;
    };

    // What other threads touch, under the mutex.
    mutable std::mutex mutex;
    std::condition_variable changed;
    std::deque<Notice> notices;
    bool woken = false;
    bool stopping = false;
    Status shown;

    const Settings settings;
    Source& source;
    const Clock& clock;
    Random& random;
    std::atomic<MonoMs> heartbeat{0};
    std::thread thread;

    // The publishing thread's own.
    std::unique_ptr<Link> link;
    Phase phase = Phase::idle;
    Backoff backoff;
    StateBook states;
    SealLine seals;
    std::unique_ptr<EventWindow> window;
    std::shared_ptr<const Snapshot> snapshot;
    std::deque<Message> greeting;
    std::deque<Message> answers;  // to cabinets
    std::size_t pushes = 0;       // not answered yet
    const std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>();
    std::deque<Outgoing> outgoing;
    std::unordered_map<std::uint64_t, Pending> pending;
    std::uint64_t next_token = 1;
    std::size_t events_in_flight = 0, others_in_flight = 0;
    std::uint64_t connections = 0, published = 0, held_back = 0, unpublishable = 0;
    std::uint64_t cursor_sent = 0;
    std::string seal_sent;
    std::string reason = "not yet connected";
    MonoMs next_attempt = 0, phase_deadline = 0, full_until = 0, last_ack = 0;
    MonoMs next_scan = 0, next_health = 0, next_cursor = 0, next_read = 0;
    bool drained = false, farewell_acknowledged = false;
    bool stop_seen = false;
    std::shared_ptr<const Snapshot> scanned;
    std::optional<std::uint64_t> disk_free_bytes;

    void run();
    void loop();
    void wait(MonoMs until);
    std::deque<Notice> take_notices();
    void handle(const Notice& notice, MonoMs now);
    void hear(const Notice& notice);
    void take_push(const std::string& cabinet, const std::string& body);
    void take_answers();
    void delivered(std::uint64_t token, MonoMs now);
    void connect(MonoMs now);
    void connected(MonoMs now);
    void connection_gone(const std::string& why, MonoMs now);
    void give_up_connection(const std::string& why, MonoMs now);
    void turn(MonoMs now);
    void pump(MonoMs now);
    bool hand_over(const Message& message, Owner owner, std::uint64_t seq, MonoMs now);
    void pump_events(MonoMs now);
    void read_log(MonoMs now);
    void pump_states(MonoMs now);
    void send_cursor(MonoMs now, bool at_once);
    void say_goodbye();
    void show();
    [[nodiscard]] MonoMs next_deadline(MonoMs now) const;
    [[nodiscard]] bool cursor_moved() const {
        return window->cursor() > cursor_sent || seals.told() != seal_sent;
    }
    [[nodiscard]] bool stop_asked() const {
        const std::lock_guard lock(mutex);
        return stopping;
    }
};

void Publisher::Impl::run() {
    ::pthread_setname_np(::pthread_self(), "mqtt");
    snapshot = source.snapshot();
    window = std::make_unique<EventWindow>(snapshot->mqtt_cursor);
    cursor_sent = snapshot->mqtt_cursor;
    inbox->wake = [this] {
        const std::lock_guard lock(mutex);
        woken = true;
        changed.notify_one();
    };
    link = std::make_unique<Link>(settings, [this](Notice notice) {
        // The queue is bounded by what is in flight: each operation ends once.
        const std::lock_guard lock(mutex);
        notices.push_back(std::move(notice));
        changed.notify_one();
    });
    loop();
    say_goodbye();
    link.reset();
    const std::lock_guard lock(inbox->mutex);
    inbox->wake = nullptr;
}

void Publisher::Impl::loop() {
    std::optional<MonoMs> stop_deadline;
    for (;;) {
        MonoMs now = clock.mono_ms();
        heartbeat.store(now, std::memory_order_relaxed);
        for (const Notice& notice : take_notices()) handle(notice, now);
        take_answers();
        snapshot = source.snapshot();
        if (!stop_seen && stop_asked()) {
            stop_seen = true;
            stop_deadline = now + settings.stop_drain_ms;
        }
        if (stop_deadline) {
            drained = window->last() >= snapshot->event_seq && window->rows() == 0;
            if (phase != Phase::online || drained || now >= *stop_deadline) return;
        }
        turn(now);
        send_cursor(now, false);
        show();
        const MonoMs until = next_deadline(now);
        wait(stop_deadline ? std::min(until, *stop_deadline) : until);
    }
}

void Publisher::Impl::wait(MonoMs until) {
    std::unique_lock lock(mutex);
    const MonoMs left = until - clock.mono_ms();
    if (left > 0) {
        changed.wait_for(lock, std::chrono::milliseconds(left),
                         [&] { return woken || !notices.empty() || (stopping && !stop_seen); });
    }
    woken = false;
}

std::deque<Notice> Publisher::Impl::take_notices() {
    const std::lock_guard lock(mutex);
    return std::exchange(notices, {});
}

MonoMs Publisher::Impl::next_deadline(MonoMs now) const {
    MonoMs until = now + kTurnMaxMs;
    const auto sooner = [&until](MonoMs at) { until = std::min(until, at); };
    if (cursor_moved()) sooner(next_cursor);
    switch (phase) {
        case Phase::idle:
            sooner(next_attempt);
            break;
        case Phase::connecting:
        case Phase::ending:
            sooner(phase_deadline);
            break;
        case Phase::online:
            sooner(next_health);
            if (full_until > now) sooner(full_until);
            if (next_read > now) sooner(next_read);
            if (snapshot != scanned) sooner(next_scan);
            if (states.scan_due()) sooner(std::max(*states.scan_due(), next_scan));
            break;
    }
    return std::max(until, now + 1);
}

void Publisher::Impl::turn(MonoMs now) {
    switch (phase) {
        case Phase::idle:
            if (now >= next_attempt) connect(now);
            break;
        case Phase::connecting:
            if (now >= phase_deadline) give_up_connection("the broker does not answer", now);
            break;
        case Phase::ending:
            if (now >= phase_deadline) connection_gone(reason, now);
            break;
        case Phase::online:
            if (!pending.empty() && now - last_ack > kAckMaxMs) {
                give_up_connection("the broker acknowledges nothing", now);
            } else {
                pump(now);
            }
            break;
    }
}

void Publisher::Impl::connect(MonoMs now) {
    std::string error = link->connect();
    if (!error.empty()) {
        connection_gone(error, now);
        return;
    }
    phase = Phase::connecting;
    // Paho has its own limit; this one is for the day on which it forgets to answer.
    phase_deadline = now + 2 * settings.connect_timeout_ms + 5'000;
}

void Publisher::Impl::connected(MonoMs now) {
    phase = Phase::online;
    ++connections;
    backoff.succeeded();
    reason.clear();
    last_ack = now;
    next_scan = next_read = full_until = 0;
    next_health = now + settings.health_interval_ms;
    states.forget();
    seals.forget();
    states.want_health();
    scanned.reset();
    snapshot = source.snapshot();
    for (Message& message : states.greeting(*snapshot)) greeting.push_back(std::move(message));
    std::vector<std::string> heard{cabinet_state_filter(settings)};
    if (!settings.homeassistant_prefix.empty()) heard.push_back(birth_topic(settings));
    if (!settings.homeassistant_prefix.empty() || !settings.homeassistant_old_prefix.empty())
        heard.push_back(announced_filter(settings));
    link->subscribe(heard);
    std::vector<std::string> pushes_of;
    for (const std::string& cabinet : settings.push_cabinets)
        pushes_of.push_back(push_topic(settings, cabinet));
    if (!pushes_of.empty()) link->subscribe(pushes_of);
}

// What was in flight is unknown now, so it is sent again from the cursor; late words of this
// connection find no pending token and change nothing.
void Publisher::Impl::connection_gone(const std::string& why, MonoMs now) {
    phase = Phase::idle;
    reason = why;
    next_attempt = now + backoff.next_ms(random);
    window->forget();
    outgoing.clear();
    greeting.clear();
    answers.clear();
    pushes = 0;
    pending.clear();
    events_in_flight = others_in_flight = 0;
}

void Publisher::Impl::give_up_connection(const std::string& why, MonoMs now) {
    reason = why;
    if (!link->disconnect(0)) {
        connection_gone(why, now);
        return;
    }
    phase = Phase::ending;
    phase_deadline = now + 2'000;
}

void Publisher::Impl::handle(const Notice& notice, MonoMs now) {
    switch (notice.kind) {
        case Notice::Kind::connected:
            if (phase == Phase::connecting) connected(now);
            break;
        case Notice::Kind::connect_failed:
            if (phase == Phase::connecting) connection_gone(notice.text, now);
            break;
        case Notice::Kind::lost:
            if (phase == Phase::online) connection_gone(notice.text, now);
            break;
        case Notice::Kind::delivered:
            delivered(notice.token, now);
            break;
        case Notice::Kind::failed:
            // One message that cannot be delivered would leave a hole behind what follows it.
            if (phase == Phase::online && pending.contains(notice.token)) {
                give_up_connection("the broker did not take a message", now);
            }
            break;
        case Notice::Kind::heard:
            hear(notice);
            break;
        case Notice::Kind::disconnected:
            if (phase == Phase::ending) connection_gone(reason, now);
            break;
    }
}

// Home Assistant says that it was started, or the broker what is announced already.
void Publisher::Impl::hear(const Notice& notice) {
    for (const std::string& cabinet : settings.push_cabinets)
        if (notice.topic == push_topic(settings, cabinet)) return take_push(cabinet, notice.text);
    if (!settings.homeassistant_prefix.empty() && notice.topic == birth_topic(settings)) {
        if (notice.text == "online") states.announce_again();
    } else if (notice.text.empty()) {
        return;  // taken away already
    } else if (auto object = own_object(settings, notice.topic)) {
        states.heard_device(*std::move(object), notice.text);
    } else if (auto cabinet = cabinet_of_state(settings, notice.topic)) {
        states.heard_cabinet(*std::move(cabinet));
    }
}

// Acknowledged on the cabinet's own topic once it is on disk: a PUBACK of the broker proves
// nothing.
void Publisher::Impl::take_push(const std::string& cabinet, const std::string& body) {
    if (pushes >= kPushesMax) return;
    ++pushes;
    source.take_push(cabinet, body,
                     [inbox = inbox, topic = full_topic(settings, "cabinet/" + cabinet + "/ack")](
                         std::string answer) {
                         const std::lock_guard lock(inbox->mutex);
                         inbox->answers.push_back({topic, std::move(answer), 1, false});
                         if (inbox->wake) inbox->wake();
                     });
}

void Publisher::Impl::take_answers() {
    const std::lock_guard lock(inbox->mutex);
    for (Message& message : inbox->answers)
        if (!message.payload.empty()) answers.push_back(std::move(message));
    pushes -= std::min(pushes, inbox->answers.size());
    inbox->answers.clear();
}

void Publisher::Impl::delivered(std::uint64_t token, MonoMs now) {
    const auto found = pending.find(token);
    if (found == pending.end()) return;
    const Pending done = found->second;
    pending.erase(found);
    last_ack = now;
    full_until = 0;
    switch (done.owner) {
        case Owner::event:
            --events_in_flight;
            ++published;
            window->acknowledged(done.seq);
            break;
        case Owner::seal:
            seals.acknowledged();
            --others_in_flight;
            break;
        case Owner::farewell:
            farewell_acknowledged = true;
            [[fallthrough]];
        case Owner::greeting:
        case Owner::state:
            --others_in_flight;
            break;
    }
}

// False: not now; the message stays where it is and is tried again.
bool Publisher::Impl::hand_over(const Message& message, Owner owner, std::uint64_t seq,
                                MonoMs now) {
    const std::uint64_t token = next_token++;
    switch (link->publish(message, token)) {
        case Link::Handed::yes:
            break;
        case Link::Handed::full:
            ++held_back;
            full_until = now + kFullPauseMs;
            return false;
        case Link::Handed::down:
            give_up_connection("the connection went away under a message", now);
            return false;
    }
    if (pending.empty()) last_ack = now;
    pending.emplace(token, Pending{owner, seq});
    ++(owner == Owner::event ? events_in_flight : others_in_flight);
    return true;
}

void Publisher::Impl::pump(MonoMs now) {
    while (!greeting.empty()) {
        if (now < full_until || others_in_flight >= settings.state_window) return;
        if (!hand_over(greeting.front(), Owner::greeting, 0, now)) return;
        greeting.pop_front();
    }
    while (!answers.empty()) {
        if (now < full_until || others_in_flight >= settings.state_window) return;
        if (!hand_over(answers.front(), Owner::state, 0, now)) return;
        answers.pop_front();
    }
    pump_events(now);
    if (phase == Phase::online && !stop_seen) pump_states(now);
}

void Publisher::Impl::pump_events(MonoMs now) {
    for (;;) {
        if (outgoing.empty()) read_log(now);
        if (outgoing.empty()) return;
        while (!outgoing.empty()) {
            if (now < full_until || events_in_flight >= settings.window) return;
            if (!hand_over(outgoing.front().message, Owner::event, outgoing.front().seq, now)) {
                return;
            }
            outgoing.pop_front();
        }
    }
}

// Reads on until there is something to hand over; rows that publish nothing only move the cursor.
void Publisher::Impl::read_log(MonoMs now) {
    while (outgoing.empty() && now >= next_read && window->rows() < kWindowRows &&
           window->last() < snapshot->event_seq) {
        std::vector<LogRow> rows;
        try {
            rows = source.events_after(window->last(), kReadRows);
        } catch (const std::exception& error) {
            reason = std::string("the event log cannot be read: ") + error.what();
            next_read = now + kSourceRetryMs;
            return;
        }
        if (rows.empty()) return;
        for (const LogRow& row : rows) {
            Routed routed = route(row, settings);
            if (routed.broken) ++unpublishable;
            window->add(row.seq, static_cast<int>(routed.messages.size()));
            for (Message& message : routed.messages) {
                outgoing.push_back({row.seq, std::move(message)});
            }
        }
    }
}

void Publisher::Impl::pump_states(MonoMs now) {
    if (now >= next_health) {
        states.want_health();
        next_health = now + settings.health_interval_ms;
    }
    try {
        const bool may = snapshot->clock_trusted && now >= full_until;
        if (const auto seal = may ? seals.next(source, now) : std::nullopt) {
            if (!hand_over(*seal, Owner::seal, 0, now)) return;
            seals.handed_over();
        }
        const bool due = states.scan_due() && now >= *states.scan_due();
        if (now >= next_scan && (snapshot != scanned || due)) {
            next_scan = now + settings.scan_interval_ms;
            states.scan(snapshot, now);
            scanned = snapshot;
        }
        while (!states.empty()) {
            if (now < full_until || others_in_flight >= settings.state_window) return;
            if (states.front_is_health()) disk_free_bytes = source.disk_free_bytes();
            const HealthFacts facts{window->cursor(), unpublishable, disk_free_bytes};
            if (!hand_over(states.front(facts), Owner::state, 0, now)) return;
            states.handed_over(now);
        }
    } catch (const std::exception& error) {
        reason = std::string("the store cannot be read: ") + error.what();
    }
}

void Publisher::Impl::send_cursor(MonoMs now, bool at_once) {
    if (!cursor_moved() || (!at_once && now < next_cursor)) return;
    next_cursor = now + settings.cursor_interval_ms;
    if (!source.advance_cursor(window->cursor(), seals.told())) return;
    cursor_sent = window->cursor();
    seal_sent = seals.told();
}

// The broker discards the will at a clean end, so `offline` is said before it.
void Publisher::Impl::say_goodbye() {
    MonoMs now = clock.mono_ms();
    send_cursor(now, true);
    const auto until = [&](MonoMs deadline, const auto& done) {
        while (!done() && clock.mono_ms() < deadline) {
            wait(deadline);
            for (const Notice& notice : take_notices()) handle(notice, clock.mono_ms());
            heartbeat.store(clock.mono_ms(), std::memory_order_relaxed);
        }
    };
    if (phase == Phase::online) {
        full_until = 0;
        const Message offline{full_topic(settings, "status"), "offline", 1, true};
        while (phase == Phase::online && !hand_over(offline, Owner::farewell, 0, now) &&
               clock.mono_ms() < now + 500) {
            until(clock.mono_ms() + kFullPauseMs, [] { return false; });
        }
        until(now + 1'000, [&] { return farewell_acknowledged || phase != Phase::online; });
        send_cursor(clock.mono_ms(), true);
    }
    if (phase == Phase::online || phase == Phase::connecting) {
        give_up_connection("stopped", clock.mono_ms());
    }
    until(clock.mono_ms() + 1'000, [&] { return phase == Phase::idle; });
    reason = "stopped";
    phase = Phase::idle;
    show();
}

void Publisher::Impl::show() {
    Status now;
    now.connected = phase == Phase::online;
    now.reason = reason;
    now.cursor = window->cursor();
    now.backlog = snapshot->event_seq > now.cursor ? snapshot->event_seq - now.cursor : 0;
    now.in_flight = events_in_flight;
    now.reconnects = connections > 0 ? connections - 1 : 0;
    now.published = published;
    now.held_back = held_back;
    now.unpublishable = unpublishable;
    const std::lock_guard lock(mutex);
    shown = std::move(now);
}

Publisher::Publisher(Settings settings, Source& source, const Zone& zone, const Clock& clock,
                     Random& random)
    : impl_(std::make_unique<Impl>(std::move(settings), source, zone, clock, random)) {}

Publisher::~Publisher() {
    stop();
}

void Publisher::start() {
    if (impl_->thread.joinable()) return;
    impl_->heartbeat.store(impl_->clock.mono_ms());
    impl_->thread = std::thread([this] { impl_->run(); });
}

void Publisher::stop() {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->stopping = true;
        impl_->changed.notify_one();
    }
    if (impl_->thread.joinable()) impl_->thread.join();
}

void Publisher::wake() {
    const std::lock_guard lock(impl_->mutex);
    impl_->woken = true;
    impl_->changed.notify_one();
}

Status Publisher::status() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->shown;
}

MonoMs Publisher::heartbeat_mono_ms() const {
    return impl_->heartbeat.load(std::memory_order_relaxed);
}

}  // namespace gatehouse::mqtt
