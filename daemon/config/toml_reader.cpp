#include "daemon/config/toml_reader.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "daemon/core/text.hpp"

namespace gatehouse::toml_reader {
namespace {

Position position_of(const toml::source_position& at) {
    return {static_cast<int>(at.line), static_cast<int>(at.column)};
}

std::string_view type_name(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::table:
            return "a table";
        case toml::node_type::array:
            return "an array";
        case toml::node_type::string:
            return "a string";
        case toml::node_type::integer:
            return "an integer";
        case toml::node_type::floating_point:
            return "a floating-point number";
        case toml::node_type::boolean:
            return "a boolean";
        default:
            return "a date or time";
    }
}

}  // namespace

Position position_of(const toml::node& node) {
    return position_of(node.source().begin);
}

void Report::add(Position at, std::string message) {
    problems_.push_back({file_, at.line, at.column, std::move(message)});
}

std::vector<Problem> Report::take() {
    std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
        return std::tie(a.line, a.column) < std::tie(b.line, b.column);
    });
    return std::move(problems_);
}

std::optional<toml::table> parse(std::string_view text, Report& report) {
    if (text.size() > kTomlBytesMax) {
        report.add({1, 1}, "the file has " + std::to_string(text.size()) + " bytes; more than " +
                               std::to_string(kTomlBytesMax) + " is refused: split it");
        return std::nullopt;
    }
    try {
        return toml::parse(text, std::string_view(report.file()));
    } catch (const toml::parse_error& error) {
        report.add(position_of(error.source().begin),
                   std::string("not valid TOML: ") + std::string(error.description()) +
                       " (what follows in this file was not checked)");
        return std::nullopt;
    }
}

Section::Section(const toml::table& table, std::string name, Position at, Report& report)
    : table_(table), name_(std::move(name)), at_(at), report_(report) {}

const toml::node* Section::find(std::string_view key) {
    if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
        known_.emplace_back(key);
    }
    return table_.get(key);
}

std::string Section::path(std::string_view key) const {
    return name_.empty() ? std::string(key) : name_ + "." + std::string(key);
}

void Section::wrong_type(std::string_view key, const toml::node& node, std::string_view wanted) {
    report_.add(position_of(node), path(key) + " must be " + std::string(wanted) + ", not " +
                                       std::string(type_name(node)));
}

