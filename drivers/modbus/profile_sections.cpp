#include "drivers/modbus/profile_sections.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse::modbus {
namespace {

constexpr int kClockRegistersMax = 16;
constexpr std::size_t kRulesMax = 6;
constexpr std::size_t kWordsOfRuleMax = 32;
constexpr int kBitsMax = 64;

std::uint64_t read_mask(Reader& reader, const toml::table& table, const char* key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return 0;
    const auto value = node->value_exact<std::int64_t>();
    if (value && *value > 0) return static_cast<std::uint64_t>(*value);
    reader.problem(*node, std::string("\"") + key + "\" must be a mask above 0, like 0x0020");
    return 0;
}

std::optional<ClockPart> read_clock_part(Reader& reader, const toml::table& clock, const char* key,
                                         int registers) {
    const toml::table* table = reader.table(clock, key);
    if (table == nullptr) return std::nullopt;
    reader.check_keys(*table, {"at", "byte", "shift", "bits", "add", "divide"});
    ClockPart part;
    part.at = reader.number(*table, "at", 0, registers - 1, 0);
    part.shift = reader.number(*table, "shift", 0, 15, 0);
    part.bits = reader.number(*table, "bits", 1, 16 - part.shift, 16 - part.shift);
    part.add = reader.number(*table, "add", 0, 2'000, 0);
    part.divide = reader.number(*table, "divide", 1, 1'000, 1);
    if (table->get("byte") != nullptr) {
        const bool high =
            reader.word<bool>(*table, "byte", {{"high", true}, {"low", false}}, false, true);
        part.shift = high ? 8 : 0;
        part.bits = 8;
    }
    return part;
}

void read_clock_write(Reader& reader, const toml::table& clock, ClockLayout& layout) {
    const toml::table* table = reader.table(clock, "write");
    if (table == nullptr) return;
    reader.check_keys(*table, {"function", "register"});
    ClockWrite write;
    write.function = reader.number(*table, "function", 6, 16, 16);
    if (write.function != 6 && write.function != 16)
        reader.problem(*table, "a clock is set with function 6 or 16, and nothing else is written");
    write.first = reader.number(*table, "register", 0, 0xFFFF, layout.span.first);
    layout.write = write;
}

// The numbers of `one_of`, each in quotes.
std::vector<Rational> read_numbers(Reader& reader, const toml::table& table, const char* key) {
    std::vector<Rational> numbers;
    for (const std::string& text : reader.texts(table, key)) {
        if (const auto number = parse_ratio(text)) {
            numbers.push_back(*number);
        } else if (const auto whole = parse_number(text)) {
            numbers.push_back({*whole, 1});
        } else {
            reader.problem(*table.get(key), "\"" + text + "\" is no number");
        }
    }
    return numbers;
}

void check_rule(Reader& reader, const toml::table& table, const IdentityRule& rule) {
    const bool text = is_text(rule.part.field.encoding);
    const bool numeric =
        rule.own_address || !rule.one_of.empty() || rule.at_least || rule.at_most || rule.mask != 0;
    const bool words = !rule.begins_with.empty() || !rule.equals.empty();
    if (text ? (numeric || !words) : words)
        reader.problem(table, "a text is compared with begins_with or equals, and nothing else is");
    if (!text && !rule.own_address && rule.one_of.empty() && !rule.at_least && !rule.at_most)
        reader.problem(table, "it needs one_of, at_least, at_most, or address = true");
    if (std::max({rule.one_of.size(), rule.begins_with.size(), rule.equals.size()}) >
        kWordsOfRuleMax)
        reader.problem(table, "more than " + std::to_string(kWordsOfRuleMax) + " of them");
    const Encoding encoding = rule.part.field.encoding;
    if (rule.mask != 0 && encoding != Encoding::unsigned_)
        reader.problem(table, "a mask needs an unsigned type");
}

}  // namespace

RegisterTable read_function(Reader& reader, const toml::table& table) {
    return static_cast<RegisterTable>(reader.number(table, "function", 1, 4, 3));
}

std::vector<Framing> read_framings(Reader& reader, const toml::table& root) {
    std::vector<Framing> framings;
    for (const std::string& text : reader.texts(root, "framing")) {
        if (const auto framing = parse_framing(text)) {
            framings.push_back(*framing);
        } else {
            reader.problem(*root.get("framing"),
                           "\"" + text +
                               "\" is no framing; write baud, data bits, parity and stop bits "
                               "like \"9600 8N1\", or a list of them with the factory's first");
        }
    }
    return framings;
}

std::optional<ClockLayout> read_clock(Reader& reader, const toml::table& root) {
    const toml::table* table = reader.table(root, "clock");
    if (table == nullptr) return std::nullopt;
    reader.check_keys(*table, {"function", "register", "count", "layout", "bcd", "year", "month",
                               "day", "hour", "minute", "second", "write"});
    ClockLayout layout;
    layout.span.table = read_function(reader, *table);
    if (layout.span.table != RegisterTable::holding && layout.span.table != RegisterTable::input)
        reader.problem(*table, "a clock is read with function 3 or 4");
    if (table->get("register") == nullptr) reader.problem(*table, "\"register\" is missing");
    layout.span.first = reader.number(*table, "register", 0, 0xFFFF, 0);
    layout.span.count = reader.number(*table, "count", 1, kClockRegistersMax, 1);
    if (layout.span.end() > 0x10000) reader.problem(*table, "the registers end beyond 65535");
    layout.layout = reader.text(*table, "layout", false);
    layout.bcd = reader.flag(*table, "bcd", false);
    constexpr const char* kParts[] = {"year", "month", "day", "hour", "minute", "second"};
    for (std::size_t i = 0; i < layout.parts.size(); ++i) {
        layout.parts[i] = read_clock_part(reader, *table, kParts[i], layout.span.count);
        // A meter without seconds is a clock; one without a date or an hour is not.
        if (!layout.parts[i] && i < 5 && table->get(kParts[i]) == nullptr)
            reader.problem(*table, std::string("\"") + kParts[i] +
                                       "\" is missing: where it lies, like { at = 0, byte = "
                                       "\"high\" }");
    }
    read_clock_write(reader, *table, layout);
    return layout;
}

std::optional<PrepaymentRule> read_prepayment(Reader& reader, const toml::table& root,
                                              const Profile& profile) {
    const toml::table* table = reader.table(root, "prepayment");
    if (table == nullptr) return std::nullopt;
    reader.check_keys(*table, {"unit", "arrears_mask", "off_mask"});
    PrepaymentRule rule;
    rule.unit = reader.word<std::string>(
        *table, "unit", {{"currency", "currency"}, {"kWh", "kWh"}, {"m3", "m3"}}, "currency", true);
    rule.arrears_mask = read_mask(reader, *table, "arrears_mask");
    rule.off_mask = read_mask(reader, *table, "off_mask");
    if (profile.find(Measurement::own_balance) == nullptr)
        reader.problem(*table, "[prepayment] needs a value own_balance");
    if ((rule.arrears_mask | rule.off_mask) != 0 && profile.find(Measurement::status) == nullptr)
        reader.problem(*table, "the masks need a value status");
    return rule;
}

std::vector<IdentityRule> read_identify(Reader& reader, const toml::table& root,
                                        const std::function<Part(const toml::table&)>& part) {
    std::vector<IdentityRule> rules;
    for (const toml::table* table : reader.tables(root, "identify")) {
        reader.check_keys(*table, {"name", "strength", "function", "register", "type", "count",
                                   "order", "scale", "not_available", "mask", "address", "one_of",
                                   "begins_with", "equals", "at_least", "at_most", "refutes"});
        IdentityRule rule;
        rule.name = reader.text(*table, "name", true);
        rule.certain = reader.word<bool>(*table, "strength", {{"certain", true}, {"likely", false}},
                                         false, true);
        rule.part = part(*table);
        rule.mask = read_mask(reader, *table, "mask");
        rule.own_address = reader.flag(*table, "address", false);
        // A gateway may give a device another address on its far side.
        rule.refutes = reader.flag(*table, "refutes", !rule.own_address);
        rule.one_of = read_numbers(reader, *table, "one_of");
        rule.begins_with = reader.texts(*table, "begins_with");
        rule.equals = reader.texts(*table, "equals");
        rule.at_least = reader.decimal(*table, "at_least");
        rule.at_most = reader.decimal(*table, "at_most");
        check_rule(reader, *table, rule);
        if (rules.size() >= kRulesMax) {
            reader.problem(*table, "more than " + std::to_string(kRulesMax) + " [[identify]]");
            break;
        }
        rules.push_back(std::move(rule));
    }
    return rules;
}

std::map<int, std::string> read_bits(Reader& reader, const toml::table& value) {
    std::map<int, std::string> bits;
    const toml::table* table = reader.table(value, "bits");
    if (table == nullptr) return bits;
    for (const auto& [key, node] : *table) {
        const auto number = parse_number(key.str());
        const auto meaning = node.value_exact<std::string>();
        if (number && *number >= 0 && *number < kBitsMax && meaning) {
            bits[*number] = *meaning;
        } else {
            reader.problem(node, "bits are written like { \"0\" = \"leak\" }");
        }
    }
    return bits;
}

}  // namespace gatehouse::modbus
