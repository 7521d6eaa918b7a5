// Comma-separated files as people's spreadsheets write them: UTF-8 with or without byte-order mark
// or GB18030, RFC 4180 quoting, CRLF or LF. It knows no column. Pure, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/registry.hpp"

namespace gatehouse::csv {

struct Cell {
    std::string text;  // without blanks at its ends
    int line = 1;
    int column = 1;        // of its first character, in characters
    bool refused = false;  // a problem names it and its text is left out
};
struct Row {
    int line = 1;
    std::vector<Cell> cells;
    bool damaged = false;  // broken off at a quote; a problem names it, cells before it are whole
    [[nodiscard]] bool blank() const;
};

struct Limits {
    std::size_t bytes_max = 0;
    std::size_t rows_max = 0;  // the header not counted
    std::size_t cell_bytes_max = 0;
    std::size_t columns_max = 0;
};

struct Decoded {
    std::string text;  // UTF-8 without byte-order mark
    bool from_gb18030 = false;
    std::string problem;  // not empty: neither encoding fits, or it is no text at all
};
[[nodiscard]] Decoded decode(std::string_view bytes);

struct Table {
    std::vector<Row> rows;  // the header first; lines without any text are left out
    bool from_gb18030 = false;
    bool cut = false;  // what follows the last row could not be read
    std::vector<Problem> problems;
};
[[nodiscard]] Table read(const std::string& file, std::string_view bytes, const Limits& limits);

// One cell as it stands in a file: quoted only where it must be.
[[nodiscard]] std::string quoted(std::string_view cell);

}  // namespace gatehouse::csv
