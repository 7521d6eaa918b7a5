#include "daemon/http/workbook.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xlsxwriter.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <stdexcept>

#include "daemon/core/text.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse::http {

namespace {

constexpr time_t kCreated = 946'684'800;  // 2000-01-01: bytes do not depend on the day
constexpr lxw_col_t kWidthChars = 16;
constexpr std::size_t kCellMax = 32'000;  // bytes of a cell's text; Excel takes 32,767 characters

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

std::set<int> descriptors_below(const std::string& folder) {
    std::set<int> found;
    std::error_code error;
    const std::filesystem::path all("/proc/self/fd");
    for (const auto& entry : std::filesystem::directory_iterator(all, error)) {
        const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
        if (!error && target.starts_with(folder + '/'))
            found.insert(std::atoi(entry.path().filename().c_str()));
    }
    return found;
}

// What the library has left open behind a failed close: it holds the disk until the process ends.
// Its streams are out of reach, so each descriptor first leads nowhere and every stream is flushed;
// otherwise an exit would write what such a stream still holds into whatever has its number then.
void release(const std::set<int>& left) {
    const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere < 0) return;
    for (const int fd : left) ::dup2(nowhere, fd);
    static_cast<void>(std::fflush(nullptr));
    for (const int fd : left) ::close(fd);
    ::close(nowhere);
}

}  // namespace

struct Workbook::Impl {
    std::string path, scratch;
    std::set<int> before;  // descriptors of the folder that are not the library's
    const TableSpec* spec;
    bool chinese;
    lxw_workbook* book = nullptr;
    lxw_worksheet* sheet = nullptr;
    lxw_format* bold = nullptr;
    std::vector<lxw_format*> formats;
    std::vector<std::int64_t> totals;
    lxw_row_t at = 1;
    bool adds = true;          // the row that is written now
    std::size_t left_out = 0;  // rows that were not added up

    void begin(const TableSpec& next) {
        spec = &next;
        at = 1;
        formats.clear();
        totals.assign(next.columns.size(), 0);
        left_out = 0;
        sheet = workbook_add_worksheet(book, chinese ? next.chinese : next.name);
        if (sheet == nullptr) throw std::runtime_error("no sheet could be begun in " + path);
        worksheet_freeze_panes(sheet, 1, 0);
        for (std::size_t i = 0; i < next.columns.size(); ++i) {
            lxw_format* format = workbook_add_format(book);
            format_set_num_format(format, number_format(next.columns[i].cell));
            formats.push_back(format);
            const auto c = static_cast<lxw_col_t>(i);
            worksheet_set_column(sheet, c, c, kWidthChars, nullptr);
            text(sheet, 0, c, chinese ? next.columns[i].chinese : next.columns[i].name, bold);
        }
    }

    void text(lxw_worksheet* where, lxw_row_t r, lxw_col_t c, const std::string& value,
              lxw_format* format) {
        if (value.empty()) return;
        worksheet_write_string(where, r, c, for_xml(value, kCellMax).c_str(), format);
    }

    void cell(lxw_col_t c, const std::string& value) {
        const Column& column = spec->columns[c];
        lxw_datetime time{};
        switch (column.cell) {
            case Cell::count:
            case Cell::money:
            case Cell::quantity:
            case Cell::number:
                if (!is_number(value)) break;
                worksheet_write_number(sheet, at, c, std::strtod(value.c_str(), nullptr),
                                       formats[c]);
                if (column.total && adds)
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

    void judge(const Row& row) {
        adds = true;
        if (spec->total_of == nullptr) return;
        for (std::size_t i = 0; i < spec->columns.size(); ++i)
            if (std::string_view(spec->columns[i].name) == spec->total_of) adds = !row[i].empty();
        if (!adds) ++left_out;
    }

    void release_left() {
        std::set<int> left = descriptors_below(scratch);
        for (const int fd : before) left.erase(fd);
        if (!left.empty()) release(left);
    }

    void foot() {
        bool any = false;
        for (std::size_t i = 0; i < spec->columns.size(); ++i) {
            const Column& column = spec->columns[i];
            if (!column.total) continue;
            any = true;
            const std::string sum = format_decimal(totals[i], places(column.cell));
            worksheet_write_number(sheet, at, static_cast<lxw_col_t>(i),
                                   std::strtod(sum.c_str(), nullptr), formats[i]);
        }
        std::string word = chinese ? "合计" : "total";
        if (left_out > 0)
            word += chinese ? "（未计 " + std::to_string(left_out) + " 行）"
                            : " (without " + std::to_string(left_out) + " rows)";
        if (any) text(sheet, at, 0, word, bold);
    }
};

Workbook::Workbook(std::string path, std::string scratch, const TableSpec& spec, bool chinese)
    : impl_(new Impl{std::move(path),
                     scratch,
                     descriptors_below(scratch),
                     &spec,
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
    impl.bold = workbook_add_format(impl.book);
    format_set_bold(impl.bold);
    impl.begin(spec);
}

void Workbook::next_sheet(const TableSpec& spec) {
    end_sheet();
    impl_->begin(spec);
}

void Workbook::end_sheet() {
    impl_->foot();
    if (std::FILE* rows = impl_->sheet->optimize_tmpfile; rows != nullptr)
        static_cast<void>(std::fflush(rows));
    static_cast<void>(bytes());
}

// Given up before its end: closing it would pack it first.
Workbook::~Workbook() {
    if (impl_->book == nullptr) return;
    lxw_worksheet* sheet = nullptr;
    LXW_FOREACH_WORKSHEET(sheet, impl_->book) {
        if (sheet->optimize_tmpfile != nullptr)
            static_cast<void>(std::fclose(sheet->optimize_tmpfile));
    }
    lxw_workbook_free(impl_->book);
    impl_->release_left();
}

void Workbook::row(const Row& row) {
    impl_->judge(row);
    for (std::size_t i = 0; i < row.size(); ++i) impl_->cell(static_cast<lxw_col_t>(i), row[i]);
    ++impl_->at;
}

std::uint64_t Workbook::bytes() const {
    std::FILE* file = impl_->sheet->optimize_tmpfile;
    if (file == nullptr) return 0;
    struct stat found {};
    // The library looks at no write of a row, so that a row that did not fit would be missing.
    if (std::ferror(file) != 0 || ::fstat(::fileno(file), &found) != 0)
        throw std::runtime_error("the rows could not be written");
    return static_cast<std::uint64_t>(found.st_size);
}

void Workbook::finish(const std::vector<std::pair<std::string, std::string>>& about) {
    Impl& impl = *impl_;
    end_sheet();
    lxw_worksheet* sheet = workbook_add_worksheet(impl.book, impl.chinese ? "说明" : "about");
    if (sheet == nullptr) throw std::runtime_error("no second sheet could be begun");
    worksheet_set_column(sheet, 0, 1, 2 * kWidthChars, nullptr);
    lxw_row_t at = 0;
    for (const auto& [name, value] : about) {
        impl.text(sheet, at, 0, name, impl.bold);
        impl.text(sheet, at++, 1, value, nullptr);
    }
    const lxw_error error = workbook_close(std::exchange(impl.book, nullptr));
    if (error == LXW_NO_ERROR) return;
    impl.release_left();
    throw std::runtime_error(std::string("the workbook could not be written: ") +
                             lxw_strerror(error));
}

}  // namespace gatehouse::http
