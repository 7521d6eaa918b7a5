// The world: everything the engine holds in memory, rebuilt whole from the store at each start and
// after each failed commit, and the context that its rooms (meters, accounts, alerts, commands)
// share. Values and references only; the rules stand in the rooms. Engine thread only.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/core/alert.hpp"
#include "daemon/core/notice.hpp"
#include "daemon/core/settlement.hpp"
#include "daemon/core/space.hpp"
#include "daemon/core/validation.hpp"
#include "daemon/engine/clock_book.hpp"
#include "daemon/engine/engine.hpp"
#include "daemon/store/store.hpp"

namespace gatehouse {

// Names of notes in the store: two numbers, two numbers, a date, and the payload.
inline constexpr const char *kGapNote = "log_gap", *kDigestTallyNote = "digest_tally",
                            *kDigestDayNote = "digest_day", *kDigestNote = "digest";
// Before the id of a bus where an alert is about the bus; no id may hold a colon.
inline constexpr std::string_view kBusSubject = "bus:";

// A confirmed figure of a meter: from a sample of this run, or its last stored row.
struct Point {
    Stamp stamp;
    std::optional<UtcMs> stands_at;  // where it stands for another instant than the stamp's
    Milli register_value, total;
    std::vector<std::uint16_t> raw;
    std::string face;           // the register exactly, where 1e-3 cannot hold it
    std::uint64_t reading = 0;  // its row; 0: not stored
};

// The total at an edge, stored, and not yet in the lines of its account.
struct Freeze {
    UtcMs edge = 0;
    Milli total;
    std::uint64_t reading = 0;
};

// One meter of the registry as it runs: its judging state, its last figure, its freezes.
struct MeterRuntime {
    const Meter* row = nullptr;
    ProfileFact profile;
    MeterTerms terms;
    MeterState state;
    std::optional<EpochRow> epoch;
    std::optional<Point> last;
    std::optional<Stamp> baseline;  // of a first reading whose time was not trusted yet
    UtcMs settled_until = 0;        // newest handled edge; 0: not known yet
    Milli settled_total;            // the total there
    Milli settled_register;
    std::deque<Freeze> unposted;  // ascending
    MarkRow mark;                 // how far its use stands in the lines
    bool marked = false;
    std::optional<std::size_t> account;
    const Tariff* tariff = nullptr;
    std::optional<QuarantineRow> quarantine;
    std::map<std::int64_t, Milli> day_totals;  // day -> total at its end, the last nine
    std::optional<std::int64_t> power_milliwatt, flow_millilitre_per_hour;
    std::optional<UtcMs> last_poll_at;
    std::int64_t stored_slot = -1;  // of store_interval
    bool online = false;
    bool seen = false;  // polled in this run, well or not
    bool confirmed_this_run = false;
    bool stuck = false;
    std::string reason;
    std::uint64_t state_version = 1;
    // Since when it answers or does not, and when its last outage alert ended; of this run.
    struct Watch {
        bool known = false, offline = false;
        MonoMs since_mono_ms = 0;
        std::optional<MonoMs> cleared_mono_ms;
    } watch;
    std::optional<std::string> offline_alert, held_alert;  // ids of its open alerts
};

// The meters of one bus together: whether none of them answers.
struct BusWatch {
    bool known = false;  // some meter of it was polled in this run
    bool out = false;
    MonoMs since_mono_ms = 0;
    std::optional<MonoMs> back_mono_ms, cleared_mono_ms;
    int meters = 0;  // polled ones
    std::optional<std::string> alert;
};

struct OpenAlert {
    AlertRow row;
    AlertLife life;
};

struct AccountRuntime {
    const Account* row = nullptr;
    const Unit* unit = nullptr;
    Thresholds thresholds;
    Settlement settlement;   // as posted
    std::string lines_from;  // scope; from it on every line stands in settlement
    Fen ledger, balance, provisional;
    std::vector<std::size_t> meters;  // in order of meter id
    std::optional<LocalDate> posted_through;
    bool opening_booked = false;
    bool judged = false;
    bool trial = false;
    std::string not_yet;
    std::optional<int> days_left;
    std::optional<UtcMs> as_of;
    Quality quality = Quality::confirmed;
    int level = 0;
    AlertReason reason = AlertReason::balance;
    std::optional<std::string> alert;  // id of its open low_balance alert
    std::optional<std::string> stale_alert;
    std::uint64_t ledger_seq = 0;
    std::uint64_t state_version = 1;
};

struct World {
    std::shared_ptr<const Registry> registry = std::make_shared<Registry>();
    std::vector<MeterRuntime> meters;      // in the order of registry->meters
    std::vector<AccountRuntime> accounts;  // in the order of registry->accounts
    std::unordered_map<std::string, std::size_t> meter_index, account_index;
    std::unordered_map<std::string, const Unit*> units;
    std::unordered_map<std::string, const Staff*> staff;
    std::map<std::string, OpenAlert> alerts;  // by id, which sorts by opening
    std::map<std::string, std::uint64_t> topic_heads;
    std::map<std::string, TokenRow> tokens;
    std::map<std::string, BusStatus> buses;
    std::map<std::string, BusWatch> bus_watch;
    std::optional<std::string> gap_alert;
    std::uint64_t gap_after = 0, gap_next = 0;  // what the gap alert is about
    // Alerts raised, and cleared by a top-up, since the newest digest; and that digest as it was
    // published.
    int digest_fresh = 0, digest_topped_up = 0;
    std::optional<LocalDate> digest_day;
    std::string digest;
    std::uint64_t mqtt_cursor = 0;
    RunTimes runs;
};

// What the rooms share. One object for the life of the engine; its World is replaced on a reload.
struct Context {
    const EngineOptions& options;
    Store& store;
    ClockBook& clock;
    const Zone& zone;
    Random& random;
    const ProfileLookup& profiles;
    Poller* poller = nullptr;
    std::int64_t run = 0;

