// A page that a browser prints: frame, headings and tables, in the site's language. Every text of
// people's is escaped; nothing on the page runs or is fetched. One thread an object.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/http/message.hpp"

namespace gatehouse::http {

struct Words {
    const char *english, *chinese;
};

class Page {
  public:
    Page(bool chinese, std::string_view site_name, std::string_view title);

    [[nodiscard]] const char* word(Words words) const {
        return chinese_ ? words.chinese : words.english;
    }
    void heading(std::string_view text);
    void paragraph(std::string_view text);
    // Two columns, a name and what it is; rows without a value are left out.
    void facts(const std::vector<std::pair<Words, std::string>>& rows);
    // A table with a row of headings; its last row may hold sums.
    struct Column {
        Words heading;
        bool number = false;  // set to the right
    };
    void table(const std::vector<Column>& columns,
               const std::vector<std::vector<std::string>>& rows,
               const std::vector<std::string>& sums = {});
    void signatures(const std::vector<Words>& names);
    [[nodiscard]] std::string take();
    // The page as an answer.
    [[nodiscard]] Response response() { return {200, take(), "text/html; charset=utf-8", {}}; }

  private:
    bool chinese_;
    std::string text_;
};

}  // namespace gatehouse::http