std::optional<std::string> Section::text(std::string_view key) {
    const toml::node* node = find(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    const auto* value = node->as_string();
    if (value == nullptr) {
        wrong_type(key, *node, "a string in quotes");
        return std::nullopt;
    }
    const std::string& text = value->get();
    if (text.size() > kTomlTextMax) {
        problem(key, path(key) + " has " + std::to_string(text.size()) + " bytes; at most " +
                         std::to_string(kTomlTextMax) + " are taken");
        return std::nullopt;
    }
    if (has_unprintable(text)) {
        problem(key, path(key) +
                         " holds a control character or another that cannot be printed; remove it");
        return std::nullopt;
    }
    return text;
}

std::optional<std::int64_t> Section::integer(std::string_view key, std::int64_t least,
                                             std::int64_t most) {
    const toml::node* node = find(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    const auto* value = node->as_integer();
    if (value == nullptr) {
        wrong_type(key, *node, "a whole number without quotes");
        return std::nullopt;
    }
    if (value->get() < least || value->get() > most) {
        problem(key, path(key) + " is " + std::to_string(value->get()) + "; it must be from " +
                         std::to_string(least) + " to " + std::to_string(most));
        return std::nullopt;
    }
    return value->get();
}

std::optional<bool> Section::boolean(std::string_view key) {
    const toml::node* node = find(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    const auto* value = node->as_boolean();
    if (value == nullptr) {
        wrong_type(key, *node, "true or false without quotes");
        return std::nullopt;
    }
    return value->get();
}

const toml::table* Section::table(std::string_view key) {
    const toml::node* node = find(key);
    if (node == nullptr) {
        return nullptr;
    }
    if (node->as_table() == nullptr) {
        wrong_type(key, *node, "a table");
    }
    return node->as_table();
}

const toml::array* Section::array(std::string_view key, std::size_t items_max) {
    const toml::node* node = find(key);
    if (node == nullptr) {
        return nullptr;
    }
    const auto* value = node->as_array();
    if (value == nullptr) {
        wrong_type(key, *node, "an array");
        return nullptr;
    }
    if (value->size() > items_max) {
        problem(key, path(key) + " has " + std::to_string(value->size()) + " items; at most " +
                         std::to_string(items_max) + " are taken");
        return nullptr;
    }
    return value;
}

std::optional<std::size_t> Section::choice(std::string_view key,
                                           const std::vector<std::string>& words) {
    const auto value = text(key);
    if (!value) {
        return std::nullopt;
    }
    const auto found = std::find(words.begin(), words.end(), *value);
    if (found != words.end()) {
        return static_cast<std::size_t>(found - words.begin());
    }
    std::string list;
    for (const auto& word : words) {
        list += (list.empty() ? "" : ", ") + word;
    }
    problem(key, path(key) + " is '" + *value + "'; it must be one of " + list +
                     did_you_mean(*value, words));
    return std::nullopt;
}

std::optional<std::string> Section::required_text(std::string_view key) {
    if (find(key) == nullptr) {
        missing(key);
        return std::nullopt;
    }
    return text(key);
}

void Section::missing(std::string_view key, std::string_view remedy) {
    report_.add(at_,
                path(key) + " is missing" + (remedy.empty() ? "" : "; ") + std::string(remedy));
}

Position Section::at(std::string_view key) const {
    const toml::node* node = table_.get(key);
    return node == nullptr ? at_ : position_of(*node);
}

void Section::problem(std::string_view key, std::string message) {
    report_.add(at(key), std::move(message));
}

void Section::finish() {
    for (const auto& [key, value] : table_) {
        const std::string name(key.str());
        if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
            report_.add(position_of(key.source().begin),
                        "unknown key '" + path(name) + "'" + did_you_mean(name, known_));
        }
    }
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& words) {
    const auto found = nearest(word, words);
    return found ? "; did you mean '" + *found + "'?" : std::string();
}

namespace {

struct DurationUnit {
    std::string_view suffix;
    std::int64_t ms;
};
// Longest suffix first, so that "ms" is not read as "m" with an "s" left over.
constexpr std::array<DurationUnit, 4> kDurationUnits{
    {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}}};
constexpr std::int64_t kDurationMsMax = std::int64_t{10'000} * 3'600'000;

}  // namespace

std::optional<std::int64_t> parse_duration(std::string_view text) {
    std::size_t digits = 0;
    std::int64_t value = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
        if (digits == 12) {
            return std::nullopt;
        }
        value = value * 10 + (text[digits] - '0');
        ++digits;
    }
    if (digits == 0) {
        return std::nullopt;
    }
    for (const auto& unit : kDurationUnits) {
        if (text.substr(digits) == unit.suffix) {
            return value > kDurationMsMax / unit.ms ? std::nullopt : std::optional(value * unit.ms);
        }
    }
    return std::nullopt;
}

std::string format_duration(std::int64_t ms) {
    for (auto unit = kDurationUnits.rbegin(); unit != kDurationUnits.rend(); ++unit) {
        if (ms % unit->ms == 0 && (ms != 0 || unit->suffix == "s")) {
            return std::to_string(ms / unit->ms) + std::string(unit->suffix);
        }
    }
    return std::to_string(ms) + "ms";
}

std::optional<int> parse_clock(std::string_view text, bool midnight_end) {
    const auto digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9'; };
    if (text.size() != 5 || text[2] != ':' || !digit(0) || !digit(1) || !digit(3) || !digit(4)) {
        return std::nullopt;
    }
    const int hour = (text[0] - '0') * 10 + (text[1] - '0');
    const int minute = (text[3] - '0') * 10 + (text[4] - '0');
    if (minute > 59 || hour > 24 || (hour == 24 && (minute != 0 || !midnight_end))) {
        return std::nullopt;
    }
    return hour * 60 + minute;
}

}  // namespace gatehouse::toml_reader
