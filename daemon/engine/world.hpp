// The world: everything the engine holds in memory, rebuilt whole from the store at each start and
// after each failed commit, and the context that its rooms (meters, accounts, alerts, commands)
// share. Values and references only; the rules stand in the rooms. Engine thread only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/core/alert.hpp"
#include "daemon/core/boxed.hpp"
#include "daemon/core/calendar.hpp"
#include "daemon/core/day_totals.hpp"
#include "daemon/core/flow.hpp"
#include "daemon/core/forecast.hpp"
#include "daemon/core/notice.hpp"
#include "daemon/core/settlement.hpp"
#include "daemon/core/space.hpp"
#include "daemon/core/use_check.hpp"
#include "daemon/core/validation.hpp"
#include "daemon/engine/clock_book.hpp"
#include "daemon/engine/engine.hpp"
#include "daemon/store/store.hpp"

namespace gatehouse {

// What the checks over whole days and the mean of days left need.
inline constexpr std::size_t kDayTotalsMax = kUseDays + 2;
// Names of notes in the store: two numbers, two numbers, a date, and the payload.
inline constexpr const char *kGapNote = "log_gap", *kDigestTallyNote = "digest_tally",
                            *kDigestDayNote = "digest_day", *kDigestNote = "digest";
// Before the id of a unit: since when it is vacant, in milliseconds.
inline constexpr const char* kVacantNote = "vacant_since/";
// What the warning of a calendar that ends is about.
inline constexpr const char* kCalendarFile = "calendar.csv";
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
    ReadingQuality quality = ReadingQuality::good;
};

// What a meter said of itself twice running: only then it is believed.
template <class Mark>
struct SeenTwice {
    std::optional<Mark> mark;
    int count = 0;
    void see(const std::optional<Mark>& read) {
        if (!read) return;
        count = mark == read ? count + 1 : 1;
        mark = read;
    }
    [[nodiscard]] bool sure() const { return count >= 2; }
};

// The total at an edge, stored, and not yet in the lines of its account.
struct Freeze {
    UtcMs edge = 0;
    Milli total;
    std::uint64_t reading = 0;
    // No reading of its own: an edge that came late within the stretch which ends with that one.
    bool inside = false;
};

// What charges a meter: who pays, by which tariff, and what its register counts for.
struct Charging {
    std::optional<std::size_t> account;
    const Tariff* tariff = nullptr;
    Rational multiplier{1, 1};
    int persons = 0;  // 0: the registry does not say
};

// Of a meter whose price changes with the hour: the next edge within the day, found once for each
// handled edge, and what each band used on the days that the mean looks at.
struct BandState {
    std::optional<UtcMs> since;  // settled_until that `edge` was found for
    std::optional<UtcMs> edge;
    bool asked = false;  // the poller was told of it
    std::map<std::int64_t, BandUse> days;
};

// Ids of a meter's open alerts: about it, and about what it counts where nothing should be counted.
struct MeterAlerts {
    std::optional<std::string> offline, held, prepaid, vacant, leak;
};

// One meter of the registry as it runs: its judging state, its last figure, its freezes.
struct MeterRuntime {
    const Meter* row = nullptr;
    Shared<ProfileFact> profile;
    MeterTerms terms;
    MeterState state;
    std::optional<EpochRow> epoch;
    std::optional<Point> last;
    Boxed<Point> dated;       // the newest before those that wait for a trusted clock
    Boxed<Stamp> baseline;    // of a first reading whose time was not trusted yet
    UtcMs settled_until = 0;  // newest handled edge; 0: not known yet
    Milli settled_total;      // the total there
    Milli settled_register;
    ShortQueue<Freeze> unposted;  // ascending
    MarkRow mark;                 // how far its use stands in the lines
    bool marked = false;
    Charging by_registry;                // in force once `edges` is empty
    ShortQueue<PendingEdgeRow> edges;    // registry changes that no sample has passed, oldest first
    std::optional<std::size_t> account;  // in force: what the first of them says held before it
    const Tariff* tariff = nullptr;      // the same, and so is terms.multiplier
    int persons = 0;                     // the same
    Boxed<BandState> bands;              // where the tariff has some
    Boxed<QuarantineRow> quarantine;
    Boxed<HoldRow> hold;                  // staff's; nothing is judged meanwhile
    std::optional<Rational> newest_face;  // of the newest sample, judged or not
    std::optional<SampleTime> newest_time;
    SeenTwice<std::string> serial_read;
    Boxed<SeenTwice<std::string>> ratio_read;
    SeenTwice<bool> prepays;  // by itself; one flipped bit tells nobody
    std::string prepays_text;
    std::uint64_t rejected = 0;    // in this run: what rejected itself, and what staff rejected
    std::uint64_t duplicates = 0;  // in this run: samples not later than the one before, dropped
    DayTotals<kDayTotalsMax> day_totals;
    HourFlow flow;                   // of water
    std::vector<std::string> flags;  // what people should look at
    bool reviewed = false;           // in this run
    std::optional<std::int64_t> power_milliwatt, flow_millilitre_per_hour;
    std::optional<UtcMs> last_poll_at;
    std::optional<std::int64_t> clock_drift_s;  // the meter's own clock minus local time
    std::optional<UtcMs> clock_read_at;
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
    [[nodiscard]] const MeterAlerts& alerts() const {
        static const MeterAlerts kNone;
        return alerts_ ? *alerts_ : kNone;
    }
    // To write one.
    [[nodiscard]] MeterAlerts& alerts_to_move() {
        if (!alerts_) alerts_ = MeterAlerts{};
        return *alerts_;
    }

