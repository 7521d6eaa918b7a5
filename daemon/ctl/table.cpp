#include "daemon/ctl/table.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace gatehouse::ctl {

namespace {

struct Range {
    std::uint32_t from, to;
};
// East Asian Wide and Fullwidth, as far as names and addresses need them.
constexpr Range kWide[] = {
    {0x1100, 0x115F}, {0x2E80, 0x303E}, {0x3041, 0xA4CF}, {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},
    {0xFE30, 0xFE6F}, {0xFF00, 0xFF60}, {0xFFE0, 0xFFE6}, {0x1F300, 0x1FAFF}, {0x20000, 0x3FFFD},
};
constexpr Range kZero[] = {{0x0300, 0x036F}, {0x200B, 0x200F}, {0xFE00, 0xFE0F}};

template <std::size_t N>
bool within(const Range (&ranges)[N], std::uint32_t point) {
    return std::any_of(std::begin(ranges), std::end(ranges), [point](const Range& range) {
        return point >= range.from && point <= range.to;
    });
}

// What a terminal would take for a command shows as a question mark.
std::string printable(std::string_view text) {
    std::string result;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        result += byte < 0x20 || byte == 0x7F ? '?' : c;
    }
    return result;
}

}  // namespace

std::size_t display_width(std::string_view utf8) {
    std::size_t width = 0;
    for (std::size_t i = 0; i < utf8.size();) {
        const auto lead = static_cast<unsigned char>(utf8[i]);
        const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        std::uint32_t point = length == 1 ? lead : lead & (0x7FU >> length);
        for (std::size_t j = 1; j < length && i + j < utf8.size(); ++j) {
            point = (point << 6U) | (static_cast<unsigned char>(utf8[i + j]) & 0x3FU);
        }
        if (!within(kZero, point)) width += within(kWide, point) ? 2U : 1U;
        i += length;
    }
    return width;
}

void TextTable::column(std::string heading, Align align) {
    headings_.push_back(std::move(heading));
    aligns_.push_back(align);
}

void TextTable::row(std::vector<std::string> cells) {
    for (std::string& cell : cells) cell = printable(cell);
    cells.resize(headings_.size());
    rows_.push_back(std::move(cells));
}

std::string TextTable::text() const {
    std::vector<std::size_t> widths;
    for (const std::string& heading : headings_) widths.push_back(display_width(heading));
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], display_width(row[i]));
        }
    }
    std::string result;
    const auto line = [&](const std::vector<std::string>& cells) {
        std::string text;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            if (i > 0) text += "  ";
            const std::string blanks(widths[i] - display_width(cells[i]), ' ');
            text += aligns_[i] == Align::right ? blanks + cells[i] : cells[i] + blanks;
        }
        text.erase(text.find_last_not_of(' ') + 1);
        result += text + "\n";
    };
    line(headings_);
    for (const auto& row : rows_) line(row);
    return result;
}

}  // namespace gatehouse::ctl
