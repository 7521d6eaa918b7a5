// Tables for the office: columns with an English and a Chinese heading, rows of text cells, and how
// they read as CSV. What a workbook makes of them: workbook.hpp. Values only; one thread an object.
#pragma once

#include <boost/json/fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::http {

// What a cell is, so that a workbook shows numbers as numbers and numbers of meters as text.
enum class Cell {
    text,
    word,      // one of `words`, which Chinese files translate
    flag,      // true or false
    count,     // an integer
    money,     // two places
    quantity,  // three places
    number,    // as many places as it has
    time,      // ISO 8601
};

using CellWords = std::span<const std::pair<std::string_view, std::string_view>>;

struct Column {
    const char* name;  // of the item's field, as in JSON; a dot goes into an object
    const char* chinese;
    Cell cell = Cell::text;
    CellWords words{};
    bool total = false;  // a workbook adds it up
};

struct TableSpec {
    const char* name;  // of the file and the sheet
    const char* chinese;
    std::span<const Column> columns;
    // A total adds up the rows alone that have a cell in this column, and says how many have none;
    // absent: all.
    const char* total_of = nullptr;
};

using Row = std::vector<std::string>;  // one cell a column

// Gives the rows one after the other. Holds at most a page of them.
class RowSource {
  public:
    virtual ~RowSource() = default;
    // Fills `row`, which has a cell for every column; false: there are no more.
    virtual bool next(Row& row) = 0;
};

// The item of a list as cells.
void fill_row(const boost::json::object& item, const TableSpec& spec, Row& row);

// Chinese words for those that programs use; what is no such word stays.
void translate(const TableSpec& spec, Row& row);

[[nodiscard]] bool is_number(std::string_view text);

// One line with its CRLF. A cell that a spreadsheet would take for a formula gets an apostrophe in
// front, unless it is a number.
void append_csv(std::string& out, const Row& row);
void append_csv_head(std::string& out, const TableSpec& spec, bool chinese);

extern const CellWords kServiceWords, kRoleWords, kQualityWords, kReadingWords, kEntryWords,
    kMethodWords, kUseWords, kBillingWords, kAvailabilityWords, kAlertStateWords, kUrgencyWords,
    kTicketStateWords, kTicketKindWords, kRatingWords, kChannelWords, kOriginWords, kKeyClassWords,
    kKeyPlaceWords, kElectronicWords;
// The Chinese of a program's word; a word that is none stays.
[[nodiscard]] std::string chinese_word(CellWords words, std::string_view word);

}  // namespace gatehouse::http
