// The meters of a world, and what the wire makes of them.
#include "tests/simulation/money_world.hpp"

#include <algorithm>

namespace gatehouse::money {
namespace {

constexpr std::size_t kShownMax = 600;
constexpr std::int64_t kRollsAt = 1'000'000'000;

}  // namespace

void World::make_meters() {
    for (PlanMeter& plan : plan_.meters) {
        TrueMeter meter;
        meter.id = plan.id;
        meter.profile = plan.profile;
        meter.step = plan.profile == "litres" ? 1 : 10;
        if (plan.profile == "rolls") meter.modulus = kRollsAt;
        if (plan.profile == "serial") meter.serial = "S-" + std::to_string(++serials_);
        meter.register_value = dice_.below(60'000'000) / 10 * 10;
        // Some are about to pass their end.
        if (meter.modulus != 0 && dice_.percent(40))
            meter.register_value = kRollsAt - dice_.from_to(1'000, 60'000) / 10 * 10;
        if (dice_.percent(10)) meter.register_value = 0;
        meter.counted_to = now_;
        if (plan.opening_register == "?") {
            const std::int64_t used = dice_.below(20'000) / 10 * 10;
            const std::int64_t opening = std::max<std::int64_t>(0, meter.register_value - used);
            plan.opening_register = decimal_of(opening, 3);
            if (dice_.percent(60))
                plan.opening_at = format_iso8601(now_ - dice_.from_to(3, 60) * kHour, *zone_);
        }
        witness_[meter.id].modulus = meter.modulus;
        meters_.push_back(std::move(meter));
    }
}

// Counts on to the true time, in whole steps of the register; the rest waits.
void World::count(TrueMeter& meter) {
    const std::int64_t passed = now_ - meter.counted_to;
    meter.counted_to = now_;
    if (passed <= 0 || finishing_) return;
    meter.rest += passed * meter.rate / 100 * dice_.from_to(0, 200) / 2;
    const std::int64_t whole = meter.rest / kHour / meter.step;
    meter.rest -= whole * kHour * meter.step;
    meter.register_value += whole * meter.step;
    if (meter.modulus != 0) meter.register_value %= meter.modulus;
    if (dice_.percent(20))
        meter.rate = dice_.percent(30) ? 0 : dice_.below(meter.step == 1 ? 60 : 2'500);
}

bool World::near_end(const TrueMeter& meter) const {
    const std::int64_t band = meter.modulus / 20 + 2'000'000;
    return meter.modulus != 0 &&
           (meter.register_value > meter.modulus - band || meter.register_value < 2'000'000);
}

bool World::is_steady(const TrueMeter& meter) const {
    return !meter.swap && meter.wrong_left == 0 && !near_end(meter);
}

World::TrueMeter& World::any_meter() {
    return meters_[static_cast<std::size_t>(
        dice_.below(static_cast<std::int64_t>(meters_.size())))];
}

// A single wrong value may be anything; several running lie where physics says no, since two that
// lie together within its bounds cannot be told from the truth.
void World::maybe_go_wrong(TrueMeter& meter) {
    if (finishing_ || meter.wrong_left > 0 || meter.sent_wrong || meter.swap || near_end(meter))
        return;
    if (dice_.one_in(40)) {
        const std::int64_t by[] = {500'000'000, meter.register_value * 9,
                                   dice_.from_to(1, 300) * meter.step,
                                   -dice_.from_to(1, 300) * meter.step, -meter.register_value};
        meter.wrong_left = 1;
        meter.wrong_by = by[dice_.below(5)];
    } else if (dice_.one_in(700)) {
        meter.wrong_left = static_cast<int>(dice_.from_to(3, 7));
        meter.wrong_by = dice_.percent(50) ? 500'000'000 : -meter.register_value / 20 * 10;
    }
    if (meter.register_value + meter.wrong_by < 0 || meter.wrong_by == 0) meter.wrong_left = 0;
    if (meter.modulus != 0 && meter.register_value + meter.wrong_by >= meter.modulus)
        meter.wrong_left = 0;
}

void World::send(TrueMeter& meter, bool confirming) {
    Witness& witness = witness_[meter.id];
    const std::pair stamp(engine_->snapshot()->run, clock_.mono);
    // One meter is asked once in a millisecond.
    if (witness.shown.contains(stamp)) return;
    count(meter);
    maybe_go_wrong(meter);
    const bool wrong = meter.wrong_left > 0;
    const std::int64_t sent = meter.register_value + (wrong ? meter.wrong_by : 0);
    if (wrong) --meter.wrong_left;
    meter.sent_wrong = wrong;
    Sample sample;
    sample.meter = meter.id;
    sample.at = {stamp.first, clock_.mono, clock_.wall};
    sample.register_value = Rational{sent, 1'000};
    sample.confirming = confirming;
    if (!meter.serial.empty()) sample.serial = meter.serial;
    for (int shift = 48; shift >= 0; shift -= 16)
        sample.raw.push_back(static_cast<std::uint16_t>(sent >> static_cast<unsigned>(shift)));
    witness.shown[stamp] = {thousandths(sent), thousandths(meter.register_value), !wrong,
                            meter.device};
    witness.order.push_back(stamp);
    if (witness.order.size() > kShownMax) {
        witness.shown.erase(witness.order.front());
        witness.order.pop_front();
    }
    engine_->sink().sample(std::move(sample));
    ++deeds_.samples;
    if (wrong) ++deeds_.wrong;
}

void World::poll(TrueMeter& meter, bool confirming) {
    if (meter.dead_until <= now_) {
        send(meter, confirming);
        return;
    }
    PollFailure failure;
    failure.meter = meter.id;
    failure.at = {engine_->snapshot()->run, clock_.mono, clock_.wall};
    failure.detail = "no answer";
    failure.offline = true;
    engine_->sink().failure(failure);
}

}  // namespace gatehouse::money
