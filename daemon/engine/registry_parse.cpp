#include <algorithm>
#include <tuple>
#include <utility>

#include "daemon/config/toml_reader.hpp"
#include "daemon/engine/csv.hpp"
#include "daemon/engine/registry_fields.hpp"
#include "daemon/engine/registry_files.hpp"
#include "daemon/engine/tariff_file.hpp"

namespace gatehouse::registry_files {
namespace {

constexpr csv::Limits kCsvLimits{kFileBytesMax, kRowsMax, kCellBytesMax, kColumnsMax};

std::string lower(std::string text) {
    for (char& c : text) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return text;
}

// The column that a heading means; null for none.
const Column* column_named(const FileColumns& file, const std::string& heading) {
    for (const Column& column : file.columns) {
        if (lower(heading) == column.name || std::find(column.aliases.begin(), column.aliases.end(),
                                                       heading) != column.aliases.end()) {
            return &column;
        }
    }
    return nullptr;
}

std::vector<std::string> headings_of(const FileColumns& file) {
    std::vector<std::string> out;
    for (const Column& column : file.columns) {
        out.emplace_back(column.name);
        out.insert(out.end(), column.aliases.begin(), column.aliases.end());
    }
    return out;
}

// One CSV file: header, then each row.
class CsvReader {
  public:
    CsvReader(const FileColumns& columns, std::string file, Parsed& out)
        : columns_(columns), file_(std::move(file)), out_(out) {}

    template <class Row>
    void run(std::string_view bytes, std::vector<Row>& rows) {
        const csv::Table table = csv::read(file_, bytes, kCsvLimits);
        out_.problems.insert(out_.problems.end(), table.problems.begin(), table.problems.end());
        if (table.from_gb18030) {
            out_.warnings.push_back(
                {file_, 0, 0, "this is no valid UTF-8; it was read as GB18030"});
        }
        if (table.cut || table.rows.empty() || table.rows.front().damaged) {
            out_.partial.insert(columns_.table);
        }
        if (table.rows.empty()) {
            if (table.problems.empty()) {
                problem(0, 0, "the file is empty; its first line must name the columns");
            }
            return;
        }
        if (table.rows.front().damaged) {
            return;
        }
        header(table.rows.front());
        auto& present = out_.columns[columns_.table];
        for (const Heading& heading : header_) {
            if (heading.column != nullptr) {
                present.emplace(heading.column->name);
            }
        }
        if (!present.contains(columns_.columns.front().name)) {
            out_.partial.insert(columns_.table);
        }
        for (std::size_t i = 1; i < table.rows.size(); ++i) {
            row(table.rows[i], rows);
        }
    }

  private:
    void problem(int line, int column, std::string message) {
        out_.problems.push_back({file_, line, column, std::move(message)});
    }

    // What stands under a heading that names no column was told here, once for all rows.
    struct Heading {
        const Column* column = nullptr;
        bool named = false;
    };

    [[nodiscard]] bool has(const Column* column) const {
        return std::any_of(header_.begin(), header_.end(),
                           [&](const Heading& heading) { return heading.column == column; });
    }

    void header(const csv::Row& row) {
        for (const csv::Cell& cell : row.cells) {
            const Column* column = cell.text.empty() ? nullptr : column_named(columns_, cell.text);
            if (column == nullptr && !cell.text.empty()) {
                unknown_column(cell);
            } else if (column != nullptr && has(column)) {
                problem(cell.line, cell.column,
                        "column '" + std::string(column->name) + "' stands twice; keep one");
                column = nullptr;
            }
            header_.push_back({column, !cell.text.empty() || cell.refused});
        }
        for (const Column& column : columns_.columns) {
            if (column.required && !has(&column)) {
                problem(row.line, 1, "column '" + std::string(column.name) + "' is missing");
                missing_.emplace_back(column.name);
            }
        }
    }

    void unknown_column(const csv::Cell& cell) {
        std::string message = "unknown column '" + cell.text + "'" +
                              toml_reader::did_you_mean(cell.text, headings_of(columns_));
        if (cell.text.find_first_of(";\t") != std::string::npos) {
            message += "; cells must be separated by commas";
        }
        problem(cell.line, cell.column, std::move(message));
    }

    // Where it is not, nobody can say which cell belongs to which column.
    bool right_count(const csv::Row& row) {
        if (row.damaged) {
            return false;
        }
        if (row.cells.size() < header_.size()) {
            problem(row.line, row.cells.back().column,
                    "the line has " + std::to_string(row.cells.size()) + " cells, but " +
                        std::to_string(header_.size()) + " columns are named");
            return false;
        }
        for (std::size_t i = 0; i < row.cells.size(); ++i) {
            const bool nameless = i >= header_.size() || !header_[i].named;
            if (nameless && !row.cells[i].text.empty()) {
                problem(row.cells[i].line, row.cells[i].column,
                        "the cell '" + row.cells[i].text + "' stands under no column name");
                return false;
            }
        }
        return true;
    }

    template <class Row>
    void row(const csv::Row& cells, std::vector<Row>& rows) {
        Row row;
        Place place{file_, cells.line, {}, {missing_.begin(), missing_.end()}, false};
        place.damaged = !right_count(cells);
        const std::string_view id = columns_.columns.front().name;
        for (std::size_t i = 0; i < std::min(header_.size(), cells.cells.size()); ++i) {
            const Column* column = header_[i].column;
            if (column == nullptr || (place.damaged && column->name != id)) {
                continue;
            }
            place.columns.emplace(column->name, cells.cells[i].column);
            if (!cell(*column, cells.cells[i], row, !place.damaged)) {
                place.unread.emplace(column->name);
            }
        }
        // Without an id nothing can be said of the row but what its cells said.
        if (place.unread.contains(id) || !place.columns.contains(id)) {
            return;
        }
        for (auto& found : row_problems(row)) {
            if (place.lacks(found.column) ||
                std::any_of(found.rests_on.begin(), found.rests_on.end(),
                            [&](std::string_view column) { return place.lacks(column); })) {
                continue;
            }
            const auto at = place.columns.find(found.column);
            problem(cells.line, at == place.columns.end() ? 1 : at->second,
                    std::move(found.message));
        }
        keep(std::move(row), std::move(place), rows);
    }

