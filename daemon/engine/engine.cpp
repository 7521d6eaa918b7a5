#include "daemon/engine/engine.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/actor.hpp"
#include "daemon/engine/alert_desk.hpp"
#include "daemon/engine/alert_watch.hpp"
#include "daemon/engine/clock_book.hpp"
#include "daemon/engine/closing_desk.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/correction_desk.hpp"
#include "daemon/engine/digest_desk.hpp"
#include "daemon/engine/edge_book.hpp"
#include "daemon/engine/import_desk.hpp"
#include "daemon/engine/input_queue.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_room.hpp"
#include "daemon/engine/meter_book.hpp"
#include "daemon/engine/money_desk.hpp"
#include "daemon/engine/people_desk.hpp"
#include "daemon/engine/period_desk.hpp"
#include "daemon/engine/pool_desk.hpp"
#include "daemon/engine/quarantine_desk.hpp"
#include "daemon/engine/reading_desk.hpp"
#include "daemon/engine/registry_acts.hpp"
#include "daemon/engine/remap_desk.hpp"
#include "daemon/engine/replacement_desk.hpp"
#include "daemon/engine/retention.hpp"
#include "daemon/engine/run_start.hpp"
#include "daemon/engine/service_desk.hpp"
#include "daemon/engine/settling_desk.hpp"
#include "daemon/engine/snapshot_builder.hpp"
#include "daemon/engine/space_desk.hpp"
#include "daemon/engine/use_desk.hpp"
#include "daemon/engine/use_watch.hpp"
#include "daemon/engine/world.hpp"
#include "daemon/store/store.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kObservationsATurn = 512;
constexpr std::int64_t kTickMs = 1'000, kPostingSliceMs = 20;
constexpr std::int64_t kReviewMs = 600'000, kUseWatchMs = 10'000;
// A power cut may lose interval readings of this long, or this many, and nothing else.
constexpr std::int64_t kCommitEveryMs = 30'000;
constexpr std::uint64_t kCommitEveryReadings = 1'024;
constexpr std::int64_t kRetryFirstMs = 2'000, kRetryMaxMs = 30'000;

// A command that nobody waits for may ride with the next commit.
bool waits_for_commit(const Command& command) {
    return !std::holds_alternative<MqttCursor>(command) &&
           !std::holds_alternative<TouchToken>(command);
}

}  // namespace

struct Engine::Impl {
    Impl(EngineOptions options_, const Clock& clock_, Random& random, const Zone& zone,
         ProfileLookup profiles_)
        : options(std::move(options_)),
          clock(clock_),
          profiles(std::move(profiles_)),
          run_id(make_run_id(random)),
          started_mono_ms(clock.mono_ms()),
          store(store_options(options, run_id, clock), random),
          clock_book(trust_of(options.trust), options.build_date_ms, store.load_newest_trusted(),
                     options.system_synchronised),
          queue(options.sample_queue_max, options.command_queue_max),
          context{options, store, clock_book, zone, random, profiles},
          space(
              context, [this] { commit(); }, [this](const std::string& line) { say(line); }) {
        context.run = store.report().run;
        for (const std::string& line : store.report().lines) say(line);
        look_at_clocks();
        started_trusted = context.clock.trusted();
        space.look();
        reload();
        begin_run();
        publish();
    }

    void say(const std::string& line) const {
        if (options.say) options.say(line);
    }

    void look_at_clocks() {
        context.now = {context.run, clock.mono_ms(), clock.wall_ms()};
        const auto now = clock_book.look(context.now.mono_ms, context.now.wall_ms);
        if (now != ClockBook::Change::none) change = now;
    }

    // The way in and the way back: the world as the store has it, and what only the wire tells
    // taken over from the world before.
    void reload() {
        World fresh = load_world(context);
        const World old = std::exchange(context.world, std::move(fresh));
        take_over(context.world, old);
        context.alerts_moved = true;
        for (std::size_t i = 0; i < context.world.meters.size(); ++i)
            context.dirty_meters.insert(i);
        for (std::size_t i = 0; i < context.world.accounts.size(); ++i) {
            context.dirty_accounts.insert(i);
            context.repriced.insert(i);
        }
        today.reset();
        seals = {};
        retention = {};
        settling.reset(unavailable());
        pools.reset();
        keys.reset();
    }

