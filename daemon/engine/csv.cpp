#include "daemon/engine/csv.hpp"

#include <iconv.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "daemon/core/text.hpp"

namespace gatehouse::csv {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// The length of the UTF-8 sequence at the front, or 0 where it is none (overlong, surrogate, cut).
std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto follows = [&](std::size_t count) {
        if (text.size() < count) {
            return false;
        }
        for (std::size_t i = 1; i < count; ++i) {
            if ((byte(i) & 0xC0U) != 0x80U) {
                return false;
            }
        }
        return true;
    };
    const unsigned char first = byte(0);
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        return follows(2) ? 2 : 0;
    }
    if ((first & 0xF0U) == 0xE0U) {
        const bool good =
            follows(3) && !(first == 0xE0 && byte(1) < 0xA0) && !(first == 0xED && byte(1) > 0x9F);
        return good ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const bool good =
            follows(4) && !(first == 0xF0 && byte(1) < 0x90) && !(first == 0xF4 && byte(1) > 0x8F);
        return good ? 4 : 0;
    }
    return 0;
}

// Where the text stops being UTF-8; nothing where it never does.
std::optional<std::size_t> first_bad_byte(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = utf8_length(text.substr(at));
        if (length == 0) {
            return at;
        }
        at += length;
    }
    return std::nullopt;
}

class Converter {
  public:
    Converter() : handle_(iconv_open("UTF-8", "GB18030")) {}
    ~Converter() {
        if (good()) {
            iconv_close(handle_);
        }
    }
    Converter(const Converter&) = delete;
    Converter& operator=(const Converter&) = delete;

    // iconv_open's failure is the value (iconv_t)-1, which only a cast can spell.
    [[nodiscard]] bool good() const {
        return handle_ != reinterpret_cast<iconv_t>(static_cast<std::intptr_t>(-1));
    }

    std::optional<std::string> convert(std::string_view bytes) {
        std::string in(bytes);
        std::string out(bytes.size() * 2 + 16, '\0');  // no character of GB18030 grows beyond that
        char* from = in.data();
        char* into = out.data();
        std::size_t left = in.size();
        std::size_t room = out.size();
        if (iconv(handle_, &from, &left, &into, &room) == static_cast<std::size_t>(-1)) {
            return std::nullopt;
        }
        out.resize(out.size() - room);
        return out;
    }

  private:
    iconv_t handle_;
};

bool is_blank(std::string_view character) {
    return character == " " || character == "\t" || character == "\xC2\xA0" ||
           character == "\xE3\x80\x80";
}

// Blanks at both ends: ASCII, no-break and ideographic ones.
std::string_view trimmed(std::string_view text) {
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        if (!is_blank(text.substr(0, length))) {
            break;
        }
        text.remove_prefix(length);
    }
    while (!text.empty()) {
        std::size_t start = text.size() - 1;
        while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0U) == 0x80U) {
            --start;
        }
        if (!is_blank(text.substr(start))) {
            break;
        }
        text = text.substr(0, start);
    }
    return text;
}

// Splits decoded text into rows. A quote in the wrong place costs its row alone; what makes all
// that follows unreadable stops it.
class Splitter {
  public:
    Splitter(std::string file, std::string_view text, const Limits& limits, Table& out)
        : file_(std::move(file)), text_(text), limits_(limits), out_(out) {}

    void run() {
        while (at_ < text_.size() && !stopped_) {
            row();
        }
    }

