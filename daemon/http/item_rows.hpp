// Rows of a table from items that were read already. One thread an object.
#pragma once

#include <boost/json/object.hpp>
#include <utility>
#include <vector>

#include "daemon/http/table.hpp"

namespace gatehouse::http {

class ItemRows final : public RowSource {
  public:
    ItemRows(const TableSpec& spec, std::vector<boost::json::object> items)
        : spec_(spec), items_(std::move(items)) {}
    bool next(Row& row) override {
        if (at_ == items_.size()) return false;
        fill_row(items_[at_++], spec_, row);
        return true;
    }

  private:
    const TableSpec& spec_;
    std::vector<boost::json::object> items_;
    std::size_t at_ = 0;
};

}  // namespace gatehouse::http
