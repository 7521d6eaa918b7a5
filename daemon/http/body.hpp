// A JSON body read strictly: every field is asked for by name, what was not asked for is refused,
// and everything wrong is told at once. Handlers alone; one thread.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/engine/engine.hpp"

namespace gatehouse::http {

class Body {
  public:
    // Throws Refused with 400 where the text is no JSON object or nests deeper than `depth`.
    // An empty text is an empty object.
    Body(std::string_view text, std::size_t depth);

    // Text of at most kTextMax bytes without control characters; empty where absent.
    std::string text(std::string_view name);
    std::string required_text(std::string_view name);
    // A decimal in a string; a JSON number is refused with the remedy. Its value is not judged.
    std::string required_decimal(std::string_view name);
    // A whole number, as a JSON number or as text; empty where absent. Its range is not judged.
    std::string number_text(std::string_view name);
    // A whole number in those bounds; nothing where absent or wrong.
    std::optional<std::int64_t> integer(std::string_view name, std::int64_t least,
                                        std::int64_t most);
    bool flag(std::string_view name);  // absent: false
    // With commas allowed, one string with commas between is such a list too.
    std::vector<std::string> required_texts(std::string_view name, bool commas = false);
    // Members are texts of any length, such as files in base64.
    std::vector<std::pair<std::string, std::string>> required_map(std::string_view name);

    [[nodiscard]] bool has(std::string_view name) const { return object_.contains(name); }
    void wrong(std::string pointer, std::string message);
    // Throws Refused with 422 where anything above was wrong or a field was not asked for.
    void finish();

    static constexpr std::size_t kTextMax = 1000;
    static constexpr std::size_t kListMax = 64;
    static constexpr std::size_t kMapMax = 512;

  private:
    const boost::json::value* find(std::string_view name, bool required);
    std::string checked_text(const boost::json::value& value, const std::string& pointer);

    boost::json::object object_;
    std::vector<std::string> known_;
    std::vector<FieldError> errors_;
};

struct Call;
// Who does it: whoever is logged in, and nobody else in his name; else the staff that `by` names.
[[nodiscard]] std::string by_of(const Call& call, Body& body);

// Who does it and who agreed, and as whom both are known to the engine. Of somebody who is logged
// in the second person is proved too: by the code that he was shown in a session of his own.
struct Signed {
    std::string by, second, actor;
};
[[nodiscard]] Signed two_of(Call& call, Body& body);

}  // namespace gatehouse::http
