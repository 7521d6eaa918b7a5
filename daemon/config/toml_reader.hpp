// Walks a TOML document and reports every problem at its place: wrong types, values out of range
// and, once a table was read, the keys that nobody asked for. What files mean is their reader's
// business (config.cpp, engine/tariff_file.cpp). For implementation files: it shows toml++ types.
// Any thread.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/registry.hpp"

namespace gatehouse::toml_reader {

struct Position {
    int line = 1;
    int column = 1;
};
[[nodiscard]] Position position_of(const toml::node& node);

// Where problems of one file are gathered.
class Report {
  public:
    explicit Report(std::string file) : file_(std::move(file)) {}
    void add(Position at, std::string message);
    [[nodiscard]] std::vector<Problem> take();  // by line and column
    [[nodiscard]] std::size_t count() const { return problems_.size(); }
    [[nodiscard]] const std::string& file() const { return file_; }

  private:
    std::string file_;
    std::vector<Problem> problems_;
};

// The document, or nothing with one problem: a syntax error hides all that follows it. Text above
// kTomlBytesMax is refused unread.
inline constexpr std::size_t kTomlBytesMax = 1024U * 1024;
inline constexpr std::size_t kTomlTextMax = 4'096;  // bytes of one string value
[[nodiscard]] std::optional<toml::table> parse(std::string_view text, Report& report);

// One table while it is read. Asking for a key makes it known; finish() reports the others.
class Section {
  public:
    Section(const toml::table& table, std::string name, Position at, Report& report);

    [[nodiscard]] const toml::node* find(std::string_view key);
    // Absent: nothing. Of another type: a problem, and nothing.
    [[nodiscard]] std::optional<std::string> text(std::string_view key);
    [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key, std::int64_t least,
                                                      std::int64_t most);
    [[nodiscard]] std::optional<bool> boolean(std::string_view key);
    [[nodiscard]] const toml::table* table(std::string_view key);
    [[nodiscard]] const toml::array* array(std::string_view key, std::size_t items_max);
    // The word of `words` that the key holds; another word is a problem that names the nearest.
    [[nodiscard]] std::optional<std::size_t> choice(std::string_view key,
                                                    const std::vector<std::string>& words);
    // As text, and absent is a problem of its own.
    [[nodiscard]] std::optional<std::string> required_text(std::string_view key);

    [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }
    void missing(std::string_view key, std::string_view remedy = {});
    // Where the key's value stands, or the table where the key is absent.
    [[nodiscard]] Position at(std::string_view key) const;
    [[nodiscard]] Position at() const { return at_; }
    void problem(std::string_view key, std::string message);
    [[nodiscard]] std::string path(std::string_view key) const;  // "site.id", for messages
    [[nodiscard]] Report& report() { return report_; }
    [[nodiscard]] const toml::table& raw() const { return table_; }
    void finish();

  private:
    void wrong_type(std::string_view key, const toml::node& node, std::string_view wanted);

    const toml::table& table_;
    std::string name_;
    Position at_;
    Report& report_;
    std::vector<std::string> known_;
};

// "; did you mean 'x'?" where one of `words` is close, else nothing.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       const std::vector<std::string>& words);
// "250ms" "60s" "15m" "8h" in milliseconds; nothing for anything else or beyond 10 000 hours.
[[nodiscard]] std::optional<std::int64_t> parse_duration(std::string_view text);
// The shortest such string that means exactly this many milliseconds.
[[nodiscard]] std::string format_duration(std::int64_t ms);
// "08:00" in minutes of the day; "24:00" only where `midnight_end`.
[[nodiscard]] std::optional<int> parse_clock(std::string_view text, bool midnight_end);

}  // namespace gatehouse::toml_reader