  private:
    void problem(int line, int column, std::string message) {
        out_.problems.push_back({file_, line, column, std::move(message)});
    }
    void stop(int line, int column, std::string message) {
        problem(line, column, std::move(message));
        stopped_ = true;
        out_.cut = true;
    }
    // The row ends here; the next line is read as ever.
    void break_off(int line, int column, std::string message) {
        problem(line, column, std::move(message));
        broken_off_ = true;
    }
    [[nodiscard]] bool at_end_of_line() const {
        return at_ >= text_.size() || text_[at_] == '\n' ||
               (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ||
               (text_[at_] == '\r' && at_ + 1 == text_.size());
    }
    // One character, keeping count of lines and columns.
    void take(std::string& into) {
        const std::size_t length = utf8_length(text_.substr(at_));
        into.append(text_.substr(at_, length));
        const bool new_line = text_[at_] == '\n';
        at_ += length;
        column_ = new_line ? 1 : column_ + 1;
        line_ += new_line ? 1 : 0;
    }
    void row() {
        Row row;
        row.line = line_;
        std::string skipped;
        for (;;) {
            row.cells.push_back(cell());
            if (stopped_) {
                return;
            }
            if (std::exchange(broken_off_, false)) {
                row.cells.pop_back();
                row.damaged = true;
                break;
            }
            if (row.cells.size() > limits_.columns_max) {
                stop(row.line, row.cells.back().column,
                     "more than " + std::to_string(limits_.columns_max) + " cells in one line");
                return;
            }
            if (at_end_of_line()) {
                break;
            }
            take(skipped);  // the comma
        }
        while (at_ < text_.size() && text_[at_] != '\n') {
            take(skipped);
        }
        if (at_ < text_.size()) {
            take(skipped);
        }
        if (row.blank() && !row.damaged) {
            return;
        }
        if (out_.rows.size() > limits_.rows_max) {
            stop(row.line, 1,
                 "more than " + std::to_string(limits_.rows_max) +
                     " rows; split the file into several imports");
            return;
        }
        out_.rows.push_back(std::move(row));
    }
    Cell cell() {
        Cell out;
        out.line = line_;
        out.column = column_;
        std::string raw;
        if (at_ < text_.size() && text_[at_] == '"') {
            quoted_cell(out, raw);
        } else {
            while (!at_end_of_line() && text_[at_] != ',') {
                if (text_[at_] == '"') {
                    break_off(
                        line_, column_,
                        "a quote inside a cell that does not begin with one; put the whole cell "
                        "into quotes and write the inner quote twice");
                    return out;
                }
                take(raw);
            }
        }
        finish(out, raw);
        return out;
    }
    void quoted_cell(Cell& out, std::string& raw) {
        std::string skipped;
        take(skipped);
        while (at_ < text_.size()) {
            if (text_[at_] != '"') {
                take(raw);
            } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
                take(raw);
                take(skipped);
            } else {
                take(skipped);
                if (!at_end_of_line() && text_[at_] != ',') {
                    break_off(line_, column_, "text after the closing quote of a cell");
                }
                return;
            }
        }
        stop(out.line, out.column, "a quote opens here that nothing closes");
    }
    void finish(Cell& out, const std::string& raw) {
        if (stopped_ || broken_off_) {
            return;
        }
        out.text = std::string(trimmed(raw));
        if (out.text.size() > limits_.cell_bytes_max) {
            problem(out.line, out.column,
                    "the cell has " + std::to_string(out.text.size()) + " bytes; at most " +
                        std::to_string(limits_.cell_bytes_max) + " are taken");
            out.text.clear();
        }
        if (has_unprintable(out.text)) {
            problem(out.line, out.column,
                    "the cell holds a line break or another character that cannot be printed; "
                    "remove it");
            out.text.clear();
            out.refused = true;
        }
    }

    std::string file_;
    std::string_view text_;
    const Limits& limits_;
    Table& out_;
    std::size_t at_ = 0;
    int line_ = 1;
    int column_ = 1;
    bool stopped_ = false;
    bool broken_off_ = false;
};

}  // namespace

bool Row::blank() const {
    return std::all_of(cells.begin(), cells.end(), [](const Cell& c) { return c.text.empty(); });
}

Decoded decode(std::string_view bytes) {
    Decoded out;
    if (bytes.starts_with("PK\x03\x04")) {
        out.problem = "this is a workbook, not text; save it as CSV UTF-8";
        return out;
    }
    if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF")) {
        out.problem = "this is UTF-16; save it as CSV UTF-8";
        return out;
    }
    if (bytes.starts_with(kByteOrderMark)) {
        bytes.remove_prefix(kByteOrderMark.size());
    }
    const auto bad = first_bad_byte(bytes);
    if (!bad) {
        out.text = std::string(bytes);
        return out;
    }
    Converter converter;
    if (!converter.good()) {
        out.problem = "no valid UTF-8 at byte " + std::to_string(*bad + 1) +
                      ", and this machine cannot read GB18030; save it as CSV UTF-8";
        return out;
    }
    auto converted = converter.convert(bytes);
    if (!converted) {
        out.problem = "neither UTF-8 (byte " + std::to_string(*bad + 1) +
                      ") nor GB18030; save it as CSV UTF-8";
        return out;
    }
    out.text = std::move(*converted);
    out.from_gb18030 = true;
    return out;
}

Table read(const std::string& file, std::string_view bytes, const Limits& limits) {
    Table out;
    if (bytes.size() > limits.bytes_max) {
        out.problems.push_back({file, 0, 0,
                                "the file has " + std::to_string(bytes.size()) +
                                    " bytes; at most " + std::to_string(limits.bytes_max) +
                                    " are taken"});
        return out;
    }
    const Decoded decoded = decode(bytes);
    if (!decoded.problem.empty()) {
        out.problems.push_back({file, 0, 0, decoded.problem});
        return out;
    }
    out.from_gb18030 = decoded.from_gb18030;
    Splitter(file, decoded.text, limits, out).run();
    return out;
}

std::string quoted(std::string_view cell) {
    if (cell.find_first_of(",\"\r\n") == std::string_view::npos) {
        return std::string(cell);
    }
    std::string out = "\"";
    for (const char c : cell) {
        out += c;
        if (c == '"') {
            out += c;
        }
    }
    return out + "\"";
}

}  // namespace gatehouse::csv
