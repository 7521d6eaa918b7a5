#include "tests/simulation/guard_world.hpp"

#include <algorithm>
#include <bit>
#include <ctime>

namespace gatehouse::test {
namespace {

constexpr std::int64_t kHourUs = 3'600'000'000;

bool is_water(Model model) {
    return model == Model::mwac2;
}

// Of one device: what the profile's rated current or flow allows.
std::int64_t rate_max_of(Model model) {
    switch (model) {
        case Model::sdm120:
            return 45 * 230;
        case Model::mwac2:
            return 5'000;
        default:
            return 60 * 230;
    }
}

std::int64_t step_of(Model model) {
    return model == Model::sdm120 || model == Model::mwac2 ? 1 : 10;
}

std::uint32_t float_bits(std::int64_t milli) {
    return std::bit_cast<std::uint32_t>(static_cast<float>(milli) / 1000.0F);
}

// The `index`th word, high word first, of a value of `words` words.
std::uint16_t word_of(std::uint64_t value, int index, int words) {
    return static_cast<std::uint16_t>(value >> static_cast<unsigned>(16 * (words - 1 - index)));
}

}  // namespace

std::int64_t real_us() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
}

std::uint64_t Dice::next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31U);
}

std::int64_t Dice::below(std::int64_t limit) {
    return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(limit));
}

MovingRegister::MovingRegister(Dice dice, std::int64_t start_milli, std::int64_t step_milli,
                               std::int64_t rate_max)
    : dice_(dice),
      start_(start_milli - start_milli % step_milli),
      step_(step_milli),
      rate_max_(rate_max),
      milli_(start_) {}

std::int64_t MovingRegister::shown_milli(std::int64_t now_us) {
    if (at_us_ == 0) at_us_ = change_us_ = now_us;
    while (at_us_ < now_us) {
        if (at_us_ >= change_us_) {
            change_us_ = at_us_ + 300'000 + dice_.below(2'700'000);
            const std::int64_t kind = dice_.below(10);
            rate_ = kind < 2 ? 0 : dice_.below(kind < 5 ? 500 : rate_max_);
        }
        const std::int64_t until = std::min(now_us, change_us_);
        rest_ += rate_ * kWorldSpeed * (until - at_us_);
        milli_ += rest_ / kHourUs;
        rest_ %= kHourUs;
        at_us_ = until;
    }
    return milli_ - milli_ % step_;
}

GuardWorld::GuardWorld(const std::string& line, std::uint64_t seed) : line_(line), base_milli_(0) {
    Dice dice(seed);
    base_milli_ = 1'000'000 + dice.below(5'000'000);
    // On half of the lines one or two stations are asked again and again, so that a reply that
    // belongs to another question finds one that it fits.
    const std::int64_t kind = dice.below(6);
    if (kind < 3) {
        add(Model::twin, 1, 2, dice);
        if (kind > 0) add(Model::pair, 2, 1, dice);
        if (kind > 1) add(Model::ddsu666, 3, 1, dice);
        return;
    }
    add(Model::twin, 1, 2, dice);
    add(Model::pair, 2, 1, dice);
    add(Model::pair, 3, 1, dice);
    add(Model::ddsu666, 4, 1, dice);
    add(Model::ddsu666, 5, 1, dice);
    add(Model::sdm120, 6, 1, dice);
    add(Model::mwac2, 7, 2, dice);
    if (kind == 5) add(Model::lonely, 8, 1, dice);
}

