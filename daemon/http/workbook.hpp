// A table as XLSX: libxlsxwriter in its constant-memory mode writes it row by row into a file. The
// same rows give the same bytes: nothing in it is of the moment. One thread an object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/http/table.hpp"

namespace gatehouse::http {

class Workbook {
  public:
    // `scratch`: a folder of this workbook alone, an absolute path without links, for what does not
    // fit into memory; `path` lies in it. Heading and frozen first row stand.
    Workbook(std::string path, std::string scratch, const TableSpec& spec, bool chinese);
    ~Workbook();
    Workbook(const Workbook&) = delete;
    Workbook& operator=(const Workbook&) = delete;

    void row(const Row& row);
    [[nodiscard]] std::size_t rows() const;
    // What its rows take on the disk so far. Throws std::runtime_error where they did not fit.
    [[nodiscard]] std::uint64_t bytes() const;
    // The foot of the sheet, and another one.
    void next_sheet(const TableSpec& spec);
    // The foot, and a last sheet that says what the table is; writes the file. Throws
    // std::runtime_error with one line where it cannot; no descriptor and no byte of it stays.
    void finish(const std::vector<std::pair<std::string, std::string>>& about);

  private:
    void end_sheet();  // its foot, and every row of it on the disk
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::http
