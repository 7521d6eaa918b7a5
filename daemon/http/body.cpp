#include "daemon/http/body.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <sstream>
#include <utility>

#include "daemon/core/text.hpp"
#include "daemon/engine/json_pointer.hpp"
#include "daemon/http/message.hpp"
#include "daemon/http/routes.hpp"

namespace gatehouse::http {

namespace json = boost::json;

namespace {

// How many members the text of an object has at its top level. Boost.JSON keeps the last of two
// with one name, and a body that tells two amounts tells none.
std::size_t members_told(std::string_view text) {
    std::size_t members = 0;
    int depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quoted) {
            i += c == '\\' ? 1 : 0;
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            ++depth;
        } else if (c == '}' || c == ']') {
            --depth;
        } else if (c == ':' && depth == 1) {
            ++members;
        }
    }
    return members;
}

}  // namespace

Body::Body(std::string_view text, std::size_t depth) {
    if (text.empty()) return;
    json::parse_options options;
    options.max_depth = depth;
    boost::system::error_code error;
    json::value value = json::parse({text.data(), text.size()}, error, {}, options);
    if (error == json::error::too_deep) {
        throw Refused{problem(400, "json-depth",
                              "The body nests deeper than " + std::to_string(depth) + " levels.")};
    }
    if (error) {
        throw Refused{problem(
            400, "json",
            "The body is no JSON (" + error.message() + "). Send one JSON object in UTF-8.")};
    }
    if (!value.is_object()) {
        throw Refused{problem(400, "json", "The body is no JSON object. Send {...}.")};
    }
    object_ = std::move(value.get_object());
    if (members_told(text) != object_.size()) {
        throw Refused{problem(400, "json", "The body has a member twice. Send each once.")};
    }
}

void Body::wrong(std::string pointer, std::string message) {
    errors_.push_back({std::move(pointer), std::move(message)});
}

const json::value* Body::find(std::string_view name, bool required) {
    known_.emplace_back(name);
    const json::value* value = object_.if_contains({name.data(), name.size()});
    if (value == nullptr && required) wrong("/" + std::string(name), "is missing");
    return value;
}

std::string Body::checked_text(const json::value& value, const std::string& pointer) {
    if (!value.is_string()) {
        wrong(pointer, "is to be a string");
        return {};
    }
    const json::string& text = value.get_string();
    if (text.size() > kTextMax) {
        wrong(pointer, "is longer than " + std::to_string(kTextMax) + " bytes");
        return {};
    }
    if (has_unprintable({text.data(), text.size()})) {
        wrong(pointer, "has a character in it that cannot be printed");
        return {};
    }
    return {text.data(), text.size()};
}

std::string Body::text(std::string_view name) {
    const json::value* value = find(name, /*required=*/false);
    if (value == nullptr || value->is_null()) return {};
    return checked_text(*value, "/" + std::string(name));
}

std::string Body::required_text(std::string_view name) {
    const json::value* value = find(name, /*required=*/true);
    if (value == nullptr) return {};
    const std::size_t before = errors_.size();
    std::string result = checked_text(*value, "/" + std::string(name));
    if (result.empty() && errors_.size() == before) wrong("/" + std::string(name), "is empty");
    return result;
}

std::string Body::required_decimal(std::string_view name) {
    const json::value* value = find(name, /*required=*/true);
    if (value == nullptr) return {};
    if (value->is_number()) {
        wrong("/" + std::string(name),
              "is a JSON number, which programs round; write it as a string: \"100.00\"");
        return {};
    }
    return checked_text(*value, "/" + std::string(name));
}

