// Answers as CSV and XLSX. A CSV is streamed while it is read; what needs its bytes before its
// header (a workbook, a file with an ETag) is written into a file without a name first. Runs on
// export threads. Handlers give columns and rows and know nothing of this.
#pragma once

#include <atomic>
#include <boost/json/fwd.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/http/routes.hpp"
#include "daemon/http/table.hpp"

namespace gatehouse::http {

// The place of the one heavy export, from the handler to the last byte. 429 where it is taken.
class HeavyExport {
  public:
    explicit HeavyExport(App& app);
    ~HeavyExport();
    HeavyExport(const HeavyExport&) = delete;
    HeavyExport& operator=(const HeavyExport&) = delete;

  private:
    App& app_;
};

// `?lang=`, of every table: zh or zh-CN; absent or en: the names of the fields.
[[nodiscard]] bool wants_chinese(const Request& request);

using About = std::vector<std::pair<std::string, std::string>>;

// As the request wants it: a CSV stream, or a workbook. `heavy` is kept until the last row.
[[nodiscard]] Response table_response(Call& call, const TableSpec& spec,
                                      std::unique_ptr<RowSource> rows,
                                      std::shared_ptr<HeavyExport> heavy = nullptr);
// The same with a short second table, which is the second sheet of a workbook and not in a CSV.
[[nodiscard]] Response table_response(Call& call, const TableSpec& spec,
                                      std::unique_ptr<RowSource> rows, const TableSpec& second,
                                      const std::vector<boost::json::object>& second_items);

// The same as a whole file under the SHA-256 of its bytes, 304 for who has it. `produce` gives the
// rows to what it is called with, and returns what the second sheet says.
using TakeRow = std::function<void(Row&)>;
[[nodiscard]] Response file_response(Call& call, const TableSpec& spec, const std::string& name,
                                     const std::function<About(const TakeRow&)>& produce);

// The request of a list walked to its end: from `after` on, or `limit` rows. The first page is read
// at once, so that what the list refuses is refused as ever.
// `parts` makes the rows of one item, where it is not a row itself.
using ItemParts = std::vector<boost::json::object> (*)(const boost::json::object& item);
[[nodiscard]] std::unique_ptr<RowSource> list_source(Call& call, Handler list,
                                                     const TableSpec& spec,
                                                     ItemParts parts = nullptr);

// What a killed process left in the folder of the books.
void remove_left_exports(const std::string& database_path);

}  // namespace gatehouse::http