    void begin_run() {
        store.begin();
        seals.look(context);
        JsonWriter body;
        body.begin_object()
            .field("run", run_id)
            .field("version", options.version)
            .field("at", context.iso(context.now_ms()))
            .field("clock_trusted", context.clock.trusted())
            .end_object();
        log_event(context, "run.started", "{}", body.take());
        const OpenReport& report = store.report();
        if (report.restored) tell_gap(context, report.restored_after, report.restored_next);
        erase_again(context);
        after_clock();
        open_accounts(context);
        reprice_all();
        keys.tick();  // before the first snapshot: a key that is out is out from the start
        commit();
    }

    // --- one turn

    void observe(Batch& batch) {
        buses_moved = buses_moved || !batch.buses.empty();
        for (BusStatus& status : batch.buses) {
            std::string id = status.bus;
            context.world.buses.insert_or_assign(std::move(id), std::move(status));
        }
        for (const QueuedObservation& observation : batch.observations) {
            if (const Sample* sample = std::get_if<Sample>(&observation))
                take_sample(context, *sample);
            else
                take_failure(context, std::get<PollFailure>(observation));
        }
    }

    Reply carry_out(const Command& command) {
        return std::visit([this](const auto& one) { return carry(one); }, command);
    }
    Reply carry(const TopUp& one) { return top_up(context, one); }
    Reply carry(const ReverseEntry& one) { return reverse_entry(context, one); }
    Reply carry(const RefundMoney& one) { return refund_money(context, one); }
    Reply carry(const TransferMoney& one) { return transfer_money(context, one); }
    Reply carry(const AdjustMoney& one) { return adjust_money(context, one); }
    Reply carry(const CloseAccount& one) { return close_account(context, one); }
    Reply carry(const ChangeOccupant& one) {
        return keys.record(one.record.get(), change_occupant(context, one));
    }
    Reply carry(const BeginPeriod& one) { return begin_period(context, one); }
    Reply carry(const KeepPeriodPart& one) { return keep_period_part(context, one); }
    Reply carry(const SealPeriod& one) { return seal_period(context, one); }
    Reply carry(const ApprovePool& one) { return pools.approve(one); }
    Reply carry(const WithdrawPool& one) { return pools.withdraw(one); }
    template <class One>
    auto carry(const One& one) -> decltype(serve_people(std::declval<Context&>(), one)) {
        return serve_people(context, one);
    }
    Reply carry(const ErasePerson& one) {
        Reply reply = erase_person(context, one);
        keys.reset();  // it may hold the words in memory
        return reply;
    }
    Reply carry(const ChangeSettings& one) { return change_settings(context, options, one); }
    Reply carry(const RoomCommand& one) { return keys.carry_out(one); }
    Reply carry(const AckAlert& one) { return acknowledge_alert(context, one); }
    Reply carry(const TestAlert& one) { return test_alert(context, one); }
    Reply carry(const ConfirmClock& one) {
        Reply reply = confirm_clock(context, one);
        if (reply.kind == ReplyKind::ok) begin_days();
        return reply;
    }
    Reply carry(const AddToken& one) { return add_token(context, one); }
    Reply carry(const RevokeToken& one) { return revoke_token(context, one); }
    Reply carry(const TouchToken& one) { return touch_token(context, one); }
    Reply carry(const JudgeReading& one) { return judge_reading(context, one); }
    Reply carry(const OrderMeterClock& one) { return order_meter_clock(context, one); }
    Reply carry(const NoteMeterClock& one) { return note_meter_clock(context, one); }
    Reply carry(const MqttCursor& one) { return move_cursor(context, one); }
    Reply carry(const SettleQuarantine& one) { return settle_quarantine(context, one); }
    Reply carry(const ReadFace& one) {
        return one.supersedes == 0 ? read_face(context, one) : later(correct_reading(context, one));
    }
    Reply carry(const ConfirmFace& one) { return confirm_face(context, one); }
    Reply carry(const HoldMeter& one) { return hold_meter(context, one); }
    Reply carry(const ReplaceMeter& one) { return replace_meter(context, one); }
    Reply carry(const RemapMeter& one) { return later(remap_meter(context, one)); }
    Reply carry(const ImportRegistry& one) { return later(import_registry(context, one)); }
    Reply later(LateJudged judged) {
        late = std::move(judged.late);
        return std::move(judged.reply);
    }