std::string Body::number_text(std::string_view name) {
    const json::value* value = find(name, /*required=*/false);
    if (value == nullptr || value->is_null()) return {};
    if (value->is_int64()) return std::to_string(value->get_int64());
    const std::string pointer = "/" + std::string(name);
    std::string number = checked_text(*value, pointer);
    const std::size_t digits = number.starts_with('-') ? 1 : 0;
    const bool whole = number.size() > digits && number.size() <= digits + 18 &&
                       number.find_first_not_of("0123456789", digits) == std::string::npos;
    if (whole || number.empty()) return number;
    wrong(pointer, "`" + std::string(truncate_utf8(number, 32)) + "` is to be a whole number");
    return {};
}

std::optional<std::int64_t> Body::integer(std::string_view name, std::int64_t least,
                                          std::int64_t most) {
    const json::value* value = find(name, /*required=*/false);
    if (value == nullptr || value->is_null()) return std::nullopt;
    const bool fits =
        value->is_int64() && value->get_int64() >= least && value->get_int64() <= most;
    if (fits) return value->get_int64();
    wrong("/" + std::string(name),
          "is to be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    return std::nullopt;
}

bool Body::flag(std::string_view name) {
    const json::value* value = find(name, /*required=*/false);
    if (value == nullptr || value->is_null()) return false;
    if (value->is_bool()) return value->get_bool();
    wrong("/" + std::string(name), "is to be true or false");
    return false;
}

std::vector<std::string> Body::required_texts(std::string_view name, bool commas) {
    const json::value* value = find(name, /*required=*/true);
    if (value == nullptr) return {};
    const std::string pointer = "/" + std::string(name);
    if (commas && value->is_string() && !value->get_string().empty()) {
        std::vector<std::string> parts;
        std::istringstream text(checked_text(*value, pointer));
        for (std::string part; std::getline(text, part, ',');) parts.push_back(part);
        return parts;
    }
    if (!value->is_array() || value->get_array().empty() || value->get_array().size() > kListMax) {
        wrong(pointer, "is to be a list of 1 to " + std::to_string(kListMax) + " strings");
        return {};
    }
    std::vector<std::string> result;
    for (std::size_t i = 0; i < value->get_array().size(); ++i) {
        result.push_back(checked_text(value->get_array()[i], pointer + "/" + std::to_string(i)));
    }
    return result;
}

std::vector<std::pair<std::string, std::string>> Body::required_map(std::string_view name) {
    const json::value* value = find(name, /*required=*/true);
    if (value == nullptr) return {};
    const std::string pointer = "/" + std::string(name);
    if (!value->is_object() || value->get_object().empty() ||
        value->get_object().size() > kMapMax) {
        wrong(pointer, "is to be an object of 1 to " + std::to_string(kMapMax) + " members");
        return {};
    }
    std::vector<std::pair<std::string, std::string>> result;
    for (const auto& member : value->get_object()) {
        const std::string key = member.key();
        if (!member.value().is_string()) {
            wrong(pointer + "/" + pointer_part(key), "is to be a string");
            continue;
        }
        const json::string& text = member.value().get_string();
        result.emplace_back(key, std::string(text.data(), text.size()));
    }
    return result;
}

void Body::finish() {
    std::string allowed;
    for (const std::string& name : known_) {
        allowed += allowed.empty() ? name : ", " + name;
    }
    for (const auto& member : object_) {
        const std::string key = member.key();
        if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
        wrong("/" + pointer_part(key), allowed.empty()
                                           ? "is not known; this route takes no fields"
                                           : "is not known; this route takes " + allowed);
    }
    if (errors_.empty()) return;
    std::string detail = errors_.front().pointer + " " + errors_.front().message + ".";
    if (errors_.size() > 1) {
        detail += " " + std::to_string(errors_.size() - 1) + " more in errors.";
    }
    throw Refused{problem(422, "invalid", detail, errors_)};
}

std::string by_of(const Call& call, Body& body) {
    if (call.person.empty()) return body.required_text("by");
    const std::string by = body.text("by");
    if (!by.empty() && by != call.person)
        body.wrong("/by",
                   "you are logged in as " + call.person + "; leave it out, or log in as " + by);
    return call.person;
}

}  // namespace gatehouse::http
