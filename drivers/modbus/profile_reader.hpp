// Typed reading of TOML tables with every problem at its place. What a profile means stands in
// profile_file.cpp and profile_sections.cpp; this part knows keys, ranges and messages only. It is
// private to the profile loader. Any thread, one reader a file.
#pragma once

#include <toml++/toml.h>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/core/registry.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse::modbus {

// "1/100", "0.01", "10": an exact ratio.
[[nodiscard]] std::optional<Rational> parse_ratio(std::string_view text);
// "12" or "0x0C".
[[nodiscard]] std::optional<int> parse_number(std::string_view text);
// "FFFF 7FFF" as words.
[[nodiscard]] std::optional<std::vector<std::uint16_t>> parse_words(std::string_view text);

class Reader {
  public:
    Reader(std::string file, std::vector<Problem>& problems)
        : file_(std::move(file)), problems_(problems) {}

    void problem(const toml::node& node, std::string message);
    void check_keys(const toml::table& table, const std::vector<std::string>& known);
    std::string text(const toml::table& table, const char* key, bool required);
    // The list of texts, or a single one; empty where the key is absent.
    std::vector<std::string> texts(const toml::table& table, const char* key);
    int number(const toml::table& table, const char* key, int least, int most, int absent);
    bool flag(const toml::table& table, const char* key, bool absent);
    std::optional<Rational> ratio(const toml::table& table, const char* key);
    // As ratio, but zero and negative numbers are allowed.
    std::optional<Rational> decimal(const toml::table& table, const char* key);
    // Null where the key is absent or no table (which is a problem).
    const toml::table* table(const toml::table& parent, const char* key);
    // The tables of [[key]]; a wrong shape is a problem.
    std::vector<const toml::table*> tables(const toml::table& table, const char* key);

    template <class Enum>
    Enum word(const toml::table& table, const char* key,
              const std::vector<std::pair<std::string, Enum>>& words, Enum absent, bool required) {
        const toml::node* node = table.get(key);
        const std::string value = text(table, key, required);
        if (node == nullptr || !node->is_string()) return absent;
        std::string known;
        for (const auto& [name, meaning] : words) {
            if (name == value) return meaning;
            known += (known.empty() ? "" : ", ") + name;
        }
        problem(*node,
                std::string("\"") + key + "\" is \"" + value + "\"; it must be one of " + known);
        return absent;
    }

  private:
    std::string file_;
    std::vector<Problem>& problems_;
};

}  // namespace gatehouse::modbus
