// Query parameters, lists and the few checks that handlers share. Throws Refused. One thread a
// call.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/engine/json_writer.hpp"
#include "daemon/http/routes.hpp"

namespace gatehouse::http {

inline constexpr std::uint64_t kLimitDefault = 100;
inline constexpr std::uint64_t kLimitMax = 1000;

// Like Body: what is not asked for is refused, so that a misspelt filter never widens an answer.
class Query {
  public:
    explicit Query(const Request& request) : request_(request) {}

    [[nodiscard]] std::optional<std::string> text(std::string_view name);
    [[nodiscard]] std::uint64_t number(std::string_view name, std::uint64_t fallback,
                                       std::uint64_t least, std::uint64_t most);
    [[nodiscard]] std::uint64_t limit() { return number("limit", kLimitDefault, 1, kLimitMax); }
    [[nodiscard]] std::uint64_t after_seq();
    [[nodiscard]] bool flag(std::string_view name);  // absent, 0, false: no; empty, 1, true: yes
    [[nodiscard]] std::optional<UtcMs> time(std::string_view name, const Zone& zone);
    // Where a report ends: a date alone is its last day, and the end is that day's.
    [[nodiscard]] std::optional<UtcMs> through(std::string_view name, const Zone& zone);
    void finish();  // 400 where a parameter was not asked for

  private:
    const Request& request_;
    std::vector<std::string> known_;
};

// Throws Refused where it is none that headings are written in.
void check_language(const std::string& lang);

// `{"items":[...],"next":...,"has_more":...}` around items that are JSON already.
class ListWriter {
  public:
    ListWriter() { json_.begin_object().key("items").begin_array(); }
    void item(std::string_view json) { json_.raw(json), ++count_; }
    [[nodiscard]] std::size_t count() const { return count_; }
    // Ends the items; further fields may be written before finish().
    JsonWriter& end_items() { return json_.end_array(); }
    template <class Cursor>
    [[nodiscard]] Response finish(const Cursor& next, bool has_more) {
        json_.field("next", next).field("has_more", has_more).end_object();
        return json_response(json_.take());
    }

  private:
    JsonWriter json_;
    std::size_t count_ = 0;
};

// Rows of the snapshot: from behind `after` on, those that `wanted` keeps, `limit` at most.
template <class Rows, class Id, class Wanted, class Write>
[[nodiscard]] Response list_rows(const Rows& rows, Query& query, Id id, Wanted wanted,
                                 Write write) {
    const std::uint64_t limit = query.limit();
    const std::string after = query.text("after").value_or("");
    query.finish();
    ListWriter list;
    std::string next = after;
    bool has_more = false;
    bool past = after.empty();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (!past) {
            past = id(rows[i]) == after;
            continue;
        }
        if (!wanted(rows[i])) continue;
        if (list.count() == limit) {
            has_more = true;
            break;
        }
        list.item(write(rows[i]));
        next = id(rows[i]);
    }
    if (!past) {
        throw Refused{problem(400, "cursor",
                              "after=" + after + " names no row of this list; start without it.")};
    }
    list.end_items();
    return next.empty() ? list.finish(std::optional<std::string>(), has_more)
                        : list.finish(next, has_more);
}

// The row of the snapshot with that id, or 404 with the word of what it is.
template <class Row, class Field>
[[nodiscard]] const Row& find_row(const Table<Row>& rows, const std::string& id, Field field,
                                  const char* what) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (std::invoke(field, rows[i]) == id) return rows[i];
    }
    throw Refused{problem(404, "not-found",
                          "No " + std::string(what) + " " + id + " stands in the registry.")};
}

// Hands a command to the engine; its reply becomes the answer. 503 where it is not taken.
void submit(Call& call, Command command, Respond respond);

// The same for a handler that goes on after it: waits, and throws Refused where it was not done.
void ask_engine(Call& call, Command command);

}  // namespace gatehouse::http
