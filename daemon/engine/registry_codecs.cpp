#include "daemon/engine/registry_codecs.hpp"

#include <array>
#include <cctype>

#include "daemon/config/toml_reader.hpp"
#include "daemon/core/text.hpp"

namespace gatehouse::registry_files {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Takes `least` to `most` digits off the front.
bool digits(std::string_view& text, std::size_t least, std::size_t most) {
    std::size_t count = 0;
    while (count < text.size() && count < most && is_digit(text[count])) {
        ++count;
    }
    if (count < least) {
        return false;
    }
    text.remove_prefix(count);
    return true;
}

bool literal(std::string_view& text, std::string_view wanted) {
    if (!text.starts_with(wanted)) {
        return false;
    }
    text.remove_prefix(wanted.size());
    return true;
}

bool month_name(std::string_view& text) {
    constexpr std::array<std::string_view, 12> kMonths{"jan", "feb", "mar", "apr", "may", "jun",
                                                       "jul", "aug", "sep", "oct", "nov", "dec"};
    std::string lower(text.substr(0, 3));
    for (char& c : lower) {
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    if (std::find(kMonths.begin(), kMonths.end(), lower) == kMonths.end()) {
        return false;
    }
    text.remove_prefix(3);
    return true;
}

// 2.02E+11
bool is_scientific(std::string_view text) {
    if (!digits(text, 1, 18)) {
        return false;
    }
    if (literal(text, ".") && !digits(text, 1, 18)) {
        return false;
    }
    return (literal(text, "E+") || literal(text, "e+")) && digits(text, 1, 3) && text.empty();
}

bool is_slashed_date(std::string_view text) {
    return digits(text, 1, 4) && literal(text, "/") && digits(text, 1, 2) &&
           (text.empty() || (literal(text, "/") && digits(text, 1, 4) && text.empty()));
}

// 2026-03-02, 2026-3-2, 2026-03-02 00:00:00: what room 3-2 becomes where dates are written so. Only
// a day that there is, so that building 2026, unit 31, room 4 stays a room.
bool is_iso_date(std::string_view text) {
    std::array<int, 3> parts{};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::string_view before = text;
        if ((i > 0 && !literal(text, "-")) || !digits(text, i == 0 ? 4 : 1, i == 0 ? 4 : 2))
            return false;
        for (const char c : before.substr(i == 0 ? 0 : 1, before.size() - text.size()))
            if (is_digit(c)) parts[i] = parts[i] * 10 + (c - '0');
    }
    const bool timed = literal(text, " ") || literal(text, "T");
    if (timed && (!digits(text, 1, 2) || !literal(text, ":") || !digits(text, 2, 2))) return false;
    if (timed && literal(text, ":") && !digits(text, 2, 2)) return false;
    const LocalDate date{parts[0], parts[1], parts[2]};
    return text.empty() && date.year >= 1900 && date.year < 2100 && parts[1] >= 1 &&
           parts[1] <= 12 && date_from_days(days_since_epoch(date)) == date;
}

bool is_chinese_date(std::string_view text) {
    std::string_view rest = text;
    if (!(digits(rest, 4, 4) && literal(rest, "年"))) {
        rest = text;
    }
    if (!digits(rest, 1, 2) || !literal(rest, "月")) {
        return false;
    }
    return rest.empty() || (digits(rest, 1, 2) && literal(rest, "日") && rest.empty());
}

// Jan-15, 15-Jan, 15-Jan-12
bool is_english_date(std::string_view text) {
    std::string_view rest = text;
    if (month_name(rest) && literal(rest, "-") && digits(rest, 1, 4) && rest.empty()) {
        return true;
    }
    rest = text;
    return digits(rest, 1, 2) && literal(rest, "-") && month_name(rest) &&
           (rest.empty() || (literal(rest, "-") && digits(rest, 2, 4) && rest.empty()));
}

std::string in_quotes(std::string_view text) {
    return "'" + std::string(text) + "'";
}

// A zone for checking the shape of a moment alone: what it is worth there nobody asks.
class PlainZone final : public Zone {
  public:
    [[nodiscard]] LocalTime local(UtcMs) const override { return {}; }
    [[nodiscard]] UtcMs midnight(LocalDate date) const override {
        return days_since_epoch(date) * 86'400'000;
    }
};

}  // namespace

std::string spreadsheet_damage(std::string_view cell) {
    if (is_scientific(cell)) {
        return in_quotes(cell) +
               " is a number that a spreadsheet has shortened; format the column as text and "
               "enter it again";
    }
    if (is_slashed_date(cell) || is_iso_date(cell) || is_chinese_date(cell) ||
        is_english_date(cell)) {
        return in_quotes(cell) +
               " looks like a room or number that a spreadsheet has turned into a date; format "
               "the column as text and enter it again";
    }
    return {};
}

Cell<std::string> Identifier::read(std::string_view cell) const {
    if (is_identifier(cell)) {
        if (!is_english_date(cell) && !is_iso_date(cell)) {
            return {std::string(cell), {}};
        }
    }
    if (auto damage = spreadsheet_damage(cell); !damage.empty()) {
        return {std::nullopt, std::move(damage)};
    }
    return {std::nullopt, in_quotes(cell) +
                              " is no identifier; those are 1 to 64 characters of "
                              "a-z A-Z 0-9 . _ -"};
}

Cell<std::string> Text::read(std::string_view cell) const {
    if (watched) {
        if (auto damage = spreadsheet_damage(cell); !damage.empty()) {
            return {std::nullopt, std::move(damage)};
        }
    }
    const std::size_t count = code_points(cell).size();
    if (count > characters_max) {
        return {std::nullopt, "the text has " + std::to_string(count) + " characters; at most " +
                                  std::to_string(characters_max) + " are taken"};
    }
    return {std::string(cell), {}};
}

std::string not_a_word(std::string_view cell, const std::vector<std::string>& words) {
    std::string list;
    for (const auto& word : words) {
        list += (list.empty() ? "" : ", ") + word;
    }
    return in_quotes(cell) + " must be one of " + list + toml_reader::did_you_mean(cell, words);
}

Cell<int> Whole::read(std::string_view cell) const {
    const auto value = parse_decimal(cell, 0);
    if (!value || *value < least || *value > most || cell.find('.') != std::string_view::npos) {
        return {std::nullopt, in_quotes(cell) + " must be a whole number from " +
                                  std::to_string(least) + " to " + std::to_string(most)};
    }
    return {static_cast<int>(*value), {}};
}

Cell<std::int64_t> Fixed::read(std::string_view cell) const {
    const auto value = parse_decimal(cell, places);
    if (!value) {
        return {std::nullopt, in_quotes(cell) + " must be a plain decimal with at most " +
                                  std::to_string(places) + " places, such as " +
                                  format_decimal(12'345, places)};
    }
    if (*value < least || *value > most) {
        return {std::nullopt, in_quotes(cell) + " must be from " + format_decimal(least, places) +
                                  " to " + format_decimal(most, places)};
    }
    return {*value, {}};
}

Cell<std::string> ExactDecimal::read(std::string_view cell) const {
    const auto value = parse_rational(cell);
    if (!value) {
        return {std::nullopt,
                in_quotes(cell) + " must be a plain decimal of at most 18 digits, such as 0.01"};
    }
    if (value->numerator < 0 && !negative_allowed) {
        return {std::nullopt, in_quotes(cell) + " must not be negative"};
    }
    if (value->numerator == 0 && !zero_allowed) {
        return {std::nullopt, in_quotes(cell) + " must be above 0"};
    }
    if (most != 0 && value->numerator > value->denominator * most) {
        return {std::nullopt, in_quotes(cell) + " must be at most " + std::to_string(most)};
    }
    // Equal values must be equal texts, so that an import of the same figure changes nothing.
    std::string text(cell);
    const bool negative = text.front() == '-' && value->numerator != 0;
    text.erase(0, text.find_first_not_of("-0"));
    if (text.find('.') != std::string::npos) {
        text.erase(text.find_last_not_of('0') + 1);
        if (text.back() == '.') {
            text.pop_back();
        }
    }
    if (text.empty() || text.front() == '.') {
        text.insert(0, "0");
    }
    return {(negative ? "-" : "") + text, {}};
}

Cell<LocalDate> Date::read(std::string_view cell) const {
    std::string text(cell);
    // Spreadsheets rewrite 2026-01-05 as 2026/1/5; with the year in front it is no riddle.
    std::string_view rest = cell;
    if (digits(rest, 4, 4) && literal(rest, "/") && digits(rest, 1, 2) && literal(rest, "/") &&
        digits(rest, 1, 2) && rest.empty()) {
        const auto month = text.substr(5, text.find('/', 5) - 5);
        const auto day = text.substr(text.rfind('/') + 1);
        text = text.substr(0, 4) + (month.size() == 1 ? "-0" : "-") + month +
               (day.size() == 1 ? "-0" : "-") + day;
    }
    const auto date = parse_date(text);
    if (!date) {
        return {std::nullopt, in_quotes(cell) + " is no date; write it as 2026-01-31"};
    }
    return {*date, {}};
}

Cell<std::string> Moment::read(std::string_view cell) const {
    if (!parse_iso8601(cell, PlainZone())) {
        return {std::nullopt, in_quotes(cell) +
                                  " is no time; write 2026-01-31, 2026-01-31T08:00 or "
                                  "2026-01-31T08:00:00+08:00"};
    }
    return {std::string(cell), {}};
}

Cell<bool> YesNo::read(std::string_view cell) const {
    if (cell == "yes" || cell == "是") {
        return {true, {}};
    }
    if (cell == "no" || cell == "否") {
        return {false, {}};
    }
    return {std::nullopt, in_quotes(cell) + " must be yes or no"};
}

Cell<std::int64_t> Duration::read(std::string_view cell) const {
    const auto ms = toml_reader::parse_duration(cell);
    if (!ms || *ms < 60'000) {
        return {std::nullopt, in_quotes(cell) + " must be a duration from 1m on, such as 8h"};
    }
    return {*ms, {}};
}

std::string Duration::write(const std::int64_t& value) const {
    return toml_reader::format_duration(value);
}

Cell<std::string> ClockTime::read(std::string_view cell) const {
    if (!toml_reader::parse_clock(cell, /*midnight_end=*/false)) {
        return {std::nullopt, in_quotes(cell) + " is no time of the day; write it as 18:00"};
    }
    return {std::string(cell), {}};
}

Cell<std::string> Card::read(std::string_view cell) const {
    const auto colon = cell.find(':');
    const auto format = cell.substr(0, colon);
    const auto value =
        colon == std::string_view::npos ? std::string_view() : cell.substr(colon + 1);
    if (!is_identifier(format) || value.empty() || value.find(' ') != std::string_view::npos ||
        value.size() > 128) {
        return {std::nullopt, "a card must be written as format:value, such as wiegand26:0012345"};
    }
    const auto hexadecimal = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); };
    if (format == "hmac256" &&
        (value.size() != 64 || !std::all_of(value.begin(), value.end(), hexadecimal))) {
        return {std::nullopt, "hmac256: must be followed by 64 characters of 0-9 a-f"};
    }
    if (auto damage = spreadsheet_damage(value); !damage.empty()) {
        return {std::nullopt, std::move(damage)};
    }
    return {std::string(cell), {}};
}

std::vector<std::string_view> items_of(std::string_view cell) {
    std::vector<std::string_view> out;
    for (;;) {
        const auto end = cell.find(';');
        out.push_back(trim(cell.substr(0, end)));
        if (end == std::string_view::npos) {
            return out;
        }
        cell.remove_prefix(end + 1);
    }
}

}  // namespace gatehouse::registry_files
