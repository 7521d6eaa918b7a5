#include "daemon/http/workbook.hpp"

#include <xlsxwriter.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "daemon/core/units.hpp"

namespace gatehouse::http {

namespace {

constexpr time_t kCreated = 946'684'800;  // 2000-01-01: bytes do not depend on the day
constexpr lxw_col_t kWidthChars = 16;
constexpr std::size_t kCellMax = 32'000;  // of a cell's text; Excel takes 32,767

const char* number_format(Cell cell) {
    switch (cell) {
        case Cell::money:
            return "0.00";
        case Cell::quantity:
            return "0.000";
        case Cell::count:
            return "0";
        case Cell::time:
            return "yyyy-mm-dd hh:mm:ss";
        default:
            return "General";
    }
}

int places(Cell cell) {
    return cell == Cell::money ? 2 : cell == Cell::quantity ? 3 : 0;
}

// The local time that the text shows; the offset is the site's and stands in the second sheet.
bool parse_time(const std::string& text, lxw_datetime& at) {
    int second = 0;
    const int found = std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d", &at.year, &at.month,
                                  &at.day, &at.hour, &at.min, &second);
    at.sec = second;
    return found == 6;
}

}  // namespace

struct Workbook::Impl {
    std::string path, scratch;
    const TableSpec& spec;
    bool chinese;
    lxw_workbook* book = nullptr;
    lxw_worksheet* sheet = nullptr;
    lxw_format* bold = nullptr;
    std::vector<lxw_format*> formats;
    std::vector<std::int64_t> totals;
    lxw_row_t at = 1;

    void text(lxw_worksheet* where, lxw_row_t r, lxw_col_t c, const std::string& value,
              lxw_format* format) {
        if (value.empty()) return;
        worksheet_write_string(
            where, r, c,
            value.size() <= kCellMax ? value.c_str() : value.substr(0, kCellMax).c_str(), format);
    }

    void cell(lxw_col_t c, const std::string& value) {
        const Column& column = spec.columns[c];
        lxw_datetime time{};
        switch (column.cell) {
            case Cell::count:
            case Cell::money:
            case Cell::quantity:
            case Cell::number:
                if (!is_number(value)) break;
                worksheet_write_number(sheet, at, c, std::strtod(value.c_str(), nullptr),
                                       formats[c]);
                if (column.total)
                    totals[c] += parse_decimal(value, places(column.cell)).value_or(0);
                return;
            case Cell::time:
                if (!parse_time(value, time)) break;
                worksheet_write_datetime(sheet, at, c, &time, formats[c]);
                return;
            default:
                break;
        }
        text(sheet, at, c, value, nullptr);
    }

    void foot() {
        bool any = false;
        for (std::size_t i = 0; i < spec.columns.size(); ++i) {
            const Column& column = spec.columns[i];
            if (!column.total) continue;
            any = true;
            const std::string sum = format_decimal(totals[i], places(column.cell));
            worksheet_write_number(sheet, at, static_cast<lxw_col_t>(i),
                                   std::strtod(sum.c_str(), nullptr), formats[i]);
        }
        if (any) text(sheet, at, 0, chinese ? "合计" : "total", bold);
    }
};

Workbook::Workbook(std::string path, std::string scratch, const TableSpec& spec, bool chinese)
    : impl_(new Impl{std::move(path),
                     std::move(scratch),
                     spec,
                     chinese,
                     nullptr,
                     nullptr,
                     nullptr,
                     {},
                     {},
                     1}) {
    Impl& impl = *impl_;
    lxw_workbook_options options{};
    options.constant_memory = LXW_TRUE;
    options.tmpdir = impl.scratch.data();
    impl.book = workbook_new_opt(impl.path.c_str(), &options);
    if (impl.book == nullptr) throw std::runtime_error("no workbook could be begun");
    lxw_doc_properties properties{};
    properties.created = kCreated;
    workbook_set_properties(impl.book, &properties);
    impl.sheet = workbook_add_worksheet(impl.book, chinese ? spec.chinese : spec.name);
    if (impl.sheet == nullptr) throw std::runtime_error("no sheet could be begun in " + impl.path);
    impl.bold = workbook_add_format(impl.book);
    format_set_bold(impl.bold);
    worksheet_freeze_panes(impl.sheet, 1, 0);
    for (std::size_t i = 0; i < spec.columns.size(); ++i) {
        lxw_format* format = workbook_add_format(impl.book);
        format_set_num_format(format, number_format(spec.columns[i].cell));
        impl.formats.push_back(format);
        const auto c = static_cast<lxw_col_t>(i);
        worksheet_set_column(impl.sheet, c, c, kWidthChars, nullptr);
        impl.text(impl.sheet, 0, c, chinese ? spec.columns[i].chinese : spec.columns[i].name,
                  impl.bold);
    }
    impl.totals.resize(spec.columns.size());
}

Workbook::~Workbook() {
    // Closing is the one way in which the library gives its scratch files back.
    if (impl_->book != nullptr) static_cast<void>(workbook_close(impl_->book));
}

void Workbook::row(const Row& row) {
    for (std::size_t i = 0; i < row.size(); ++i) impl_->cell(static_cast<lxw_col_t>(i), row[i]);
    ++impl_->at;
}

std::size_t Workbook::rows() const {
    return impl_->at - 1;
}

void Workbook::finish(const std::vector<std::pair<std::string, std::string>>& about) {
    Impl& impl = *impl_;
    impl.foot();
    lxw_worksheet* sheet = workbook_add_worksheet(impl.book, impl.chinese ? "说明" : "about");
    if (sheet == nullptr) throw std::runtime_error("no second sheet could be begun");
    worksheet_set_column(sheet, 0, 1, 2 * kWidthChars, nullptr);
    lxw_row_t at = 0;
    for (const auto& [name, value] : about) {
        impl.text(sheet, at, 0, name, impl.bold);
        impl.text(sheet, at++, 1, value, nullptr);
    }
    const lxw_error error = workbook_close(std::exchange(impl.book, nullptr));
    if (error != LXW_NO_ERROR)
        throw std::runtime_error(std::string("the workbook could not be written: ") +
                                 lxw_strerror(error));
}

}  // namespace gatehouse::http
