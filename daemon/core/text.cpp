#include "daemon/core/text.hpp"

#include <algorithm>
#include <cstdint>

namespace gatehouse {
namespace {

constexpr std::size_t kLongestWord = 64;
constexpr char32_t kReplacement = 0xFFFD;

bool is_unprintable(char32_t point) {
    return point < 0x20 || point == 0x7F || point == 0xFFFE || point == 0xFFFF;
}

struct Decoded {
    char32_t code_point = kReplacement;
    std::size_t bytes = 1;
    bool valid = false;
};

// The code point at the front of a text that is not empty.
Decoded decode(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(0);
    if (first < 0x80) return {first, 1, true};
    std::size_t length = 0;
    char32_t value = 0;
    char32_t least = 0;
    if ((first & 0xE0U) == 0xC0U) {
        length = 2, value = first & 0x1FU, least = 0x80;
    } else if ((first & 0xF0U) == 0xE0U) {
        length = 3, value = first & 0x0FU, least = 0x800;
    } else if ((first & 0xF8U) == 0xF0U) {
        length = 4, value = first & 0x07U, least = 0x10000;
    } else {
        return {};
    }
    if (text.size() < length) return {};
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) return {};
        value = (value << 6U) | (byte(i) & 0x3FU);
    }
    if (value < least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
    return {value, length, true};
}

std::u32string folded(std::string_view text) {
    std::u32string points = code_points(text);
    for (char32_t& c : points) {
        if (c >= U'A' && c <= U'Z') c += U'a' - U'A';
    }
    return points;
}

// Edits between two words, a swap of neighbours being one (optimal string alignment).
std::size_t distance(const std::u32string& a, const std::u32string& b) {
    const std::size_t width = b.size() + 1;
    std::vector<std::size_t> table((a.size() + 1) * width);
    const auto at = [&](std::size_t i, std::size_t j) -> std::size_t& {
        return table[i * width + j];
    };
    for (std::size_t i = 0; i <= a.size(); ++i) at(i, 0) = i;
    for (std::size_t j = 0; j <= b.size(); ++j) at(0, j) = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t other = a[i - 1] == b[j - 1] ? 0 : 1;
            at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + other});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
            }
        }
    }
    return at(a.size(), b.size());
}

}  // namespace

std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates) {
    const std::u32string sought = folded(word);
    if (sought.empty() || sought.size() > kLongestWord) return std::nullopt;
    std::size_t limit = std::clamp<std::size_t>(sought.size() / 3, 1, 3);
    std::optional<std::string> best;
    for (const std::string& candidate : candidates) {
        const std::u32string other = folded(candidate);
        if (other.empty() || other.size() > sought.size() + limit) continue;
        // A word of one sign is "near" every other such word; that is no help to anybody.
        const std::size_t edits = distance(sought, other);
        if (edits > limit || edits >= std::max(sought.size(), other.size())) continue;
        if (best && edits == limit) continue;
        best = candidate;
        limit = edits;
        if (edits == 0) break;
    }
    return best;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const Decoded next = decode(text);
        if (!next.valid) return false;
        text.remove_prefix(next.bytes);
    }
    return true;
}

std::u32string code_points(std::string_view utf8) {
    std::u32string points;
    points.reserve(utf8.size());
    while (!utf8.empty()) {
        const Decoded next = decode(utf8);
        points.push_back(next.code_point);
        utf8.remove_prefix(next.bytes);
    }
    return points;
}

void append_utf8(std::string& out, char32_t code_point) {
    const auto put = [&](char32_t bits) { out.push_back(static_cast<char>(bits)); };
    if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) {
        code_point = kReplacement;
    }
    if (code_point < 0x80) {
        put(code_point);
    } else if (code_point < 0x800) {
        put(0xC0U | (code_point >> 6U));
        put(0x80U | (code_point & 0x3FU));
    } else if (code_point < 0x10000) {
        put(0xE0U | (code_point >> 12U));
        put(0x80U | ((code_point >> 6U) & 0x3FU));
        put(0x80U | (code_point & 0x3FU));
    } else {
        put(0xF0U | (code_point >> 18U));
        put(0x80U | ((code_point >> 12U) & 0x3FU));
        put(0x80U | ((code_point >> 6U) & 0x3FU));
        put(0x80U | (code_point & 0x3FU));
    }
}

bool has_unprintable(std::string_view utf8) {
    while (!utf8.empty()) {
        const Decoded next = decode(utf8);
        if (next.valid && is_unprintable(next.code_point)) return true;
        utf8.remove_prefix(next.bytes);
    }
    return false;
}

std::string for_xml(std::string_view text, std::size_t max) {
    std::string out;
    while (!text.empty()) {
        const Decoded next = decode(text);
        const char32_t point = next.code_point;
        const bool space = point == '\t' || point == '\n' || point == '\r';
        const std::size_t before = out.size();
        append_utf8(out, is_unprintable(point) && !space ? kReplacement : point);
        if (out.size() > max) {
            out.resize(before);
            break;
        }
        text.remove_prefix(next.bytes);
    }
    return out;
}

std::string_view without_bom(std::string_view utf8) {
    if (utf8.substr(0, 3) == "\xEF\xBB\xBF") utf8.remove_prefix(3);
    return utf8;
}

std::string_view truncate_utf8(std::string_view utf8, std::size_t max) {
    std::size_t bytes = 0;
    for (std::size_t count = 0; count < max && bytes < utf8.size(); ++count) {
        bytes += decode(utf8.substr(bytes)).bytes;
    }
    return utf8.substr(0, bytes);
}

std::string_view trim(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
}

bool is_identifier(std::string_view text) {
    if (text.empty() || text.size() > 64) return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    });
}

bool is_code(std::string_view text) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    constexpr int kNumberToCall = 7;
    if (text.empty() || text.size() > 40 || !letter(text.front())) return false;
    int digits = 0;
    for (const char c : text) {
        digits = digit(c) ? digits + 1 : 0;
        const bool sign = c == '.' || c == '_' || c == '-' || c == ':';
        if (digits == kNumberToCall || (!letter(c) && !digit(c) && !sign)) return false;
    }
    return true;
}

}  // namespace gatehouse
