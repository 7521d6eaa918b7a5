#include "drivers/modbus/profile_reader.hpp"

#include <algorithm>
#include <charconv>

#include "daemon/core/text.hpp"

namespace gatehouse::modbus {

std::optional<Rational> parse_ratio(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return parse_rational(text);
    const auto numerator = parse_rational(text.substr(0, slash));
    const auto denominator = parse_rational(text.substr(slash + 1));
    if (!numerator || !denominator || denominator->numerator <= 0) return std::nullopt;
    return multiply(*numerator, Rational{denominator->denominator, denominator->numerator});
}

std::optional<int> parse_number(std::string_view text) {
    int base = 10;
    if (text.substr(0, 2) == "0x") {
        text.remove_prefix(2);
        base = 16;
    }
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

std::optional<std::vector<std::uint16_t>> parse_words(std::string_view text) {
    std::vector<std::uint16_t> words;
    while (!text.empty()) {
        const std::size_t blank = std::min(text.find(' '), text.size());
        std::uint16_t word = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + blank, word, 16);
        if (blank != 4 || error != std::errc{} || end != text.data() + blank) return std::nullopt;
        words.push_back(word);
        text.remove_prefix(std::min(blank + 1, text.size()));
    }
    if (words.empty()) return std::nullopt;
    return words;
}

void Reader::problem(const toml::node& node, std::string message) {
    const auto& at = node.source().begin;
    problems_.push_back(
        {file_, static_cast<int>(at.line), static_cast<int>(at.column), std::move(message)});
}

void Reader::check_keys(const toml::table& table, const std::vector<std::string>& known) {
    for (const auto& [key, node] : table) {
        const std::string name(key.str());
        if (std::find(known.begin(), known.end(), name) != known.end()) continue;
        const auto near = nearest(name, known);
        problem(node,
                "unknown key \"" + name + "\"" + (near ? "; did you mean \"" + *near + "\"?" : ""));
    }
}

std::string Reader::text(const toml::table& table, const char* key, bool required) {
    const toml::node* node = table.get(key);
    if (node == nullptr) {
        if (required) problem(table, std::string("\"") + key + "\" is missing");
        return "";
    }
    if (const auto value = node->value_exact<std::string>()) return *value;
    problem(*node, std::string("\"") + key + "\" must be a string");
    return "";
}

int Reader::number(const toml::table& table, const char* key, int least, int most, int absent) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return absent;
    const auto value = node->value_exact<std::int64_t>();
    if (value && *value >= least && *value <= most) return static_cast<int>(*value);
    problem(*node, std::string("\"") + key + "\" must be a whole number from " +
                       std::to_string(least) + " to " + std::to_string(most));
    return absent;
}

bool Reader::flag(const toml::table& table, const char* key, bool absent) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return absent;
    if (const auto value = node->value_exact<bool>()) return *value;
    problem(*node, std::string("\"") + key + "\" must be true or false");
    return absent;
}

std::optional<Rational> Reader::ratio(const toml::table& table, const char* key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return std::nullopt;
    const auto value = node->value_exact<std::string>();
    const auto parsed = value ? parse_ratio(*value) : std::nullopt;
    if (!parsed || parsed->numerator <= 0) {
        problem(*node, std::string("\"") + key +
                           "\" must be a positive exact ratio in quotes, like \"0.01\" or "
                           "\"1/100\"");
        return std::nullopt;
    }
    return parsed;
}

std::vector<const toml::table*> Reader::tables(const toml::table& table, const char* key) {
    std::vector<const toml::table*> found;
    const toml::node* node = table.get(key);
    if (node == nullptr) return found;
    const toml::array* array = node->as_array();
    if (array == nullptr) {
        problem(*node, std::string("\"") + key + "\" must be a list of tables");
        return found;
    }
    for (const toml::node& entry : *array) {
        if (const toml::table* one = entry.as_table()) {
            found.push_back(one);
        } else {
            problem(entry, std::string("\"") + key + "\" must hold tables");
        }
    }
    return found;
}

std::vector<std::string> Reader::texts(const toml::table& table, const char* key) {
    std::vector<std::string> found;
    const toml::node* node = table.get(key);
    if (node == nullptr) return found;
    if (const auto one = node->value_exact<std::string>()) return {*one};
    const toml::array* array = node->as_array();
    if (array == nullptr || array->empty()) {
        problem(*node, std::string("\"") + key + "\" must be a string or a list of strings");
        return found;
    }
    for (const toml::node& entry : *array) {
        if (const auto one = entry.value_exact<std::string>()) {
            found.push_back(*one);
        } else {
            problem(entry, std::string("\"") + key + "\" must hold strings");
        }
    }
    return found;
}

std::optional<Rational> Reader::decimal(const toml::table& table, const char* key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return std::nullopt;
    const auto value = node->value_exact<std::string>();
    const auto parsed = value ? parse_ratio(*value) : std::nullopt;
    if (!parsed)
        problem(*node, std::string("\"") + key + "\" must be a decimal in quotes, like \"2.5\"");
    return parsed;
}

const toml::table* Reader::table(const toml::table& parent, const char* key) {
    const toml::node* node = parent.get(key);
    if (node == nullptr) return nullptr;
    const toml::table* found = node->as_table();
    if (found == nullptr) problem(*node, std::string("\"") + key + "\" must be a table");
    return found;
}

}  // namespace gatehouse::modbus
