// The meters of the shift guard's simulated lines: registers that move, the truth of what each one
// shows, and the words that a question finds. Written for this test alone; it shares nothing with
// drivers/modbus or the simulator. Each line's world is guarded by that line's mutex.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::test {

using Bytes = std::vector<std::uint8_t>;

// The world runs that many times faster than the wire: a second of exchanges is ten minutes of
// consumption, so that a stale reading is a wrong one. Reply times are real.
inline constexpr std::int64_t kWorldSpeed = 600;

std::int64_t real_us();  // CLOCK_MONOTONIC

// splitmix64: the same sequence everywhere for one seed.
class Dice {
  public:
    explicit Dice(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next();
    std::int64_t below(std::int64_t limit);
    // `parts` in 100,000.
    bool strikes(std::int64_t parts) { return below(100'000) < parts; }

  private:
    std::uint64_t state_;
};

// A register in thousandths that never goes back. Its rate changes every second or so.
class MovingRegister {
  public:
    MovingRegister(Dice dice, std::int64_t start_milli, std::int64_t step_milli,
                   std::int64_t rate_max);  // thousandths an hour of the world
    // What the face shows at that moment, whole steps.
    std::int64_t shown_milli(std::int64_t now_us);
    [[nodiscard]] std::int64_t start_milli() const { return start_; }
    [[nodiscard]] std::int64_t rate() const { return rate_; }

  private:
    Dice dice_;
    std::int64_t start_, step_, rate_max_;
    std::int64_t rate_ = 0;
    std::int64_t milli_;
    std::int64_t rest_ = 0;
    std::int64_t at_us_ = 0;
    std::int64_t change_us_ = 0;
};

// `pair` and `twin` are profiles of this test: every value has two registers, none may be read
// together with another table's; `lonely` has one value, so no reply of it proves itself by its
// length. The others are shipped profiles, their maps typed in anew from the sources they name.
enum class Model { pair, twin, lonely, ddsu666, sdm120, mwac2 };

struct GuardMeter {
    std::string id;
    Model model = Model::pair;
    int address = 1;
    int channel = 0;
    MovingRegister billing;
    MovingRegister other;      // export, total or pulses: close to the billing register on purpose
    std::uint32_t serial = 0;  // sdm120
    std::int64_t last_asked = -1;  // what it showed when it was last asked for the billing register
};

// All meters of one line.
class GuardWorld {
  public:
    GuardWorld(const std::string& line, std::uint64_t seed);
    [[nodiscard]] std::vector<std::unique_ptr<GuardMeter>>& meters() { return meters_; }
    [[nodiscard]] bool stands_at(int address) const;
    // The reply's PDU to a read request's PDU (function, first, count); empty: nobody there.
    Bytes reply(int address, const Bytes& pdu, std::int64_t now_us, bool asked = true);

  private:
    void add(Model model, int address, int channels, Dice& dice);
    std::optional<std::uint16_t> word(int address, int function, int place, std::int64_t now_us);
    std::string line_;
    std::int64_t base_milli_;
    std::vector<std::unique_ptr<GuardMeter>> meters_;
};

// The test's own profiles as files; empty where the model is a shipped one.
std::string profile_text(Model model);
std::string profile_id(Model model);

}  // namespace gatehouse::test
