// Tables for people: columns as wide as what stands in them, Chinese characters counted as the two
// columns that they take. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::ctl {

// Columns that the text takes in a terminal.
[[nodiscard]] std::size_t display_width(std::string_view utf8);

class TextTable {
  public:
    enum class Align { left, right };
    void column(std::string heading, Align align = Align::left);
    void row(std::vector<std::string> cells);
    [[nodiscard]] bool empty() const { return rows_.empty(); }
    [[nodiscard]] std::string text() const;  // lines without blanks at their ends

  private:
    std::vector<std::string> headings_;
    std::vector<Align> aligns_;
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace gatehouse::ctl