    void begin_days() {
        settle_edges(context);
        open_accounts(context);
    }
    void after_clock() {
        if (change == ClockBook::Change::none || !context.writable) return;
        const char* kind = change == ClockBook::Change::trusted   ? "clock.trusted"
                           : change == ClockBook::Change::stepped ? "clock.stepped"
                                                                  : "clock.not_followed";
        note_clock(context, kind);
        say(std::string(kind) + ": " + context.clock.reason());
        if (change == ClockBook::Change::trusted) begin_days();
    }

    [[nodiscard]] bool work_left() const { return posting_left || settling_left || pools_left; }
    void tick() {
        if (context.now.mono_ms - last_tick_mono_ms < kTickMs && !work_left()) return;
        last_tick_mono_ms = context.now.mono_ms;
        const MonoMs deadline = clock.mono_ms() + kPostingSliceMs;
        posting_left = post_days(context, started_mono_ms, clock, deadline, next_to_post);
        settling_left = posting_left || settling.slice(clock, deadline);
        if (!settling_left)  // days that waited for it
            posting_left = post_days(context, started_mono_ms, clock, deadline, next_to_post);
        pools_left = posting_left || settling_left || pools.slice(clock, deadline);
        reprice_all();
        watch_time(context, started_mono_ms);
        if (context.now.mono_ms >= use_watch_due_mono_ms) {
            use_watch_due_mono_ms = context.now.mono_ms + kUseWatchMs;
            watch_use(context);
        }
        if (is_digest_time(context, started_mono_ms)) {
            for (std::size_t i = 0; i < context.world.accounts.size(); ++i)
                context.repriced.insert(i);
            reprice_all();
            write_digest(context);
        }
        if (context.now.mono_ms - last_review_mono_ms >= kReviewMs) {
            last_review_mono_ms = context.now.mono_ms;
            review_use(context);
        }
        if (!posting_left) retention.slice(context);
        keys.tick();
        poll_band_edges(context);
        if (!context.clock.trusted()) return;
        const LocalDate now = context.day_of(context.now_ms());
        if (today == now) return;
        // A new local day: freezes are due, and days left count down.
        if (today) poll_all_soon(context);
        today = now;
        told_calendar.clear();  // what is still missing is said once a day
        open_accounts(context);
        for (std::size_t i = 0; i < context.world.accounts.size(); ++i) context.repriced.insert(i);
    }

    void reprice_all() {
        while (!context.repriced.empty()) {
            const std::set<std::size_t> accounts = std::exchange(context.repriced, {});
            for (const std::size_t index : accounts) reprice(context, index, Mover::drift);
        }
    }

    void commit() {
        if (const auto at = context.clock.trusted_time(context.now.mono_ms)) {
            store.put_newest_trusted(*at);
            context.clock.stored(*at);
        }
        store.commit();
        change = ClockBook::Change::none;
        if (context.log_to_empty) context.log_to_empty = !store.empty_log();
        // Only a batch of the books proves that there is room again: what recover() writes fits
        // into the last gap of a full disk.
        retry_ms = 0;
        context.urgent = context.unsaved = false;
        committed_mono_ms = context.now.mono_ms;
        committed_readings = context.readings_stored;
    }

    [[nodiscard]] bool commit_due() const {
        return context.urgent ||
               context.readings_stored - committed_readings >= kCommitEveryReadings ||
               ((context.unsaved || context.readings_stored != committed_readings) &&
                context.now.mono_ms - committed_mono_ms >= kCommitEveryMs);
    }

    void fail(const StoreError& error) {
        store.rollback();
        context.urgent = context.unsaved = false;
        context.readings_stored = committed_readings;
        store_reason = error.what();
        full = error.kind == StoreError::Kind::full;
        context.writable = give_reserve_up(error) && try_reload();
        if (!context.writable) {
            say("store: " + store_reason +
                "; reading goes on, nothing is booked until it recovers");
            retry_ms = retry_ms == 0 ? kRetryFirstMs : std::min(retry_ms * 2, kRetryMaxMs);
            retry_mono_ms = context.now.mono_ms + retry_ms;
            static_cast<void>(try_reload());
        }
    }

    bool give_reserve_up(const StoreError& error) {
        try {
            return space.give_up(error);
        } catch (const StoreError& again) {
            store_reason = again.what();
            return false;
        }
    }

    bool try_reload() {
        try {
            reload();
            return true;
        } catch (const StoreError& error) {
            store_reason = error.what();
            return false;
        }
    }

