// Meter profiles: drivers/meters/*.toml as values. A profile says where a meter keeps what, how the
// words become exact numbers, and what the meter tolerates; it carries its source and its own test
// vectors. Immutable after loading, shared by all meters of a model; any thread.
#pragma once

#include <array>
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
    current_l3,     // A
    frequency,      // Hz
    power_factor,   // 1
    serial,         // text
    status,         // bits
    own_balance,    // the meter's own credit, in its own unit
    own_purchases,  // how often credit was loaded into the meter; a count
    battery,        // V
    temperature,    // degrees Celsius
    clock,          // the meter's own calendar, as text "2026-11-25 23:51:41"
};
inline constexpr int kMeasurements = 34;
[[nodiscard]] const char* to_string(Measurement measurement);  // snake_case, as in the files
[[nodiscard]] const char* unit_of(Measurement measurement);    // "kWh", "W", ... ; "" for none
[[nodiscard]] std::optional<Measurement> measurement_from(std::string_view name);

// `chars` is text with one character in the low byte of each register, `ascii` has two in each.
enum class Encoding { unsigned_, signed_, float_, bcd, ascii, chars, bit };
[[nodiscard]] constexpr bool is_text(Encoding encoding) {
    return encoding == Encoding::ascii || encoding == Encoding::chars;
}
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
    std::vector<Part> parts;          // never empty
    std::vector<int> factors;         // indices into Profile::factors
    std::map<int, std::string> bits;  // of a status: what bit 0, 1, ... means when it is set
    int line = 0;
};

// The meter's own calendar, local time as its face shows it.
struct MeterClock {
    int year = 0;  // four digits
    int month = 0, day = 0, hour = 0, minute = 0, second = 0;
    friend auto operator<=>(const MeterClock&, const MeterClock&) = default;
};
[[nodiscard]] std::string to_string(const MeterClock& clock);  // "2026-11-25 23:51:41"

// Where one part of the calendar lies: bits of one register of the span.
struct ClockPart {
    int at = 0;  // registers after the span's first
    int shift = 0;
    int bits = 16;
    int add = 0;     // 2000 for years of two digits; a year that is written in full keeps its own
    int divide = 1;  // 1000 where the register counts milliseconds
};
// Setting the clock is the only write that a profile can describe; it is done by command alone.
struct ClockWrite {
    int function = 16;  // 6: one register at a time; 16: all of them in one request
    int first = 0;
};
struct ClockLayout {
    RegisterSpan span;
    std::string layout;  // for people
    bool bcd = false;
    // Year, month, day, hour, minute, second. Nothing: a meter without that part (seconds).
    std::array<std::optional<ClockPart>, 6> parts;
    std::optional<ClockWrite> write;
};
// Nothing where the words are no calendar date (month 13, BCD digit above 9).
[[nodiscard]] std::optional<MeterClock> decode_clock(const ClockLayout& layout,
                                                     const std::vector<std::uint16_t>& words);
// The registers of the span as they stand at `clock`; bits of no part are 0.
[[nodiscard]] std::vector<std::uint16_t> encode_clock(const ClockLayout& layout,
                                                      const MeterClock& clock);
struct RegisterWrite {
    int function = 16;
    int first = 0;
    std::vector<std::uint16_t> words;
};
// The requests that set it, in order; empty where the profile describes no write.
[[nodiscard]] std::vector<RegisterWrite> clock_writes(const ClockLayout& layout,
                                                      const MeterClock& clock);

// How a line must be set up for the meter: "9600 8N1".
struct Framing {
    int baud = 9600;
    int data_bits = 8;
    char parity = 'N';  // N, E or O
    int stop_bits = 1;
    friend bool operator==(const Framing&, const Framing&) = default;
};
[[nodiscard]] std::string to_string(const Framing& framing);
[[nodiscard]] std::optional<Framing> parse_framing(std::string_view text);

// One register by which a device can be told from others. All that is named must hold.
struct IdentityRule {
    std::string name;      // "model code"
    bool certain = false;  // the device names its model; else it only makes it likely
    // False: another value says nothing, since not every device of the model holds this one.
    bool refutes = true;
    Part part;
    std::uint64_t mask = 0;    // the bits that count, shifted down; 0: the whole value
    bool own_address = false;  // it holds the address at which the device answers
    std::vector<Rational> one_of;
    std::vector<std::string> begins_with, equals;  // texts, capital and small letters alike
    std::optional<Rational> at_least, at_most;
};

// A meter that prepays by itself: where it says that it holds its customer in arrears or has cut
// the supply. Its credit is the measurement own_balance, its count of purchases own_purchases.
struct PrepaymentRule {
    std::string unit;                // of own_balance: "currency", "kWh" or "m3"
    std::uint64_t arrears_mask = 0;  // bits of status
    std::uint64_t off_mask = 0;      // set: a relay or valve is off
};
struct OwnPrepayment {
    bool live = false;  // it has credit or is in arrears; or was loaded, where no credit was read
    std::optional<Rational> balance;
    bool in_arrears = false;
    bool supply_off = false;
    std::string text;  // one line for a person
};

// On which side of its transformers the billing register counts.
enum class Side {
    direct,     // no transformer, or none that the meter knows of
    primary,    // the register has CT and PT in it: the registry's multiplier stays 1
    secondary,  // the registry's multiplier must carry them, or the worth of a pulse
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
    Side side = Side::direct;
    MapStatus map_status = MapStatus::document;
    std::string conflict;  // what the sources disagree on
    int channels = 1;
    std::string framing;            // factory setting, for people: "9600 8N1"
    std::vector<Framing> framings;  // the factory's first, then others that sources name
    std::int64_t pause_ms = 0;
    BlockRules rules;
    std::optional<ClockLayout> clock;
    std::vector<IdentityRule> identify;
    std::optional<PrepaymentRule> prepayment;
    std::vector<Factor> factors;
    std::vector<Value> values;
    std::vector<TestVector> tests;

    [[nodiscard]] MeterTraits traits() const {
        MeterTraits traits = traits_;
        traits.module = channels > 1 || billing == Measurement::pulses;
        return traits;
    }
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

    // What the meter's own prepayment says; nothing where the profile names none or not enough was
    // read. A live one is an alert (meter_prepaid_active): the house would prepay twice.
    [[nodiscard]] std::optional<OwnPrepayment> own_prepayment(int channel,
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
// What the vectors inside say: one a mismatch, with the line of its [[test]]; empty when all hold.
struct VectorMismatch {
    int line = 0;
    std::string text;
};
[[nodiscard]] std::vector<VectorMismatch> run_vectors(const Profile& profile);
// An exact decimal where there is one, else "n/d".
[[nodiscard]] std::string format_rational(const Rational& value);

struct ProfileTable {
    std::map<std::string, std::shared_ptr<const Profile>> profiles;  // by id
    std::map<std::string, std::string> broken;                       // id -> first problem
    std::vector<Problem> problems;                                   // of all files, one line each
    std::vector<Problem> notes;  // profiles of a later folder that stand for an earlier one's
    // Null where unknown or broken; `reason`, if given, then says which, with the nearest name.
    [[nodiscard]] std::shared_ptr<const Profile> find(const std::string& id,
                                                      std::string* reason = nullptr) const;
};
// Reads *.toml of each folder in order; a later folder's file replaces an earlier one of its name,
// also where it is broken: a technician who overrides a profile must not be read by the old one.
// A folder that does not exist is a problem unless it is empty text.
[[nodiscard]] ProfileTable load_profiles(const std::vector<std::string>& folders);

}  // namespace gatehouse::modbus