  private:
    Boxed<MeterAlerts> alerts_;
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
    std::set<std::string> counted = {};  // facts that were looked at as repeats of it
};

// Whether the monthly fees of a tariff are posted, for the newest month that was asked about.
struct MonthFees {
    std::string month;
    bool posted = false;
};

// What an account on trial used so far, priced, and the first day of that.
struct TrialLines {
    Settlement lines;
    LocalDate from;
};

struct AccountRuntime {
    const Account* row = nullptr;
    const Unit* unit = nullptr;
    Thresholds thresholds;
    Settlement settlement;   // as posted
    std::string lines_from;  // scope; from it on every line stands in settlement
    Fen ledger, balance, provisional;
    std::vector<std::size_t> meters;              // in order of meter id
    std::map<std::string, MonthFees> month_fees;  // by tariff
    std::optional<LocalDate> posted_through;
    bool opening_booked = false;
    bool judged = false;
    bool trial = false;
    std::shared_ptr<TrialLines> trial_lines;  // of the trial book; null: nothing was used yet
    std::optional<Fen> preview;               // the balance that it would have; on trial alone
    std::string not_yet;
    std::optional<int> days_left;
    std::optional<UtcMs> as_of;
    PendingParts pending;
    Quality quality = Quality::confirmed;
    int level = 0;
    AlertReason reason = AlertReason::balance;
    std::optional<std::string> alert;  // id of its open low_balance alert
    std::optional<std::string> stale_alert;
    std::optional<MonoMs> topup_waits_since;  // booked, and judged once the meters caught up
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
    std::unordered_map<std::string, UtcMs> vacant_since;  // by unit, of those that are
    Calendar calendar;
    std::map<std::string, OpenAlert> alerts;  // by id, which sorts by opening
    std::map<std::string, std::uint64_t> topic_heads;
    std::map<std::string, TokenRow> tokens;
    std::map<std::string, ErasureRow> erased;  // by person
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
    // The newest month that is closed or closing: nothing is booked into it or an older one.
    std::string sealed_through;
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
    Stamp now{};                  // both clocks at the begin of the turn
    bool urgent = false;          // somebody waits: commit at the end of the turn
    bool writable = true;         // false: the store failed; judge in memory, write nothing
    bool unsaved = false;         // something is written that nobody waits for
    bool registry_moved = false;  // the poller is told after the commit
    SpaceState space = SpaceState::plenty;
    bool alerts_moved = true;   // since the newest snapshot
    bool log_to_empty = false;  // somebody was erased; old pages still stand in the store's log
    std::uint64_t readings_stored = 0, samples = 0;
    // Who asked for what is carried out now: "staff:<id>" where somebody is logged in,
    // "staff:<id>+<id>" where two are; empty: time does it.
    std::string actor{};
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
    // The interval in which what a meter used at that instant lies, on the terms in force.
    [[nodiscard]] Interval interval(const MeterRuntime& meter, UtcMs at) const {
        return interval_at(at, world.calendar, zone, meter.persons);
    }
    // Whether those people are who they say, because they are logged in.
    [[nodiscard]] bool vouched(const std::string& by, const std::string& second = {}) const {
        return actor == "staff:" + by + (second.empty() ? "" : "+" + second);
    }
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
// What only the wire tells, from the world before a reload.
void take_over(World& world, const World& before);
// Binds rows of a registry to runtimes: pointers, terms, shares. After load and after an import.
void bind_registry(Context& context, World& world);
// What a meter is compared with beyond its row: the serial number and ratio that its epoch learned
// where the row names none, and whether its face was seen to agree with a profile in conflict.
void bind_identity(Context& context, MeterRuntime& meter);
// The judging state as it follows from the last stored row and its epoch.
[[nodiscard]] MeterState state_of(Context& context, const MeterRuntime& meter);
// Puts in force what charges a meter now: after a bind, and when a registry change was passed. Its
// place in the lists of the accounts moves with it.
void bind_charging(World& world, std::size_t meter);
// Null where the registry has none of that id.
[[nodiscard]] const Tariff* find_tariff(const World& world, const std::string& id);
// The multiplier in force as the registry writes it.
[[nodiscard]] const std::string& multiplier_in_force(const MeterRuntime& meter);

}  // namespace gatehouse