    // False where the cell could not be read; told, unless the row is damaged and was told itself.
    template <class Row>
    bool cell(const Column& column, const csv::Cell& cell, Row& row, bool tell) {
        if (cell.refused) {
            return false;
        }
        std::string message;
        if (cell.text.empty()) {
            if (!column.required) {
                return true;
            }
            message = "'" + std::string(column.name) + "' must not be empty";
        } else {
            for (const Field<Row>& field : fields<Row>()) {
                if (field.name == column.name) {
                    message = field.read(cell.text, row);
                    message = message.empty() ? message : std::string(column.name) + ": " + message;
                }
            }
        }
        if (!message.empty() && tell) {
            problem(cell.line, cell.column, message);
        }
        return message.empty();
    }

    template <class Row>
    void keep(Row row, Place place, std::vector<Row>& rows) {
        const std::string id = id_of(row);
        const auto [first, fresh] = out_.places.emplace(std::pair(columns_.table, id), place);
        if (!fresh) {
            const auto at = place.columns.find(columns_.columns.front().name);
            problem(place.line, at == place.columns.end() ? 1 : at->second,
                    "'" + id + "' stands twice; it is already in line " +
                        std::to_string(first->second.line));
            return;
        }
        rows.push_back(std::move(row));
    }

    const FileColumns& columns_;
    std::string file_;
    Parsed& out_;
    std::vector<Heading> header_;
    std::vector<std::string> missing_;  // required columns that the header does not name
};

bool is_tariff_file(std::string_view name) {
    return name.starts_with("tariffs/") && name.ends_with(".toml") &&
           name.find('/', 8) == std::string_view::npos && name.size() > 13;
}

void read_tariff_file(const std::string& name, const std::string& bytes, Parsed& out) {
    const csv::Decoded decoded = csv::decode(bytes);
    if (!decoded.problem.empty()) {
        out.problems.push_back({name, 0, 0, decoded.problem});
        out.partial.insert(Table::tariffs);
        return;
    }
    if (decoded.from_gb18030) {
        out.warnings.push_back({name, 0, 0, "this is no valid UTF-8; it was read as GB18030"});
    }
    TariffFile file = read_tariffs(name, decoded.text);
    out.problems.insert(out.problems.end(), file.problems.begin(), file.problems.end());
    out.warnings.insert(out.warnings.end(), file.warnings.begin(), file.warnings.end());
    if (file.partial) {
        out.partial.insert(Table::tariffs);
    }
    for (auto& [tariff, line, unread, damaged] : file.tariffs) {
        const auto key = std::pair(Table::tariffs, tariff.tariff);
        const auto [first, fresh] =
            out.places.emplace(key, Place{name, line, {}, std::move(unread), damaged});
        if (!fresh) {
            const std::string where =
                first->second.file + " line " + std::to_string(first->second.line);
            // An export written beside the files that it came from repeats them word for word.
            const bool same = std::find(out.registry.tariffs.begin(), out.registry.tariffs.end(),
                                        tariff) != out.registry.tariffs.end();
            (same ? out.warnings : out.problems)
                .push_back({name, line, 1,
                            "tariff '" + tariff.tariff + "' stands twice" +
                                (same ? ", both the same" : "") + "; it is already in " + where});
            continue;
        }
        out.registry.tariffs.push_back(std::move(tariff));
    }
}

void read_one(const std::string& name, const std::string& bytes, Parsed& out) {
    if (is_tariff_file(name)) {
        read_tariff_file(name, bytes, out);
        return;
    }
    bool known = false;
    std::vector<std::string> names;
    for_each_csv_table([&](Table table, auto member) {
        const FileColumns& columns = columns_of(table);
        names.emplace_back(columns.file);
        if (name == columns.file) {
            known = true;
            CsvReader(columns, name, out).run(bytes, out.registry.*member);
        }
    });
    if (!known) {
        out.problems.push_back({name, 0, 0,
                                "no file of the registry has this name; those are units.csv and "
                                "its kind, and tariffs/<name>.toml" +
                                    toml_reader::did_you_mean(name, names)});
    }
}

}  // namespace

Parsed parse(const Files& files) {
    Parsed out;
    if (files.size() > kFilesMax) {
        out.problems.push_back({"registry", 0, 0,
                                "the folder has " + std::to_string(files.size()) +
                                    " files; at most " + std::to_string(kFilesMax) + " are taken"});
        return out;
    }
    std::set<std::string> names;
    for (const auto& [name, bytes] : files) {
        if (!names.insert(name).second) {
            out.problems.push_back({name, 0, 0, "the file is given twice"});
            continue;
        }
        read_one(name, bytes, out);
    }
    arrange_problems(out.problems);
    arrange_problems(out.warnings);
    return out;
}

// A file of another kind saved under the name would give a problem a cell; people read the first.
void arrange_problems(std::vector<Problem>& problems) {
    std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
        return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
    });
    if (problems.size() > kProblemsMax) {
        const std::size_t more = problems.size() - kProblemsMax;
        problems.resize(kProblemsMax);
        problems.push_back({"registry", 0, 0, "and " + std::to_string(more) + " more problems"});
    }
}

}  // namespace gatehouse::registry_files
