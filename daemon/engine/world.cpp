#include "daemon/engine/world.hpp"

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/closing_desk.hpp"
#include "daemon/engine/edge_book.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_alerts.hpp"
#include "daemon/engine/late_edges.hpp"
#include "daemon/engine/meter_profiles.hpp"
#include "daemon/engine/registry_files.hpp"
#include "daemon/engine/trial_book.hpp"
#include "daemon/engine/use_watch.hpp"

namespace gatehouse {
namespace {

constexpr const char* kCrockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

SampleTime sample_time(const Context& context, const Stamp& stamp) {
    return {stamp.run, stamp.mono_ms, context.trusted(stamp)};
}

// What people typed is compared with to the last place that they typed.
void recall_typed(Context& context, const MeterRuntime& meter, LastReading& last) {
    if (meter.last->quality != ReadingQuality::manual) return;
    std::string typed;
    const auto read = context.store.newest_manual_reading(meter.row->meter, false);
    // A move that stands on a dial has its figure and a row of its own.
    const auto moved = read ? parse_rational(read->register_value) : std::nullopt;
    const bool carried = moved && read->reading < meter.last->reading &&
                         round_to_milli(*moved) == meter.last->register_value;
    if (read && (read->reading == meter.last->reading || carried)) {
        last.typed = Typed::dial;
        typed = read->register_value;
    } else if (const auto replaced = context.store.newest_replacement(meter.row->meter);
               replaced && replaced->new_epoch == meter.epoch->id) {
        last.typed = Typed::replacement;
        typed = replaced->new_opening;
    }
    const auto tolerance = typed_tolerance(typed, meter.terms.traits->step);
    last.tolerance = tolerance.value_or(Rational{0, 1});
    if (!meter.last->stands_at) return;
    // A typed time is when it was read; the stamp is when it was typed.
    const std::int64_t before = *meter.last->stands_at - context.best(meter.last->stamp);
    last.time.mono_ms += before;
    last.time.trusted_utc_ms = meter.last->stands_at;
}

}  // namespace

MeterState state_of(Context& context, const MeterRuntime& meter) {
    LastReading last;
    if (!meter.last->face.empty()) last.exact = parse_fraction(meter.last->face);
    last.register_value = meter.last->register_value;
    last.figure = meter.last->total - (meter.epoch->base_total - meter.epoch->base_figure);
    last.total = meter.last->total;
    last.time = sample_time(context, meter.last->stamp);
    last.multiplier = parse_rational(meter.epoch->multiplier).value_or(Rational{1, 1});
    recall_typed(context, meter, last);
    last.moved_at = last.time;
    return restore(last);
}

namespace {

// Before the registry is bound: what is in force hangs on them.
void load_pending_edges(Context& context, World& world) {
    std::unordered_map<std::string, std::size_t> index;
    const std::vector<Meter>& meters = world.registry->meters;
    for (std::size_t i = 0; i < meters.size(); ++i) index.emplace(meters[i].meter, i);
    world.meters.resize(meters.size());
    for (PendingEdgeRow& row : context.store.load_pending_edges())
        world.meters[index.at(row.meter)].edges.push_back(std::move(row));
}

Point point_of(ReadingRow row) {
    return {row.at,    row.stands_at,      row.register_value,
            row.total, std::move(row.raw), std::move(row.face),
            row.seq,   row.quality};
}

void load_readings(Context& context, World& world) {
    for (EpochRow& epoch : context.store.load_open_epochs()) {
        const auto found = world.meter_index.find(epoch.meter);
        if (found != world.meter_index.end()) world.meters[found->second].epoch = std::move(epoch);
    }
    for (ReadingRow& row : context.store.load_last_readings()) {
        const auto found = world.meter_index.find(row.meter);
        if (found == world.meter_index.end()) continue;
        MeterRuntime& meter = world.meters[found->second];
        meter.last = point_of(std::move(row));
    }
    for (MarkRow& mark : context.store.load_marks()) {
        const auto found = world.meter_index.find(mark.meter);
        if (found == world.meter_index.end()) continue;
        MeterRuntime& meter = world.meters[found->second];
        if (!meter.account || world.accounts[*meter.account].row->account != mark.account) continue;
        meter.mark = std::move(mark);
        meter.marked = true;
    }
}

// Where the books end. The clock may stand in another century after a power cut, and would then
// have all of them read at the start, or none.
LocalDate newest_day(Context& context) {
    return context.day_of(context.store.load_newest_trusted().value_or(context.now_ms()));
}

struct LoadedDays {
    // By meter: the row of each day's freeze, of those whose price changes within days.
    std::unordered_map<std::string, std::map<std::int64_t, std::uint64_t>> rows;
    // By index: the row of the newest edge; 0 where no edge was passed.
    std::vector<std::uint64_t> settled_by;
};

bool changes_within_days(const MeterRuntime& meter) {
    return meter.tariff != nullptr && has_bands(*meter.tariff);
}

// 40 days back: what a stopped daemon has frozen and not posted is never older than its last turn,
// and the mean needs nine.
constexpr std::int64_t kDaysLoaded = 40;

void take_day(Context& context, World& world, std::size_t index, const DayRow& row,
              LoadedDays& loaded) {
    MeterRuntime& meter = world.meters[index];
    meter.day_totals.put(row.day, row.total);
    const UtcMs edge = context.zone.midnight(date_from_days(row.day + 1));
    if (edge > meter.settled_until) {
        meter.settled_until = edge;
        meter.settled_total = row.total;
        meter.settled_register = meter.last ? meter.last->register_value : Milli{};
        loaded.settled_by[index] = row.reading;
    }
    if (meter.marked && row.reading > meter.mark.reading)
        meter.unposted.push_back({edge, row.total, row.reading});
    if (!changes_within_days(meter)) return;
    auto& days = loaded.rows[row.meter];
    days[row.day] = row.reading;
    if (days.size() > kDayTotalsMax) days.erase(days.begin());
}

// A meter that has been silent for longer passed its newest midnight before that: without it the
// days since its terms began would be estimated anew, below what was confirmed, once it answers. A
// dated last row names the day; one of a run without a clock does not, and is looked for as far
// back as edges are worked out.
void load_silent_days(Context& context, World& world, std::int64_t from_day, LoadedDays& loaded) {
    for (std::size_t i = 0; i < world.meters.size(); ++i) {
        const MeterRuntime& meter = world.meters[i];
        if (!meter.last || !meter.epoch || meter.settled_until != 0) continue;
        std::int64_t day = from_day - 1;
        if (const std::optional<UtcMs> at = context.trusted(*meter.last)) {
            const std::int64_t last = days_since_epoch(context.day_of(*at));
            // It began within the days loaded, and has passed no midnight yet.
            if (last > from_day) continue;
            day = last;
        }
        const auto row = context.store.load_day_before(meter.row->meter, day, kEdgesMax);
        if (row) take_day(context, world, i, *row, loaded);
    }
}

LoadedDays load_days(Context& context, World& world) {
    LoadedDays loaded;
    loaded.settled_by.resize(world.meters.size());
    const std::int64_t from_day = days_since_epoch(newest_day(context)) - kDaysLoaded;
    for (const DayRow& row : context.store.load_days(from_day)) {
        const auto found = world.meter_index.find(row.meter);
        if (found != world.meter_index.end()) take_day(context, world, found->second, row, loaded);
    }
    load_silent_days(context, world, from_day, loaded);
    return loaded;
}

struct Boundary {
    UtcMs edge = 0;
    Milli total;
    std::uint64_t reading = 0;
};

// The freezes within days, of meters whose price changes there: those that are not in the lines
// yet, and what each band used on the days that the mean looks at.
void load_band_edges(Context& context, World& world, LoadedDays& days) {
    // The context still has the world of before; what is asked of it here is the calendar.
    context.world.calendar = world.calendar;
    for (std::size_t i = 0; i < world.meters.size(); ++i) {
        MeterRuntime& meter = world.meters[i];
        if (!changes_within_days(meter)) continue;
        std::vector<Boundary> boundaries;
        std::vector<Freeze> unposted(meter.unposted.begin(), meter.unposted.end());
        std::uint64_t after = 0;
        if (const auto rows = days.rows.find(meter.row->meter); rows != days.rows.end()) {
            after = rows->second.begin()->second;
            for (const auto& [day, reading] : rows->second)
                if (const auto total = meter.day_totals.at(day))
                    boundaries.push_back(
                        {context.zone.midnight(date_from_days(day + 1)), *total, reading});
        }
        const UtcMs from = boundaries.empty() ? 0 : boundaries.front().edge;
        if (meter.marked) after = std::min(after, meter.mark.reading);
        for (const SwitchRow& row : context.store.load_switches(meter.row->meter, after)) {
            boundaries.push_back({row.edge, row.total, row.reading});
            if (meter.marked && row.reading > meter.mark.reading)
                unposted.push_back({row.edge, row.total, row.reading});
        }
        const auto by_edge = [](const auto& a, const auto& b) { return a.edge < b.edge; };
        std::stable_sort(unposted.begin(), unposted.end(), by_edge);
        meter.unposted = {};
        for (const Freeze& freeze : unposted) meter.unposted.push_back(freeze);
        load_splits(context.store.account_books(), meter);
        std::stable_sort(boundaries.begin(), boundaries.end(), by_edge);
        for (std::size_t at = 1; at < boundaries.size(); ++at)
            if (boundaries[at - 1].edge >= from)
                note_band_use(context, meter, boundaries[at].edge,
                              boundaries[at].total - boundaries[at - 1].total);
        if (boundaries.empty() || boundaries.back().edge <= meter.settled_until) continue;
        meter.settled_until = boundaries.back().edge;
        meter.settled_total = boundaries.back().total;
        meter.settled_register = meter.last ? meter.last->register_value : Milli{};
        days.settled_by[i] = boundaries.back().reading;
    }
}

// Where terms began or a holder changed within a day is an edge as well, and the next one is never
// worked out from a sample before it.
void load_changes(Context& context, World& world, LoadedDays& days) {
    for (const TermsRow& row : context.store.account_books().newest_terms()) {
        const auto found = world.meter_index.find(row.meter);
        if (found == world.meter_index.end()) continue;
        MeterRuntime& meter = world.meters[found->second];
        if (*row.stands_at <= meter.settled_until) continue;
        meter.settled_until = *row.stands_at;
        meter.settled_total = row.total;
        meter.settled_register = meter.last ? meter.last->register_value : Milli{};
        days.settled_by[found->second] = row.from;
    }
    // Nor does a price that comes late have an edge before a replacement, whose use is posted.
    for (std::size_t i = 0; i < world.meters.size(); ++i) {
        MeterRuntime& meter = world.meters[i];
        if (!changes_within_days(meter) || !meter.epoch) continue;
        const auto row = context.store.newest_replacement(meter.row->meter);
        if (!row || row->new_epoch != meter.epoch->id || row->at <= meter.settled_until) continue;
        const auto face = parse_rational(row->new_opening);
        meter.settled_until = row->at;
        meter.settled_total = meter.epoch->base_total;
        meter.settled_register = round_to_milli(face.value_or(Rational{0, 1})).value_or(Milli{});
        days.settled_by[i] = 0;
    }
}

// The next edge may be worked out from the last one: also where a newer sample is there now, since
// the clock may turn out to have been ahead when that was read.
void load_settled_registers(Context& context, World& world,
                            const std::vector<std::uint64_t>& settled_by) {
    for (std::size_t i = 0; i < world.meters.size(); ++i) {
        MeterRuntime& meter = world.meters[i];
        if (settled_by[i] != 0)
            meter.settled_register =
                context.store.register_of(settled_by[i]).value_or(meter.settled_register);
    }
}

// Where the newest row of a meter was read by a clock that nobody trusted, the next edge is worked
// out from the newest one before it that is dated, as it would be without the restart.
void load_dated(Context& context, World& world) {
    std::vector<Store::DatedSearch> undated;
    for (const MeterRuntime& meter : world.meters)
        if (meter.last && !context.trusted(*meter.last))
            undated.push_back({meter.row->meter, meter.settled_until, meter.last->reading});
    if (undated.empty()) return;
    for (ReadingRow& row : context.store.load_newest_dated(undated)) {
        MeterRuntime& meter = world.meters[world.meter_index.at(row.meter)];
        meter.dated = point_of(std::move(row));
        if (!context.trusted(*meter.dated)) meter.dated.reset();
    }
}

void load_meter_states(Context& context, World& world) {
    for (MeterRuntime& meter : world.meters) {
        if (meter.last && meter.epoch) meter.state = state_of(context, meter);
        bind_identity(context, meter);
        if (!meter.last || !meter.epoch) continue;
        if (meter.settled_until == 0) {
            // No midnight was passed yet: the epoch's beginning is where the first day begins.
            meter.baseline = meter.epoch->opened;
            const std::optional<UtcMs> at = context.trusted(*meter.last);
            meter.settled_until = at.value_or(0);
            meter.settled_total = meter.last->total;
            meter.settled_register = meter.last->register_value;
            if (!at && meter.marked) {
                meter.settled_total = meter.mark.total;
                meter.settled_register =
                    context.store.register_of(meter.mark.reading).value_or(meter.settled_register);
            }
        }
        meter.stored_slot = context.best(*meter.last) /
                            std::max<std::int64_t>(1'000, context.options.store_interval_ms);
    }
    for (QuarantineRow& row : context.store.load_open_quarantine()) {
        const auto found = world.meter_index.find(row.meter);
        if (found == world.meter_index.end()) continue;
        MeterRuntime& meter = world.meters[found->second];
        const auto reason = parse_quarantine_reason(row.reason);
        if (reason) {
            Quarantine open;
            open.reason = *reason;
            open.value.exact = Rational{row.register_value.count, 1'000};
            open.value.register_value = row.register_value;
            open.value.figure = row.total;
            open.value.total = row.total;
            open.value.at = row.at;
            open.value.time = sample_time(context, row.at);
            open.value.raw = row.raw;
            restore_quarantine(meter.state, open, row.serial);
        }
        meter.quarantine = std::move(row);
    }
    for (HoldRow& row : context.store.load_open_holds()) {
        const auto found = world.meter_index.find(row.meter);
        if (found == world.meter_index.end()) continue;
        world.meters[found->second].reason = "held by staff";
        world.meters[found->second].hold = std::move(row);
    }
}

void load_accounts(Context& context, World& world) {
    std::map<std::string, std::string> needed;
    std::string oldest = "9999-12";
    for (const AccountRuntime& account : world.accounts) {
        std::string scope = lines_needed(context, world, account);
        oldest = std::min(oldest, scope);
        needed.emplace(account.row->account, std::move(scope));
    }
    const LocalDate counters_from =
        date_from_days(days_since_epoch(newest_day(context)) - kCountersDays);
    auto settlements = context.store.load_settlements(oldest, counters_from);
    const std::map<std::string, LocalDate> posted = context.store.load_posted_days();
    std::unordered_map<std::string, LedgerAccountRow> ledger;
    for (LedgerAccountRow& row : context.store.load_ledger_accounts()) {
        std::string name = row.account;
        ledger.emplace(std::move(name), std::move(row));
    }
    for (AccountRuntime& account : world.accounts) {
        const std::string& id = account.row->account;
        if (const auto found = settlements.find(id); found != settlements.end())
            account.settlement = std::move(found->second);
        account.lines_from = needed.at(id);
        forget_settled(account.settlement, account.lines_from, counters_from);
        if (const auto found = ledger.find(book::household(id)); found != ledger.end()) {
            account.ledger = found->second.balance;
            account.ledger_seq = found->second.last_entry;
        }
        if (const auto found = posted.find(id); found != posted.end())
            account.posted_through = found->second;
        account.opening_booked = context.store.posted(id, "opening");
        account.judged = account.ledger_seq != 0;
        const bool open = account.row->closed.empty();
        account.trial = account.row->live_from && !account.opening_booked && open;
        if (!open) account.as_of = closed_on(context, id);
    }
    load_previews(context, world);
}

// Where the subject of an open alert keeps its id; nowhere for one that is gone.
std::optional<std::string>* place_of(World& world, const AlertRow& row) {
    const std::optional<AlertKind> kind = parse_alert_kind(row.kind);
    if (!kind) return nullptr;
    if (*kind == AlertKind::log_gap) return &world.gap_alert;
    if (*kind == AlertKind::low_balance || *kind == AlertKind::stale_balance) {
        const auto found = world.account_index.find(row.subject);
        if (found == world.account_index.end()) return nullptr;
        AccountRuntime& account = world.accounts[found->second];
        if (*kind == AlertKind::stale_balance) return &account.stale_alert;
        account.level = row.level;
        return &account.alert;
    }
    if (row.subject.rfind(kBusSubject, 0) == 0)
        return &world.bus_watch[row.subject.substr(kBusSubject.size())].alert;
    const auto found = world.meter_index.find(row.subject);
    if (found == world.meter_index.end()) return nullptr;
    MeterRuntime& meter = world.meters[found->second];
    MeterAlerts& alerts = meter.alerts_to_move();
    if (*kind == AlertKind::meter_prepaid_active) return &alerts.prepaid;
    if (*kind == AlertKind::vacant_use) return &alerts.vacant;
    if (*kind == AlertKind::leak_suspect) return &alerts.leak;
    return *kind == AlertKind::reading_held ? &alerts.held : &alerts.offline;
}

// Two numbers that were written with a space between; 0 for what is not there.
std::pair<std::uint64_t, std::uint64_t> two_numbers(const std::string& text) {
    std::istringstream in(text);
    std::pair<std::uint64_t, std::uint64_t> numbers{};
    in >> numbers.first >> numbers.second;
    return numbers;
}

void load_alerts(Context& context, World& world) {
    for (AlertRow& row : context.store.load_open_alerts()) {
        OpenAlert alert;
        const bool reminded = parse_alert_state(row.state) == AlertState::reminded;
        alert.life = {row.level, row.acknowledged, row.told_at, reminded};
        std::optional<std::string>* place =
            is_key_alert(context, row) ? nullptr : place_of(world, row);
        if (place != nullptr) *place = row.id;
        std::string id = row.id;
        alert.row = std::move(row);
        world.alerts.emplace(std::move(id), std::move(alert));
    }
    std::tie(world.gap_after, world.gap_next) = two_numbers(context.store.load_note(kGapNote));
    const auto tally = two_numbers(context.store.load_note(kDigestTallyNote));
    world.digest_fresh = static_cast<int>(tally.first);
    world.digest_topped_up = static_cast<int>(tally.second);
    world.digest_day = parse_date(context.store.load_note(kDigestDayNote));
    world.digest = context.store.load_note(kDigestNote);
    world.topic_heads = context.store.load_topic_heads();
    world.mqtt_cursor = context.store.load_mqtt_cursor();
    for (TokenRow& token : context.store.load_tokens()) {
        std::string id = token.id;
        world.tokens.emplace(std::move(id), std::move(token));
    }
    for (ErasureRow& row : context.store.load_erasures()) {
        std::string id = row.person;
        world.erased.emplace(std::move(id), std::move(row));
    }
}

}  // namespace

std::optional<UtcMs> Context::trusted(const Stamp& stamp) const {
    if (stamp.run == run) return clock.trusted_time(stamp.mono_ms);
    const RunTimes::Time time = world.runs.time(stamp);
    return time.trusted ? std::optional(time.at) : std::nullopt;
}

UtcMs Context::best(const Stamp& stamp) const {
    return trusted(stamp).value_or(stamp.wall_ms);
}

std::optional<UtcMs> Context::trusted(const Point& point) const {
    return point.stands_at ? point.stands_at : trusted(point.stamp);
}

UtcMs Context::best(const Point& point) const {
    return point.stands_at ? *point.stands_at : best(point.stamp);
}

std::string Context::unit_label(const std::string& unit) const {
    const auto found = world.units.find(unit);
    if (found == world.units.end() || found->second->label.empty()) return unit;
    return found->second->label;
}

std::string Context::new_ulid() {
    std::string id(26, '0');
    auto time = static_cast<std::uint64_t>(std::max<UtcMs>(0, now_ms()));
    for (std::size_t i = 10; i-- > 0; time >>= 5U) id[i] = kCrockford[time & 31U];
    std::uint64_t high = random.next_u64(), low = random.next_u64();
    for (std::size_t i = 10; i < 18; ++i, high >>= 5U) id[i] = kCrockford[high & 31U];
    for (std::size_t i = 18; i < 26; ++i, low >>= 5U) id[i] = kCrockford[low & 31U];
    return id;
}

World load_world(Context& context) {
    World world;
    world.runs.set(context.store.load_runs());
    // trusted() looks into the context's world for runs of the past.
    context.world.runs = world.runs;
    world.registry = std::make_shared<const Registry>(context.store.load_registry());
    load_pending_edges(context, world);
    bind_registry(context, world);
    load_readings(context, world);
    LoadedDays days = load_days(context, world);
    load_band_edges(context, world, days);
    load_changes(context, world, days);
    load_settled_registers(context, world, days.settled_by);
    load_dated(context, world);
    load_meter_states(context, world);
    load_accounts(context, world);
    load_use(context, world);
    load_alerts(context, world);
    if (const auto periods = context.store.load_periods(); !periods.empty())
        world.sealed_through = periods.back().month;
    return world;
}

void bind_identity(Context& context, MeterRuntime& meter) {
    if (meter.epoch) {
        const std::string& serial = meter.epoch->serial;
        if (!meter.terms.serial && !serial.empty() && meter.terms.traits->reads_serial)
            meter.terms.serial = serial;
        if (!meter.epoch->device_ratio.empty())
            meter.terms.device_ratio = parse_fraction(meter.epoch->device_ratio);
    }
    meter.state.face_confirmed = false;
    if (meter.terms.traits->status != MapStatus::conflict) return;
    const auto agreed = context.store.newest_manual_reading(meter.row->meter, true);
    meter.state.face_confirmed = agreed && agreed->profile == meter.row->profile;
}

void bind_registry(Context& context, World& world) {
    const Registry& registry = *world.registry;
    world.meter_index.clear();
    world.account_index.clear();
    world.units.clear();
    world.staff.clear();
    for (const Unit& unit : registry.units) world.units.emplace(unit.unit, &unit);
    for (const Staff& staff : registry.staff) world.staff.emplace(staff.staff, &staff);
    world.calendar = Calendar(registry.calendar);
    world.meters.resize(registry.meters.size());
    MeterProfiles profiles(context.profiles, context.zone);
    for (std::size_t i = 0; i < registry.meters.size(); ++i) {
        MeterRuntime& meter = world.meters[i];
        const Meter& row = registry.meters[i];
        meter.row = &row;
        meter.account.reset();
        meter.by_registry = {};
        if (!profiles.bind(row, meter.profile, meter.terms))
            meter.profile = ProfileFact{std::nullopt, "its row in meters.csv cannot be used"};
        meter.by_registry.multiplier = meter.terms.multiplier;
        if (!meter.profile->traits && !row.profile.empty()) meter.reason = meter.profile->reason;
        bind_identity(context, meter);
        world.meter_index.emplace(row.meter, i);
    }
    world.accounts.resize(registry.accounts.size());
    std::vector<std::string> not_yet = registry_files::not_yet(registry);
    for (std::size_t i = 0; i < registry.accounts.size(); ++i) {
        AccountRuntime& account = world.accounts[i];
        account.row = &registry.accounts[i];
        const auto unit = world.units.find(account.row->unit);
        account.unit = unit == world.units.end() ? nullptr : unit->second;
        account.thresholds = thresholds_of(
            *account.row, account.unit ? account.unit->use : Use::home, context.options.alerts);
        account.not_yet = std::move(not_yet[i]);
        account.meters.clear();
        world.account_index.emplace(account.row->account, i);
    }
    for (const registry_files::Charged& charged : registry_files::charged_meters(registry)) {
        Charging& charging = world.meters[world.meter_index.at(charged.meter->meter)].by_registry;
        charging.account = world.account_index.at(charged.account->account);
        charging.tariff = charged.tariff;
        charging.persons = charged.persons.value_or(0);
    }
    for (std::size_t i = 0; i < world.meters.size(); ++i) bind_charging(world, i);
}

const std::string& multiplier_in_force(const MeterRuntime& meter) {
    return meter.edges.empty() ? meter.row->multiplier : meter.edges.front().multiplier;
}

const Tariff* find_tariff(const World& world, const std::string& id) {
    const auto& tariffs = world.registry->tariffs;
    const auto found = std::find_if(tariffs.begin(), tariffs.end(),
                                    [&](const Tariff& one) { return one.tariff == id; });
    return found == tariffs.end() ? nullptr : &*found;
}

void bind_charging(World& world, std::size_t index) {
    MeterRuntime& meter = world.meters[index];
    const auto by_id = [&](auto a, auto b) {
        return world.meters[a].row->meter < world.meters[b].row->meter;
    };
    if (meter.account) std::erase(world.accounts[*meter.account].meters, index);
    meter.account = meter.by_registry.account;
    meter.tariff = meter.by_registry.tariff;
    meter.terms.multiplier = meter.by_registry.multiplier;
    meter.persons = meter.by_registry.persons;
    if (meter.bands) meter.bands->since.reset();
    if (!meter.edges.empty()) {
        const PendingEdgeRow& before = meter.edges.front();
        const auto account = world.account_index.find(before.account);
        meter.account =
            account == world.account_index.end() ? std::nullopt : std::optional(account->second);
        meter.tariff = find_tariff(world, before.tariff);
        meter.persons = before.persons.value_or(0);
        meter.terms.multiplier =
            parse_rational(before.multiplier).value_or(meter.by_registry.multiplier);
    }
    if (!meter.account) return;
    auto& meters = world.accounts[*meter.account].meters;
    meters.insert(std::upper_bound(meters.begin(), meters.end(), index, by_id), index);
}

}  // namespace gatehouse