// All registers of a line start within two units of each other: whatever is mistaken for another
// meter's reading is within reach of what that meter could have used.
void GuardWorld::add(Model model, int address, int channels, Dice& dice) {
    for (int channel = 0; channel < channels; ++channel) {
        const std::int64_t start = base_milli_ + dice.below(2'000);
        const std::int64_t rate = rate_max_of(model);
        auto meter = std::make_unique<GuardMeter>(GuardMeter{
            line_ + "-" + std::to_string(address) + "-" + std::to_string(channel), model, address,
            channel, MovingRegister(Dice(dice.next()), start, step_of(model), rate),
            MovingRegister(Dice(dice.next()), start + dice.below(500), step_of(model), rate)});
        meter->serial = 18'000'000 + static_cast<std::uint32_t>(dice.below(1'000'000));
        meters_.push_back(std::move(meter));
    }
}

bool GuardWorld::stands_at(int address) const {
    return std::any_of(meters_.begin(), meters_.end(),
                       [&](const auto& meter) { return meter->address == address; });
}

std::optional<std::uint16_t> GuardWorld::word(int address, int function, int place,
                                              std::int64_t now_us) {
    std::optional<std::uint16_t> found;
    for (const auto& meter : meters_) {
        if (meter->address != address) continue;
        const auto energy = static_cast<std::uint64_t>(meter->billing.shown_milli(now_us));
        const auto other = static_cast<std::uint64_t>(meter->other.shown_milli(now_us));
        const auto watts = static_cast<std::uint64_t>(meter->billing.rate());
        const int at = place - 2 * meter->channel;
        switch (meter->model) {
            case Model::pair:
            case Model::twin:
                if (function != 3) return std::nullopt;
                if (at == 0 || at == 1) found = word_of(energy / 10, at, 2);
                if (meter->model == Model::pair && (at == 2 || at == 3)) {
                    found = word_of(other / 10, at - 2, 2);
                }
                if (at == 100 || at == 101) found = word_of(watts, at - 100, 2);
                break;
            case Model::lonely:
                if (function != 3) return std::nullopt;
                if (at == 0 || at == 1) found = word_of(energy / 10, at, 2);
                break;
            case Model::ddsu666:
                if (function != 3 || place < 0x2000 || place > 0x4010) return std::nullopt;
                found = std::uint16_t{0};
                if (at == 0x4000 || at == 0x4001) {
                    found = word_of(float_bits(static_cast<std::int64_t>(energy)), at & 1, 2);
                } else if (at == 0x400A || at == 0x400B) {
                    found = word_of(float_bits(static_cast<std::int64_t>(other)), at & 1, 2);
                } else if (at == 0x2004 || at == 0x2005) {  // kW
                    found = word_of(float_bits(static_cast<std::int64_t>(watts)), at & 1, 2);
                }
                break;
            case Model::sdm120:
                if (function == 3 && (at == 0xFC00 || at == 0xFC01)) {
                    found = word_of(meter->serial, at & 1, 2);
                } else if (function == 4 && place <= 0x160) {
                    found = std::uint16_t{0};
                    if (at == 0x48 || at == 0x49) {
                        found = word_of(float_bits(static_cast<std::int64_t>(energy)), at & 1, 2);
                    } else if (at == 0x4A || at == 0x4B || at == 0x156 || at == 0x157) {
                        found = word_of(float_bits(static_cast<std::int64_t>(other)), at & 1, 2);
                    } else if (at == 0x0C || at == 0x0D) {
                        found = word_of(float_bits(static_cast<std::int64_t>(watts) * 1'000),
                                        at & 1, 2);
                    }
                }
                break;
            case Model::mwac2: {
                if (function != 4) return std::nullopt;
                const int litres = place - 1068 - 4 * meter->channel;
                const int pulses = place - 1062 - 2 * meter->channel;
                if (litres >= 0 && litres < 4) found = word_of(energy, litres, 4);
                if (pulses >= 0 && pulses < 2) found = word_of(other, pulses, 2);
                break;
            }
        }
    }
    return found;
}

Bytes GuardWorld::reply(int address, const Bytes& pdu, std::int64_t now_us, bool asked) {
    if (!stands_at(address) || pdu.size() != 5) return {};
    const int function = pdu[0];
    const int first = pdu[1] << 8 | pdu[2];
    const int count = pdu[3] << 8 | pdu[4];
    const auto refuse = [&](int code) {
        return Bytes{static_cast<std::uint8_t>(function | 0x80), static_cast<std::uint8_t>(code)};
    };
    if (function != 3 && function != 4) return refuse(1);
    if (count < 1 || count > 125) return refuse(3);
    Bytes reply{pdu[0], static_cast<std::uint8_t>(2 * count)};
    for (int i = 0; i < count; ++i) {
        const auto held = word(address, function, first + i, now_us);
        if (!held) return refuse(2);
        reply.push_back(static_cast<std::uint8_t>(*held >> 8U));
        reply.push_back(static_cast<std::uint8_t>(*held & 0xFFU));
    }
    for (const auto& meter : meters_) {
        if (!asked || meter->address != address) continue;
        int place = 0;
        switch (meter->model) {
            case Model::ddsu666:
                place = 0x4000;
                break;
            case Model::sdm120:
                place = 0x48;
                break;
            case Model::mwac2:
                place = 1068 + 4 * meter->channel;
                break;
            default:
                place = 2 * meter->channel;
        }
        const bool right_table =
            function == (meter->model == Model::sdm120 || is_water(meter->model) ? 4 : 3);
        if (right_table && first <= place && place < first + count) {
            meter->last_asked = meter->billing.shown_milli(now_us);
        }
    }
    return reply;
}

std::string profile_id(Model model) {
    switch (model) {
        case Model::pair:
            return "bench-pair";
        case Model::twin:
            return "bench-twin";
        case Model::lonely:
            return "bench-lonely";
        case Model::ddsu666:
            return "chint-ddsu666";
        case Model::sdm120:
            return "eastron-sdm120";
        case Model::mwac2:
            return "wirenboard-mwac2";
    }
    return "";
}

std::string profile_text(Model model) {
    if (model == Model::ddsu666 || model == Model::sdm120 || model == Model::mwac2) return "";
    const std::string name = profile_id(model);
    std::string text = "schema = 1\nid = \"" + name + R"("
maker = "Bench"
model = ")" + name.substr(6) +
                       R"("
service = "electricity"
source = "this test"
map = "document"
billing = "energy_import"
)";
    const std::string stride = model == Model::twin ? "stride = 2\n" : "";
    if (model == Model::twin) text += "channels = 2\n";
    text += R"([meter]
rated_amps = "60"
step = "0.01"
[read]
fill_holes = false
[[value]]
measurement = "energy_import"
register = 0
type = "u32"
scale = "0.01"
)" + stride;
    if (model != Model::lonely) {
        text += R"([[value]]
measurement = "power"
register = 100
type = "u32"
)" + stride;
    }
    if (model == Model::pair) {
        text += R"([[value]]
measurement = "energy_export"
register = 2
type = "u32"
scale = "0.01"
)";
    }
    std::string words = R"("3:0" = "0000 0064")";
    std::string expect = R"(energy_import = "1")";
    if (model != Model::lonely) {
        words += R"(, "3:100" = "0000 0007")";
        expect += R"(, power = "7")";
    }
    if (model == Model::pair) {
        words += R"(, "3:2" = "0000 00C8")";
        expect += R"(, energy_export = "2")";
    }
    return text + "[[test]]\nname = \"a\"\nwords = { " + words + " }\nexpect = { " + expect +
           R"( }
[[test]]
name = "b"
words = { "3:0" = "0001 0000" }
expect = { energy_import = "655.36" }
)";
}

}  // namespace gatehouse::test
