// The engine: the one writer. It takes samples, commands and ticks off a bounded queue on its own
// thread, asks core, commits one SQLite transaction, appends to the event log, swaps the snapshot
// and only then answers. It never touches a socket or a bus; whom it wants polled soon it tells the
// poller that main gave it. Public calls are safe from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "daemon/core/alert_settings.hpp"
#include "daemon/core/pool.hpp"
#include "daemon/core/registry.hpp"
#include "daemon/core/sample.hpp"
#include "daemon/core/time.hpp"
#include "daemon/engine/snapshot.hpp"
#include "daemon/store/people_rows.hpp"
#include "daemon/store/rows.hpp"

namespace gatehouse::registry_files {
struct Parsed;
}

namespace gatehouse {

// How a command ended; the HTTP status that tells it stands beside each.
enum class ReplyKind {
    ok,           // 200
    created,      // 201
    invalid,      // 422: a field is wrong; errors names it
    bad_request,  // 400
    not_found,    // 404
    conflict,     // 409
    stale,        // 412: it is no longer what the caller looked at
    key_reused,   // 422: the same Idempotency-Key with another body
    refused,      // 422: a rule of the books says no (hoarding cap, trial, not yet)
    unavailable,  // 503: queue full, disk full, stopping; nothing was done, ask again
};
struct FieldError {
    std::string pointer;  // JSON Pointer into the body, or a header's name
    std::string message;
};
struct Reply {
    ReplyKind kind = ReplyKind::ok;
    std::string json;    // the document on success; ready to send
    std::string type;    // on failure: stable problem type, like "hoarding-cap"
    std::string detail;  // on failure: one sentence with value and remedy
    std::vector<FieldError> errors;
};
using ReplyHandler = std::function<void(Reply)>;  // called once, on the engine thread, after commit

// Commands. `actor` is who asked, for the log: "local" for the socket, a token's id otherwise.
struct TopUp {
    std::string actor, account;
    std::string amount;  // as given; the engine judges it
    std::string method = "cash", by, reference, payer, note, receipt;
    std::string received_at;
    std::string idempotency_key;
    std::string body_hash;  // SHA-256 of the canonical body, hex
};
struct AckAlert {
    std::string actor, alert, by, via, note, result;
};
struct TestAlert {
    std::string actor;
};
struct ImportRegistry {
    std::string actor;
    std::vector<std::pair<std::string, std::string>> files;  // name, bytes
    // The same, read already by who sends them, so that the engine does not stand still for it.
    // Theirs no longer: the engine replaces card numbers in it. Null: it reads `files`.
    std::shared_ptr<registry_files::Parsed> parsed = {};
    std::string by, second, reason;
    bool dry_run = false;
    // What finance counted in the old system; the import is refused where the files differ.
    std::optional<std::int64_t> control_accounts;
    std::string control_sum;
    // What the caller looked at; where it stands no longer nothing is taken. Null: no matter.
    std::shared_ptr<const Registry> seen = {};
};
struct ConfirmClock {
    std::string actor, by;
};
struct AddToken {
    std::string actor, name;
    std::vector<std::string> scopes;
    std::string expires_at;              // optional ISO 8601
    std::vector<std::string> addresses;  // it may come from, "192.0.2.0/24"; none: from anywhere
};
struct RevokeToken {
    std::string actor, id;
};
struct TouchToken {  // last use, coalesced by the caller; no event
    std::string id;
};
struct JudgeReading {  // would this be accepted now? Nothing is stored, no event
    Sample sample;
};
struct OrderMeterClock {  // the write itself is the bus's; it begins only after this is stored
    std::string actor, meter, by;
};
struct NoteMeterClock {  // what came of it; times as the meter's face shows them
    std::string actor, meter, by;
    bool done = false;
    std::string before, set_to, after, reason;
};
struct MqttCursor {  // highest contiguous PUBACK; no event
    std::uint64_t seq = 0;
    std::string sealed;  // the newest day whose seal was acknowledged; empty: none yet
};
// What staff do at a meter. Registers are faces, decimal as typed; `at` is ISO 8601, empty: now.
struct SettleQuarantine {
    std::string actor, id, by, reason;
    bool release = false;  // else reject
};
struct ReadFace {
    std::string actor, meter, register_value, at, by, second, photo;
    // A stored row that was wrong, and why; its neighbours where the caller has looked them up.
    std::uint64_t supersedes = 0;
    std::string reason = {};
    std::optional<ReadingAround> around = {};
    bool dry_run = false;  // of a correction alone: what it would change, signed by nobody
};
struct ConfirmFace {  // it agrees with what a profile in conflict reads
    std::string actor, meter, register_value, by;
};
struct HoldMeter {
    std::string actor, meter, by, reason;
    bool hold = true;  // else let it go
};
struct ReplaceMeter {
    std::string actor, meter, at, old_final, new_serial, new_opening, new_address, by, second;
};
// What two people do to a household's money. Each carries who asked, who did it and who agreed,
// why, and the key under which it is done once. Amounts are as typed; the engine judges them.
struct Act {
    std::string actor, by, second, reason;
    std::string idempotency_key;
    std::string body_hash;  // SHA-256 of the canonical body, hex
};
struct ReverseEntry {
    Act act;
    std::string entry;
};
struct RefundMoney {
    Act act;
    std::string account, amount, method, reference;
};
// Two meters, or a meter and a unit, were mixed up from the begin of that day on.
struct RemapMeter {
    Act act;
    std::string meter, with, from, reference;
    bool dry_run = false;  // shown, and nothing done; needs nobody's name and no key
};
struct TransferMoney {
    Act act;
    std::string account, to, amount, reference;
};
struct AdjustMoney {
    Act act;
    std::string account, amount, reference;
    std::string service;  // whose revenue it moves; empty: the account's, electricity before water
};
struct CloseAccount {
    Act act;
    std::string account;
    bool accept_last_reading = false;  // where a meter does not answer
    std::vector<Sample> fresh;         // read for this act
};
// What is done about keys and tickets (key_room.hpp).
struct RoomWork;
// A unit's holder goes, another comes: one act. `at` is ISO 8601, empty: now.
struct ChangeOccupant {
    Act act;
    std::string unit, at, holder;
    std::string settle, to, method, reference;  // to: account; empty: the one opened here
    std::string ladder;                         // anew, continue; empty: anew
    bool accept_last_reading = false;
    std::vector<Sample> fresh;
    // The record of the hand-over, written down with the accounts that it opened or not at all.
    std::shared_ptr<const RoomWork> record;
};
// A month's end: from the first step on nothing more is booked into it, and what its files say
// stands still; they are written from that and kept part by part, so that none holds the engine
// long; the last step seals them.
struct BeginPeriod {
    std::string actor, month, by;
};
struct KeepPeriodPart {
    std::string month, name;
    int n = 0;  // from 0 on; the first replaces what was kept of that file before
    std::string deflated;
};
struct SealPeriod {
    std::string actor, month, by;
    std::vector<PeriodFile> files;  // without their content
};
// A month of a shared-area pool as two people looked at it; the members are charged from the next
// day on. `registry` is the one that the sheet was made from.
struct ApprovePool {
    Act act;
    PoolSheet sheet;
    std::string document, sha256;  // pool_sheet_json of it, and its hash in hex
    std::shared_ptr<const Registry> registry;
};
// Before it is charged.
struct WithdrawPool {
    std::string actor, pool, month, by, reason;
};
// A staff's password, hashed already (PHC text); empty: it is taken away.
struct SetPassword {
    std::string actor, staff, hash;
};
// Who opened a household's file, why, and what was revealed (empty: nothing but the file). Without
// a unit: the names and phones of all.
struct NoteView {
    std::string actor, unit, reason, revealed;
};
// A look into a household's file asked for, and what the head says to it.
struct AskAccess {
    std::string actor, staff, unit, reason;
    int hours = 24;
};
struct AnswerAccess {
    std::string actor, by, id, reason;
    bool grant = true;
};
struct RoomCommand {
    std::string actor;
    std::shared_ptr<const RoomWork> work;
};
// A person's name, phone and what was written about them go, for good. `traces` was looked up
// beside the engine; who holds no open account leaves no new ones.
struct ErasePerson {
    Act act;
    std::string person;
    PersonTraces traces;
};
// Of the configuration, what may change while running.
struct ChangeSettings {
    AlertSettings alerts;
    std::int64_t store_interval_ms = 900'000;
};
using Command =
    std::variant<TopUp, AckAlert, TestAlert, ImportRegistry, ConfirmClock, AddToken, RevokeToken,
                 TouchToken, MqttCursor, SettleQuarantine, ReadFace, ConfirmFace, HoldMeter,
                 ReplaceMeter, JudgeReading, OrderMeterClock, NoteMeterClock, ReverseEntry,
                 RefundMoney, TransferMoney, AdjustMoney, CloseAccount, ChangeOccupant, BeginPeriod,
                 KeepPeriodPart, SealPeriod, ApprovePool, WithdrawPool, SetPassword, NoteView,
                 AskAccess, AnswerAccess, ErasePerson, ChangeSettings, RoomCommand, RemapMeter>;

// Who polls. Called on the engine thread; must not block.
class Poller {
  public:
    virtual ~Poller() = default;
    virtual void poll_soon(const std::string& meter) = 0;  // an immediate second exchange
    virtual void registry_changed(std::shared_ptr<const Registry> registry) = 0;
};

// How the profile table looks from here; absent: unknown or broken, with the reason.
struct ProfileFact {
    std::optional<MeterTraits> traits;
    std::string reason;                   // where traits is absent
    std::optional<Service> service = {};  // what such a meter counts; absent: either
    int channels = 0;                     // that one device has, from 0 on; 0: not known
};
using ProfileLookup = std::function<ProfileFact(const std::string& profile)>;

struct KeyRoomOptions;  // key_room.hpp

struct EngineOptions {
    std::string database_path;
    std::string site_id, site_name, timezone, currency = "CNY";
    bool chinese = true;  // language of the alert sentences
    std::int64_t store_interval_ms = 900'000;
    enum class Trust { automatic, system, manual } trust = Trust::automatic;
    // What `automatic` sees: the synchronisation flag and the RTC, read by main; nothing:
    // container.
    std::function<std::optional<bool>()> system_synchronised;
    AlertSettings alerts;
    // Ids of the configuration and names of the loaded profiles, for the import's checks. Cabinets
    // are checked only where the configuration has some.
    std::vector<std::string> buses, cabinets, profiles;
    std::shared_ptr<const KeyRoomOptions> keys;  // null: the defaults
    UtcMs build_date_ms = 0;
    std::string version = "0";                    // of the program, for the run's row
    std::function<void(const std::string&)> say;  // one line for the journal; engine thread
    std::int64_t max_pages = 0;                   // 0: no limit; tests stand in for a full disk
    std::size_t sample_queue_max = 8192;
    std::size_t command_queue_max = 256;
};

class Engine {
  public:
    // Opens and migrates the store; throws StoreError (store/store.hpp) with one line for a person.
    Engine(EngineOptions options, const Clock& clock, Random& random, const Zone& zone,
           ProfileLookup profiles);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    void set_poller(Poller* poller);  // before start
    void start();                     // the thread
    void stop();                      // drains, commits, joins

    // One turn without a thread, for the simulation: takes what is queued, commits, returns when
    // it wants the next turn (monotonic). Never together with start().
    MonoMs step();

    [[nodiscard]] SampleSink& sink();  // full queue: samples of one meter coalesce
    // False: the queue is full or the engine stops; the handler is not called.
    [[nodiscard]] bool submit(Command command, ReplyHandler handler);
    [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const;
    // Called on the engine thread after each commit that moved the event log or the snapshot; must
    // not block. Before start.
    void on_commit(std::function<void()> listener);
    [[nodiscard]] MonoMs heartbeat_mono_ms() const;  // of the last turn, for the watchdog
    [[nodiscard]] const std::string& run_id() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse
