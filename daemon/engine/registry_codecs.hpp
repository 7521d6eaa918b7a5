// The kinds of cell that registry files hold, each with `read` and `write`. What `write` makes,
// `read` takes back to the same value. For registry_fields.cpp alone. Any thread.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/engine/registry_fields.hpp"

namespace gatehouse::registry_files {

// What a spreadsheet made of an identifier: 2.02E+11, 2012/1/15, 1月2日, Jan-15. Empty where it
// looks whole.
[[nodiscard]] std::string spreadsheet_damage(std::string_view cell);

struct Identifier {
    using Type = std::string;
    [[nodiscard]] Cell<std::string> read(std::string_view cell) const;
    [[nodiscard]] std::string write(const std::string& value) const { return value; }
};

// Free text. Where a spreadsheet is likely to have mangled a number or a room, `watched` refuses.
struct Text {
    using Type = std::string;
    bool watched = false;
    std::size_t characters_max = 128;
    [[nodiscard]] Cell<std::string> read(std::string_view cell) const;
    [[nodiscard]] std::string write(const std::string& value) const { return value; }
};

[[nodiscard]] std::string not_a_word(std::string_view cell, const std::vector<std::string>& words);

template <class E>
struct Word {
    using Type = E;
    std::vector<E> values;
    [[nodiscard]] Cell<E> read(std::string_view cell) const {
        std::vector<std::string> words;
        for (const E value : values) {
            words.emplace_back(gatehouse::to_string(value));
            if (cell == words.back()) {
                return {value, {}};
            }
        }
        return {std::nullopt, not_a_word(cell, words)};
    }
    [[nodiscard]] std::string write(const E& value) const { return gatehouse::to_string(value); }
};

struct Whole {
    using Type = int;
    int least = 0;
    int most = 0;
    [[nodiscard]] Cell<int> read(std::string_view cell) const;
    [[nodiscard]] std::string write(const int& value) const { return std::to_string(value); }
};

// An integer of 10^-places.
struct Fixed {
    using Type = std::int64_t;
    int places = 2;
    std::int64_t least = 0;
    std::int64_t most = 0;
    [[nodiscard]] Cell<std::int64_t> read(std::string_view cell) const;
    [[nodiscard]] std::string write(const std::int64_t& value) const {
        return format_decimal(value, places);
    }
};

template <class Unit>
struct Quantity {
    using Type = Amount<Unit>;
    Fixed fixed;
    [[nodiscard]] Cell<Type> read(std::string_view cell) const {
        auto out = fixed.read(cell);
        return {out.value ? std::optional(Type{*out.value}) : std::nullopt, out.problem};
    }
    [[nodiscard]] std::string write(const Type& value) const { return fixed.write(value.count); }
};

// An exact decimal of any number of places, kept as text without needless zeros.
struct ExactDecimal {
    using Type = std::string;
    bool negative_allowed = false;
    bool zero_allowed = true;
    std::int64_t most = 0;  // 0: no other bound than 18 digits
    [[nodiscard]] Cell<std::string> read(std::string_view cell) const;
    [[nodiscard]] std::string write(const std::string& value) const { return value; }
};

struct Date {
    using Type = LocalDate;
    [[nodiscard]] Cell<LocalDate> read(std::string_view cell) const;
    [[nodiscard]] std::string write(const LocalDate& value) const { return format_date(value); }
};

// ISO 8601 with offset, or a local date or date-time; kept as given.
struct Moment {
    using Type = std::string;
    [[nodiscard]] Cell<std::string> read(std::string_view cell) const;
    [[nodiscard]] std::string write(const std::string& value) const { return value; }
};

struct YesNo {
    using Type = bool;
    [[nodiscard]] Cell<bool> read(std::string_view cell) const;
    [[nodiscard]] std::string write(const bool& value) const { return value ? "yes" : "no"; }
};

struct Duration {
    using Type = std::int64_t;
    [[nodiscard]] Cell<std::int64_t> read(std::string_view cell) const;
    [[nodiscard]] std::string write(const std::int64_t& value) const;
};

struct ClockTime {
    using Type = std::string;
    [[nodiscard]] Cell<std::string> read(std::string_view cell) const;
    [[nodiscard]] std::string write(const std::string& value) const { return value; }
};

struct Card {
    using Type = std::string;
    [[nodiscard]] Cell<std::string> read(std::string_view cell) const;
    [[nodiscard]] std::string write(const std::string& value) const { return value; }
};

// The items between semicolons.
[[nodiscard]] std::vector<std::string_view> items_of(std::string_view cell);

// `;` between items; blanks around them are left out. An empty item is a problem unless it may
// stand for nothing, and so is a repeated one unless the place of an item counts.
template <class Item>
struct List {
    using Type = std::vector<typename Item::Type>;
    Item item;
    bool by_place = false;
    bool empty_is_none = false;  // an empty item is the value's own nothing, such as 0
    [[nodiscard]] Cell<Type> read(std::string_view cell) const {
        Type out;
        const auto parts = items_of(cell);
        if (parts.size() > kListMax) {
            return {std::nullopt, "the list has " + std::to_string(parts.size()) +
                                      " items; at most " + std::to_string(kListMax) + " are taken"};
        }
        for (const auto part : parts) {
            if (part.empty() && empty_is_none) {
                out.emplace_back();
                continue;
            }
            if (part.empty()) {
                return {std::nullopt, "an empty item in '" + std::string(cell) +
                                          "'; write one ';' between two items"};
            }
            auto one = item.read(part);
            if (!one.value) {
                return {std::nullopt, one.problem};
            }
            if (!by_place && std::find(out.begin(), out.end(), *one.value) != out.end()) {
                return {std::nullopt, "'" + std::string(part) + "' stands twice; keep one"};
            }
            out.push_back(std::move(*one.value));
        }
        return {std::move(out), {}};
    }
    [[nodiscard]] std::string write(const Type& values) const {
        std::string out;
        for (const auto& value : values) {
            out += (out.empty() ? "" : ";") + item.write(value);
        }
        return out;
    }
};

}  // namespace gatehouse::registry_files