    // A write that is as small as a write can be; what it proves is that writes work again.
    void recover() {
        if (context.writable || context.now.mono_ms < retry_mono_ms) return;
        try {
            store.begin();
            store.put_note("recovered_at", context.iso(context.now_ms()));
            store.commit();
            context.writable = true;
            reload();
            say("store: writes again");
        } catch (const StoreError& error) {
            fail(error);
        }
    }

    struct Pending {
        ReplyHandler handler;
        Reply reply;
    };

    // `pending` keeps what was answered so far when the store fails half-way.
    void take_commands(Batch& batch, std::vector<Pending>& pending) {
        for (QueuedCommand& queued : batch.commands) {
            if (!context.writable) {
                pending.push_back({std::move(queued.handler), unavailable()});
                continue;
            }
            if (!space.fits(queued.command)) {
                pending.push_back({std::move(queued.handler), disk_full()});
                continue;
            }
            if (waits_for_commit(queued.command))
                context.urgent = true;
            else
                context.unsaved = true;
            // Each command sees what the one before it left, balances included.
            reprice_all();
            pending.push_back({std::move(queued.handler), unavailable()});
            context.actor = actor_of(queued.command);
            pending.back().reply = carry_out(queued.command);
            if (late) begin_late(pending);
            context.actor.clear();
        }
    }

    // What changes lines that were posted is answered later, once it was looked at and done.
    void begin_late(std::vector<Pending>& pending) {
        LateWork work = *std::exchange(late, std::nullopt);
        work.handler = std::move(pending.back().handler);
        work.actor = context.actor;
        settling_left = settling.begin(work);
        if (settling_left) {
            pending.pop_back();
            return;
        }
        pending.back().handler = std::move(work.handler);
        pending.back().reply = refusal(ReplyKind::unavailable, "busy",
                                       "several imports wait for what they change already; "
                                       "nothing was done, ask again in a moment");
    }

    void answer_late(std::vector<Pending>& pending) {
        for (SettlingDesk::Answer& one : settling.take_answers())
            pending.push_back({std::move(one.handler), std::move(one.reply)});
    }

    Reply unavailable() const {
        if (full) return disk_full();
        return refusal(ReplyKind::unavailable, "store-unavailable",
                       "the store cannot be written (" + store_reason +
                           "); nothing was booked, ask again later with the same key");
    }

    MonoMs turn(std::int64_t wait_ms) {
        context.actor.clear();
        Batch batch = queue.take(wait_ms, kObservationsATurn);
        look_at_clocks();
        recover();
        std::vector<Pending> pending;
        try {
            if (context.writable) space.look();
            if (context.writable && !store.in_transaction()) store.begin();
            seals.look(context);
            if (context.writable) space.log();
            after_clock();
            observe(batch);
            take_commands(batch, pending);
            if (context.registry_moved) keys.follow();
            tick();
            reprice_all();
            watch_turn(context);
            answer_late(pending);
            if (context.writable && commit_due()) commit();
        } catch (const StoreError& error) {
            fail(error);
            for (Pending& one : pending) one.reply = unavailable();
            for (QueuedCommand& queued : batch.commands)
                if (queued.handler) pending.push_back({std::move(queued.handler), unavailable()});
            // For the screens alone: what moves a level is judged in a transaction, later.
            const bool writes = std::exchange(context.writable, false);
            reprice_all();
            context.writable = writes;
        }
        publish();
        answer_late(pending);
        for (Pending& one : pending)
            if (one.handler) one.handler(std::move(one.reply));
        // Who became vacant is so from now on.
        if (context.registry_moved) use_watch_due_mono_ms = 0;
        if (context.registry_moved && poller != nullptr) {
            poller->registry_changed(context.world.registry);
            poll_edges_soon(context);
        }
        context.registry_moved = false;
        heartbeat = clock.mono_ms();
        return context.now.mono_ms + (work_left() ? 0 : kTickMs);
    }

    // What a turn moved that somebody looks at; the time alone is published once a second and
    // wakes nobody.
    struct Seen {
        std::uint64_t event_seq = 0, reading_seq = 0, mqtt_cursor = 0;
        bool trusted = false, writable = false;
        SpaceState space = SpaceState::plenty;
        friend bool operator==(const Seen&, const Seen&) = default;
    };

