// Meter profiles: drivers/meters/*.toml as values. A profile says where a meter keeps what, how the
// words become exact numbers, and what the meter tolerates; it carries its source and its own test
// vectors. Immutable after loading, shared by all meters of a model; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/poll_plan.hpp"
#include "daemon/core/registry.hpp"
#include "daemon/core/sample.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse::modbus {

// Everything a profile can name, closed, each with its one unit.
enum class Measurement {
    energy_import,  // kWh; the billing register of an electricity meter
    energy_import_l1,
    energy_import_l2,
    energy_import_l3,
    energy_export,
    energy_total,
    energy_import_t1,
    energy_import_t2,
    energy_import_t3,
    energy_import_t4,
    volume,  // m3; the billing register of a water meter
    volume_reverse,
    volume_net,
    pulses,  // count; the billing register of a pulse counter
    power,
    power_l1,
    power_l2,
    power_l3,  // W
    flow,      // m3/h
    voltage_l1,
    voltage_l2,
    voltage_l3,  // V
    current_l1,
    current_l2,
    current_l3,    // A
    frequency,     // Hz
    power_factor,  // 1
    serial,        // text
    status,        // bits
    own_balance,   // the meter's own credit, in its own unit
};
inline constexpr int kMeasurements = 30;
[[nodiscard]] const char* to_string(Measurement measurement);  // snake_case, as in the files
[[nodiscard]] const char* unit_of(Measurement measurement);    // "kWh", "W", ... ; "" for none
[[nodiscard]] std::optional<Measurement> measurement_from(std::string_view name);

enum class Encoding { unsigned_, signed_, float_, bcd, ascii, bit };
// How the words lie on the wire. For 32 bits ABCD (high word first), CDAB (low word first), BADC
// (bytes swapped in each word), DCBA; 64 bits alike over four words; 16 bits: AB or BA.
enum class WordOrder { abcd, cdab, badc, dcba };

struct Field {
    RegisterSpan span;  // for channel 0
    int stride = 0;     // registers from one channel to the next
    Encoding encoding = Encoding::unsigned_;
    WordOrder order = WordOrder::abcd;
    std::vector<std::vector<std::uint16_t>> not_available;  // words that mean "no value"
};
// A value is the sum of its parts, each with its own scale ("whole m3 + mL"); mostly one part.
struct Part {
    Field field;
    Rational scale;
};
// A factor that stands in a register: multiplied with the value, or looked up in a table, or an
// exponent of ten.
struct Factor {
    enum class Kind { ratio, table, exponent };
    Kind kind = Kind::ratio;
    std::string name;
    Part part;
    std::map<std::int64_t, Rational> table;
};
struct Value {
    Measurement measurement = Measurement::energy_import;
    std::vector<Part> parts;   // never empty
    std::vector<int> factors;  // indices into Profile::factors
    int line = 0;
};
struct ClockRegister {  // described for people and later issues
    RegisterSpan span;
    std::string layout;
};
struct TestVector {
    std::string name;
    int channel = 0;
    std::map<std::pair<RegisterTable, int>, std::uint16_t> words;
    std::map<Measurement, std::string> expect;  // decimal, text, or "none" for not available
    int line = 0;
};

// Words read, by table and address.
class RegisterImage {
  public:
    void set(const RegisterSpan& span, const std::vector<std::uint16_t>& words);
    // Nothing where a word is missing.
    [[nodiscard]] std::optional<std::vector<std::uint16_t>> get(const RegisterSpan& span) const;
    void clear() { blocks_.clear(); }

  private:
    struct Block {
        RegisterSpan span;
        std::vector<std::uint16_t> words;
    };
    std::vector<Block> blocks_;
};

struct Decoded {
    PollResult result = PollResult::ok;  // ok, sentinel or implausible
    Rational number;                     // where the value is a number
    std::string text;                    // where it is a text
    std::vector<std::uint16_t> raw;      // words of its parts, in order
    std::string steps;                   // how the words became the value, for --raw
};

class Profile {
  public:
    std::string id;  // eastron-sdm120
    std::string file;
    std::string maker, model, label, source;
    Service service = Service::electricity;
    Measurement billing = Measurement::energy_import;
    // "primary": the register has CT and PT in it; "secondary": the registry's multiplier must.
    bool primary_side = true;
    MapStatus map_status = MapStatus::document;
    std::string conflict;  // what the sources disagree on
    int channels = 1;
    std::string framing;  // factory setting, for people: "9600 8N1"
    std::int64_t pause_ms = 0;
    BlockRules rules;
    std::optional<ClockRegister> clock;
    std::vector<Factor> factors;
    std::vector<Value> values;
    std::vector<TestVector> tests;

    [[nodiscard]] MeterTraits traits() const { return traits_; }
    [[nodiscard]] const Value* find(Measurement measurement) const;
    // Spans (of whole fields) that the measurement needs, its factors included.
    [[nodiscard]] std::vector<RegisterSpan> spans(Measurement measurement, int channel) const;
    [[nodiscard]] std::vector<RegisterSpan> routine_spans(int channel) const;
    [[nodiscard]] std::vector<RegisterSpan> identity_spans(int channel) const;
    [[nodiscard]] std::vector<RegisterSpan> full_spans(int channel) const;
    // `not_connected` where the image lacks a word of it.
    [[nodiscard]] Decoded decode(Measurement measurement, int channel,
                                 const RegisterImage& image) const;
    // The product of the factors of the billing register as the device holds them; nothing where
    // it has none or they were not read.
    [[nodiscard]] std::optional<Rational> device_ratio(int channel,
                                                       const RegisterImage& image) const;

    MeterTraits traits_;
};

// One file's profile, or what is wrong with it. The tests inside are run: a profile that fails its
// own vectors is broken.
struct ParsedProfile {
    std::shared_ptr<const Profile> profile;  // null where problems is not empty
    std::vector<Problem> problems;
};
[[nodiscard]] ParsedProfile parse_profile(const std::string& text, const std::string& file);
// What the vectors inside say: one line a mismatch, empty when all hold.
[[nodiscard]] std::vector<std::string> run_vectors(const Profile& profile);
// An exact decimal where there is one, else "n/d".
[[nodiscard]] std::string format_rational(const Rational& value);

struct ProfileTable {
    std::map<std::string, std::shared_ptr<const Profile>> profiles;  // by id
    std::map<std::string, std::string> broken;                       // id -> first problem
    std::vector<Problem> problems;                                   // of all files, one line each
    // Null where unknown or broken; `reason`, if given, then says which, with the nearest name.
    [[nodiscard]] std::shared_ptr<const Profile> find(const std::string& id,
                                                      std::string* reason = nullptr) const;
};
// Reads *.toml of each folder in order; a later folder's file replaces an earlier one of its name.
// A folder that does not exist is a problem unless it is empty text.
[[nodiscard]] ProfileTable load_profiles(const std::vector<std::string>& folders);

}  // namespace gatehouse::modbus
