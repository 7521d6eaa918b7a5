#include "drivers/simulator/building.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>

#include "drivers/simulator/building_parts.hpp"

namespace gatehouse::simulator {
namespace {

using modbus::Measurement;
using modbus::Profile;
using modbus::Value;

constexpr std::int64_t kMicro = 1'000'000;
constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kDaySeconds = 86'400;
// A meter's clock is off by as much as this, each by its own.
constexpr std::int64_t kDriftMaxSeconds = 90;
const Rational kUsualAmps{40, 1};  // where neither registry nor profile says
const Rational kUsualFlow{5, 2};   // m3/h, a DN15 to DN20 water meter
constexpr int kTreeDepthMax = 8;   // transformer, riser, floor, flat; and no loop by a wrong parent

// value x ratio, rounded down; saturates where it leaves 64 bits.
std::int64_t scaled(std::int64_t value, const Rational& ratio) {
    const Int128 product = Int128{value} * ratio.numerator / ratio.denominator;
    constexpr Int128 limit = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(std::clamp(product, -limit, limit));
}

Rational inverse(const Rational& ratio) {
    return {ratio.denominator, ratio.numerator};
}

// A multiple of `step`, not above the value.
Rational floor_to(const Rational& value, const Rational& step) {
    const Int128 count = value.numerator * step.denominator / (value.denominator * step.numerator);
    return {count * step.numerator, step.denominator};
}

}  // namespace

Building::Building(Site site, const Profiles& profiles, BuildingSettings settings)
    : site_(std::move(site)), settings_(std::move(settings)) {
    for (const FaultRule& rule : settings_.faults) {
        faults_.add(rule);
    }
    for (std::size_t i = 0; i < site_.meters.size(); ++i) {
        place(i, profiles);
    }
    for (const std::unique_ptr<Meter>& meter : meters_) {
        Meter* const parent = find(meter->spec.parent);
        if (parent != nullptr && parent != meter.get()) {
            parent->children.push_back(meter.get());
        }
    }
    place_cabinets();
}

Building::~Building() = default;

void Building::place_cabinets() {
    for (const CabinetSpec& spec : site_.cabinets) {
        const auto place = std::pair{spec.bus, spec.address};
        if (devices_.contains(place) || cabinets_.contains(place)) {
            problems_.push_back("cabinet " + spec.id + " is left out: its address is taken");
            continue;
        }
        cabinets_[place] = std::make_unique<Cabinet>(spec, settings_.seed, settings_.epoch_ms);
    }
}

void Building::on_cabinet_truth(const Cabinet::TruthHandler& handler) {
    for (const auto& [place, cabinet] : cabinets_) {
        cabinet->on_truth(handler);
    }
}

void Building::advance_cabinets(std::int64_t now_ms) {
    for (const auto& [place, cabinet] : cabinets_) {
        cabinet->advance(now_ms);
    }
}

Cabinet* Building::find_cabinet(const std::string& id) {
    for (const auto& [place, cabinet] : cabinets_) {
        if (cabinet->spec().id == id) {
            return cabinet.get();
        }
    }
    return nullptr;
}

void Building::place(std::size_t index, const Profiles& profiles) {
    const MeterSpec& spec = site_.meters[index];
    std::string reason;
    const std::shared_ptr<const Profile> profile = profiles(spec.profile, &reason);
    if (!profile) {
        problems_.push_back("meter " + spec.id + " is left out: " + reason);
        return;
    }
    if (spec.channel >= profile->channels) {
        problems_.push_back("meter " + spec.id + " is left out: " + profile->id +
                            " has channels 0 to " + std::to_string(profile->channels - 1));
        return;
    }
    std::unique_ptr<Device>& device = devices_[{spec.bus, spec.address}];
    if (device && device->profile->id != profile->id) {
        problems_.push_back("meter " + spec.id + " is left out: its address belongs to a " +
                            device->profile->id);
        return;
    }
    if (!device) {
        device = std::make_unique<Device>();
        device->profile = profile;
        device->address = spec.address;
        device->tcp = site_.buses[spec.bus].settings.transport == modbus::Transport::tcp;
    }
    auto meter = std::make_unique<Meter>();
    meter->spec = spec;
    meter->profile = profile;
    meter->seed = mix(settings_.seed, spec.id);
    meter->dice = Dice(mix(settings_.seed + 1, spec.id));
    meter->dead = settings_.dead.contains(spec.id);
    Dice made_up(meter->seed);
    meter->serial =
        spec.serial.empty() ? std::to_string(20'000'000 + made_up.below(9'999'999)) : spec.serial;
    const auto start = settings_.starts.find(spec.id);
    // A meter that has hung there for years, where nobody says what it shows.
    const Rational usual{static_cast<std::int64_t>(made_up.below(spec.water ? 40'000 : 900'000)),
                         100};
    const Rational opening =
        start != settings_.starts.end() ? start->second : spec.opening_register.value_or(usual);
    meter->counter.set(scaled(kMicro, opening));
    set_limits(*meter);
    device->meters.push_back(meter.get());
    meters_.push_back(std::move(meter));
}

void Building::set_limits(Meter& meter) const {
    const MeterTraits traits = meter.profile->traits();
    if (meter.spec.water) {
        const Rational flow =
            meter.spec.rated_flow.value_or(traits.rated_flow.value_or(kUsualFlow));
        meter.rate_max = scaled(kMicro, flow);
        return;
    }
    const Rational amps = meter.spec.rated_amps.value_or(traits.rated_amps.value_or(kUsualAmps));
    const std::int64_t watts = scaled(std::int64_t{traits.phases} * traits.nominal_voltage_v, amps);
    meter.rate_max = scaled(watts * (kMicro / 1000), meter.spec.multiplier);
}

// A meter with others below it counts what they count; all others follow their household.
std::int64_t Building::real_rate(const Meter& meter, std::int64_t now_ms, int depth) const {
    std::int64_t rate = 0;
    for (const Meter* child : meter.children) {
        rate += depth < kTreeDepthMax ? real_rate(*child, now_ms, depth + 1) : 0;
    }
    if (meter.children.empty()) {
        rate = demand_micro_per_hour(meter.spec.pattern, meter.spec.water, meter.seed,
                                     settings_.day_start_ms + now_ms) *
               settings_.speed;
    }
    return std::min(rate, meter.rate_max);
}

std::int64_t Building::face_rate(const Meter& meter, std::int64_t now_ms) const {
    return scaled(real_rate(meter, now_ms), inverse(meter.spec.multiplier));
}

// The demand is constant within a minute of the simulated day, so the sum is exact.
void Building::advance(Meter& meter, std::int64_t now_ms) {
    while (meter.advanced_ms < now_ms) {
        const std::int64_t day = settings_.day_start_ms + meter.advanced_ms;
        const std::int64_t left = kMinuteMs - day % kMinuteMs;
        const std::int64_t step = std::min(left, now_ms - meter.advanced_ms);
        meter.counter.advance(face_rate(meter, meter.advanced_ms), step);
        meter.advanced_ms += step;
    }
}

std::int64_t Building::shown_micro(Meter& meter, std::int64_t now_ms) {
    advance(meter, now_ms);
    return now_ms < meter.stuck_until_ms ? meter.stuck_micro : meter.counter.micro();
}

Rational Building::billing(Meter& meter, std::int64_t now_ms) {
    const MeterTraits traits = meter.profile->traits();
    Rational shown{shown_micro(meter, now_ms), kMicro};
    if (traits.rollover && traits.rollover->numerator > 0) {
        const Rational turns = floor_to(shown, *traits.rollover);
        shown = add(shown, Rational{-turns.numerator, turns.denominator}).value_or(shown);
    }
    return traits.step.numerator > 0 ? floor_to(shown, traits.step) : shown;
}

Rational Building::target(Meter& meter, Measurement what, std::int64_t now_ms) {
    const MeterTraits traits = meter.profile->traits();
    const std::int64_t phases = std::max(1, traits.phases);
    const Int128 micro = shown_micro(meter, now_ms);
    const std::int64_t rate = face_rate(meter, now_ms);
    Dice noise(meter.seed ^ static_cast<std::uint64_t>(now_ms / kMinuteMs) ^
               (static_cast<std::uint64_t>(what) << 32U));
    const std::int64_t millivolt =
        traits.nominal_voltage_v * 1000 - 2000 + static_cast<std::int64_t>(noise.below(4001));
    switch (what) {
        case Measurement::energy_import:
        case Measurement::volume:
        case Measurement::pulses:
        case Measurement::volume_net:
        case Measurement::energy_total:
            return billing(meter, now_ms);
        case Measurement::energy_import_l1:
        case Measurement::energy_import_l2:
        case Measurement::energy_import_l3:
            return {micro / phases, kMicro};
        case Measurement::energy_import_t1:
        case Measurement::energy_import_t2:
        case Measurement::energy_import_t3:
        case Measurement::energy_import_t4: {
            // Equal shares of the tariffs that the meter has: together they are its register.
            int tariffs = 0;
            for (const Measurement one :
                 {Measurement::energy_import_t1, Measurement::energy_import_t2,
                  Measurement::energy_import_t3, Measurement::energy_import_t4})
                tariffs += meter.profile->find(one) != nullptr ? 1 : 0;
            return {micro / std::max(1, tariffs), kMicro};
        }
        case Measurement::power:
            return {rate, 1000};
        case Measurement::power_l1:
        case Measurement::power_l2:
        case Measurement::power_l3:
            return {rate / phases, 1000};
        case Measurement::flow:
            return {real_rate(meter, now_ms), kMicro};
        case Measurement::voltage_l1:
        case Measurement::voltage_l2:
        case Measurement::voltage_l3:
            return {millivolt, 1000};
        case Measurement::current_l1:
        case Measurement::current_l2:
        case Measurement::current_l3:
            // Watts of a phase by the nominal voltage, at a power factor of 0.98.
            return {Int128{rate} * 100, Int128{phases} * 1000 * traits.nominal_voltage_v * 98};
        case Measurement::frequency:
            return {49'980 + static_cast<std::int64_t>(noise.below(41)), 1000};
        case Measurement::power_factor:
            return {98, 100};
        case Measurement::battery:
            return {36, 10};
        case Measurement::temperature:
            return {21, 1};
        case Measurement::energy_export:
        case Measurement::volume_reverse:
        case Measurement::serial:
        case Measurement::status:
        case Measurement::own_balance:
        case Measurement::own_purchases:
        case Measurement::clock:
            break;
    }
    return {0, 1};
}

modbus::MeterClock Building::calendar(const Meter& meter, std::int64_t now_ms) const {
    const auto drift = static_cast<std::int64_t>(Dice(meter.seed).below(2 * kDriftMaxSeconds + 1)) -
                       kDriftMaxSeconds;
    const std::int64_t seconds = std::int64_t{settings_.date_days} * kDaySeconds +
                                 (settings_.day_start_ms + now_ms) / 1000 + drift;
    const std::chrono::sys_days day{std::chrono::days{seconds / kDaySeconds}};
    const std::chrono::year_month_day date{day};
    const auto of_day = static_cast<int>(seconds % kDaySeconds);
    return {static_cast<int>(date.year()),
            static_cast<int>(static_cast<unsigned>(date.month())),
            static_cast<int>(static_cast<unsigned>(date.day())),
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60};
}

void Building::fill(Device& device, std::int64_t now_ms, Words& words) {
    const Profile& profile = *device.profile;
    for (int channel = 0; channel < profile.channels; ++channel) {
        const auto found = std::find_if(device.meters.begin(), device.meters.end(),
                                        [&](const Meter* m) { return m->spec.channel == channel; });
        Meter* const meter = found == device.meters.end() ? nullptr : *found;
        encode_factors(profile, channel, words);
        for (const Value& value : profile.values) {
            if (value.measurement == Measurement::clock) {
                continue;
            }
            // The serial number is the device's, whichever of its meters is entered first.
            if (value.measurement == Measurement::serial) {
                if (!encode_text(value, channel, device.meters.front()->serial, words)) {
                    encode_text(value, channel, "1", words);
                }
                continue;
            }
            const Rational number =
                meter == nullptr ? Rational{0, 1} : target(*meter, value.measurement, now_ms);
            encode_number(profile, value, channel, number, words);
        }
    }
    encode_calendar(profile, calendar(*device.meters.front(), now_ms), words);
    encode_identity(profile, device.address, words);
}

Words Building::words(std::size_t bus, int unit, std::int64_t now_ms) {
    Words words;
    const auto found = devices_.find({bus, unit});
    if (found != devices_.end()) {
        fill(*found->second, now_ms, words);
    }
    return words;
}

Building::Meter* Building::find(const std::string& id) {
    const auto found = std::find_if(meters_.begin(), meters_.end(),
                                    [&](const auto& meter) { return meter->spec.id == id; });
    return found == meters_.end() ? nullptr : found->get();
}

bool Building::knows(const std::string& meter) const {
    return std::any_of(meters_.begin(), meters_.end(),
                       [&](const auto& one) { return one->spec.id == meter; });
}

std::string Building::set_register(const std::string& meter, const std::string& value,
                                   std::int64_t now_ms) {
    Meter* const found = find(meter);
    const std::optional<std::int64_t> micro = parse_decimal(value, 6);
    if (found == nullptr) {
        return "meter '" + meter + "' is not simulated here";
    }
    if (!micro || *micro < 0) {
        return "register '" + value + "' is no decimal of at most 6 places";
    }
    advance(*found, now_ms);
    found->counter.set(*micro);
    found->stuck_until_ms = 0;
    return "";
}

std::string Building::set_dead(const std::string& meter, bool dead) {
    Meter* const found = find(meter);
    if (found == nullptr) {
        return "meter '" + meter + "' is not simulated here";
    }
    found->dead = dead;
    return "";
}

std::string Building::set_stuck(const std::string& meter, bool stuck, std::int64_t now_ms) {
    Meter* const found = find(meter);
    if (found == nullptr) {
        return "meter '" + meter + "' is not simulated here";
    }
    found->stuck_micro = shown_micro(*found, now_ms);
    found->stuck_until_ms = stuck ? std::numeric_limits<std::int64_t>::max() : 0;
    return "";
}

std::string Building::replace(const std::string& meter, const std::string& serial,
                              const std::string& value, std::int64_t now_ms) {
    std::string problem = set_register(meter, value, now_ms);
    if (problem.empty()) {
        find(meter)->serial = serial;
    }
    return problem;
}

std::string Building::set_speed(std::int64_t speed, std::int64_t now_ms) {
    if (speed < 1 || speed > kSpeedMax) {
        return "speed is a whole number from 1 to " + std::to_string(kSpeedMax);
    }
    for (const std::unique_ptr<Meter>& meter : meters_) {
        advance(*meter, now_ms);
    }
    settings_.speed = speed;
    return "";
}

std::vector<Truth> Building::truth(std::int64_t now_ms) {
    std::vector<Truth> all;
    for (const std::unique_ptr<Meter>& meter : meters_) {
        const Value* const value = meter->profile->find(meter->profile->billing);
        Words scratch;
        const std::optional<Rational> written =
            value == nullptr ? std::nullopt
                             : encode_number(*meter->profile, *value, meter->spec.channel,
                                             billing(*meter, now_ms), scratch);
        all.push_back({meter->spec.id, written.value_or(Rational{}), meter->dead ? "dead" : ""});
    }
    return all;
}

}  // namespace gatehouse::simulator