    void publish() {
        const Seen now{store.last(Series::event), store.last(Series::reading),
                       context.world.mqtt_cursor, context.clock.trusted(),
                       context.writable,          context.space};
        const bool moved = !context.dirty_meters.empty() || !context.dirty_accounts.empty() ||
                           buses_moved || keys.moved() || !(now == seen);
        if (!moved && context.now.mono_ms - published_mono_ms < kTickMs) return;
        seen = now;
        buses_moved = false;
        published_mono_ms = context.now.mono_ms;
        update_snapshot(context, building);
        building.keys = keys.board();
        building.run_id = run_id;
        building.store_reason = context.writable ? space_reason(context.space) : store_reason;
        building.samples_coalesced = queue.coalesced();
        if (std::exchange(told_calendar, building.calendar_warning) != building.calendar_warning &&
            !building.calendar_warning.empty())
            say(building.calendar_warning);
        auto next = std::make_shared<const Snapshot>(building);
        {
            const std::lock_guard lock(snapshot_mutex);
            current = std::move(next);
        }
        if (!moved) return;
        for (const auto& listener : listeners) listener();
    }

    void run() {
        pthread_setname_np(pthread_self(), "engine");
        std::int64_t wait_ms = 0;
        while (!stopping) {
            const MonoMs next = turn(wait_ms);
            wait_ms = std::clamp<std::int64_t>(next - clock.mono_ms(), 0, kTickMs);
        }
        turn(0);
        settling.reset(refusal(ReplyKind::unavailable, "stopping",
                               "the daemon stops; ask again when it runs"));
        for (auto& one : settling.take_answers()) one.handler(std::move(one.reply));
        try {
            if (store.in_transaction()) commit();
        } catch (const StoreError& error) {
            say(std::string("store: ") + error.what());
        }
        publish();
    }

    EngineOptions options;
    const Clock& clock;
    ProfileLookup profiles;
    std::string run_id;
    MonoMs started_mono_ms = 0;
    Store store;
    ClockBook clock_book;
    InputQueue queue;
    Context context;
    SpaceDesk space;
    SettlingDesk settling{context};
    PoolDesk pools{context};
    KeyRoom keys{context};
    Poller* poller = nullptr;

    ClockBook::Change change = ClockBook::Change::none;
    bool started_trusted = false;
    std::optional<LocalDate> today;
    DaySeals seals;
    Retention retention;
    MonoMs last_review_mono_ms = 0, use_watch_due_mono_ms = 0;
    MonoMs last_tick_mono_ms = 0, committed_mono_ms = 0;
    std::uint64_t committed_readings = 0;
    std::size_t next_to_post = 0;  // account
    bool posting_left = false, settling_left = false, pools_left = false;
    std::optional<LateWork> late;  // of the command that is carried out
    std::string store_reason, told_calendar;
    bool full = false;  // it was space that the last failed write wanted
    std::int64_t retry_ms = 0;
    MonoMs retry_mono_ms = 0;

    Snapshot building;
    Seen seen;
    bool buses_moved = true;
    MonoMs published_mono_ms = 0;
    mutable std::mutex snapshot_mutex;
    std::shared_ptr<const Snapshot> current;
    std::vector<std::function<void()>> listeners;
    std::atomic<MonoMs> heartbeat{0};
    std::atomic<bool> stopping{false};
    std::thread thread;
};

Engine::Engine(EngineOptions options, const Clock& clock, Random& random, const Zone& zone,
               ProfileLookup profiles)
    : impl_(std::make_unique<Impl>(std::move(options), clock, random, zone, std::move(profiles))) {}

Engine::~Engine() {
    stop();
}

void Engine::set_poller(Poller* poller) {
    impl_->poller = poller;
    impl_->context.poller = poller;
}

void Engine::start() {
    impl_->heartbeat = impl_->clock.mono_ms();
    impl_->thread = std::thread([this] { impl_->run(); });
}

void Engine::stop() {
    impl_->stopping = true;
    impl_->queue.close();
    if (impl_->thread.joinable()) impl_->thread.join();
}

MonoMs Engine::step() {
    return impl_->turn(0);
}

SampleSink& Engine::sink() {
    return impl_->queue;
}

bool Engine::submit(Command command, ReplyHandler handler) {
    return impl_->queue.command(std::move(command), std::move(handler));
}

std::shared_ptr<const Snapshot> Engine::snapshot() const {
    const std::lock_guard lock(impl_->snapshot_mutex);
    return impl_->current;
}

void Engine::on_commit(std::function<void()> listener) {
    impl_->listeners.push_back(std::move(listener));
}

MonoMs Engine::heartbeat_mono_ms() const {
    return impl_->heartbeat;
}

const std::string& Engine::run_id() const {
    return impl_->run_id;
}

}  // namespace gatehouse