    World world{};
    Stamp now{};           // both clocks at the begin of the turn
    bool urgent = false;   // somebody waits: commit at the end of the turn
    bool writable = true;  // false: the store failed; judge in memory, write nothing
    bool unsaved = false;  // something is written that nobody waits for
    SpaceState space = SpaceState::plenty;
    bool alerts_moved = true;  // since the newest snapshot
    std::uint64_t readings_stored = 0, samples = 0;
    std::set<std::size_t> dirty_meters{}, dirty_accounts{};
    std::set<std::size_t> repriced{};  // accounts whose balance is to be computed anew

    [[nodiscard]] UtcMs now_ms() const { return clock.time(now.mono_ms, now.wall_ms); }
    // The time of a stamp of any run, where it may be believed.
    [[nodiscard]] std::optional<UtcMs> trusted(const Stamp& stamp) const;
    // The same, else the wall clock as it was seen.
    [[nodiscard]] UtcMs best(const Stamp& stamp) const;
    [[nodiscard]] std::optional<UtcMs> trusted(const Point& point) const;
    [[nodiscard]] UtcMs best(const Point& point) const;
    [[nodiscard]] LocalDate day_of(UtcMs at) const { return zone.local(at).date; }
    [[nodiscard]] std::string unit_label(const std::string& unit) const;
    [[nodiscard]] std::string iso(UtcMs at) const { return format_iso8601(at, zone); }
    // 26 characters, sorts by time of making.
    [[nodiscard]] std::string new_ulid();
};

// Appends to the event log, keeps the heads of topics, and asks for a commit.
// Returns the seq; `topic` empty: no `prev` chain.
std::uint64_t log_event(Context& context, const std::string& kind, const std::string& subject,
                        const std::string& body, std::vector<std::string> about = {},
                        const std::string& topic = {});

// Rebuilds the world from the store: the start, and the way back after a failed commit.
[[nodiscard]] World load_world(Context& context);
// Binds rows of a registry to runtimes: pointers, terms, shares. After load and after an import.
void bind_registry(Context& context, World& world);

}  // namespace gatehouse
