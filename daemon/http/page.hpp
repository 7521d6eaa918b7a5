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

enum class Paper {
    a4,
    a4_landscape,  // of the wide registers, in small type
    a5,
};

class Page {
  public:
    Page(bool chinese, std::string_view site_name, std::string_view title, Paper paper = Paper::a4);
    // Another sheet with the same head, as of a second copy.
    void next_sheet(std::string_view title);

    [[nodiscard]] const char* word(Words words) const {
        return chinese_ ? words.chinese : words.english;
    }
    [[nodiscard]] bool chinese() const { return chinese_; }
    void heading(std::string_view text);
    void paragraph(std::string_view text);
    // Two columns, a name and what it is; rows without a value are left out.
    void facts(const std::vector<std::pair<Words, std::string>>& rows);
    // A table with a row of headings, which stand on each sheet; `sums` end it, on the last alone.
    struct Column {
        Words heading;
        bool number = false;  // set to the right
        bool sign = false;    // wide enough for a signature
    };
    void table(const std::vector<Column>& columns,
               const std::vector<std::vector<std::string>>& rows,
               const std::vector<std::string>& sums = {});
    void signatures(const std::vector<Words>& names);
    [[nodiscard]] std::string take();
    // The page as an answer.
    [[nodiscard]] Response response() { return {200, take(), "text/html; charset=utf-8", {}}; }

  private:
    void head(std::string_view title);

    bool chinese_;
    std::string site_, text_;
};

}  // namespace gatehouse::http
