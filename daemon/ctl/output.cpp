#include "daemon/ctl/output.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <iostream>
#include <utility>

namespace gatehouse::ctl {

namespace json = boost::json;

namespace {
const json::object kNoObject;
const json::array kNoArray;

// A refusal is told all the same where it is no problem document.
json::object problem_of(const Answer& answer) {
    try {
        return document(answer);
    } catch (const Unreadable&) {
        return {};
    }
}
}  // namespace

int report(const Options& options, const Answer& answer) {
    const bool bad_input = answer.status == 400 || answer.status == 413 || answer.status == 422;
    if (options.json) {
        const json::object problem = problem_of(answer);
        if (problem.empty())
            return fail(options, bad_input ? kBadInput : kFailed, "unreadable",
                        "HTTP " + std::to_string(answer.status) + ", and no problem document");
        std::cerr << answer.body << "\n";
    } else {
        const json::object problem = problem_of(answer);
        const std::string detail = text(problem, "detail");
        std::cerr << "gatehousectl: "
                  << (detail.empty() ? "HTTP " + std::to_string(answer.status) : detail) << "\n";
        for (const json::value& error : list(problem, "errors")) {
            if (!error.is_object()) continue;
            const std::string place = text(error.get_object(), "pointer");
            std::cerr << "  " << place << (place.empty() ? "" : ": ")
                      << text(error.get_object(), "detail") << "\n";
        }
    }
    return bad_input ? kBadInput : kFailed;
}

int fail(const Options& options, int code, std::string_view type, const std::string& detail) {
    if (options.json) {
        json::object problem;
        problem["type"] = "urn:gatehouse:problem:" + std::string(type);
        problem["title"] = code == kBadInput ? "Not accepted" : "Failed";
        problem["detail"] = detail;
        std::cerr << json::serialize(problem) << "\n";
    } else {
        std::cerr << "gatehousectl: " << detail << "\n";
    }
    return code;
}

json::object document(const Answer& answer) {
    boost::system::error_code error;
    json::value value = json::parse(answer.body, error);
    if (error || !value.is_object()) {
        throw Unreadable("the daemon's answer (HTTP " + std::to_string(answer.status) + ", " +
                         std::to_string(answer.body.size()) + " bytes) cannot be read: " +
                         (error ? error.message() : std::string("it is no JSON object")) +
                         "; is the program of another version than the daemon?");
    }
    return std::move(value.get_object());
}

std::string text(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains({name.data(), name.size()});
    if (value == nullptr || value->is_null()) return {};
    if (value->is_string()) {
        const json::string& string = value->get_string();
        return {string.data(), string.size()};
    }
    return json::serialize(*value);
}

bool truth(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains({name.data(), name.size()});
    return value != nullptr && value->is_bool() && value->get_bool();
}

const json::object& member(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains({name.data(), name.size()});
    return value != nullptr && value->is_object() ? value->get_object() : kNoObject;
}

const json::array& list(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains({name.data(), name.size()});
    return value != nullptr && value->is_array() ? value->get_array() : kNoArray;
}

BodyBuilder& BodyBuilder::field(std::string_view name, const std::string& value) {
    if (!value.empty()) object[{name.data(), name.size()}] = value;
    return *this;
}

std::string BodyBuilder::take() const {
    return json::serialize(object);
}

Listing all_items(const Options& options, const std::string& path, const std::string& query) {
    Listing listing;
    std::string after;
    for (bool more = true; more;) {
        std::string target = path + "?limit=1000" + query;
        if (!after.empty()) target += "&after=" + encode(after);
        Answer answer = call(options.socket_path, "GET", target);
        if (!answer.ok()) {
            listing.failed = std::move(answer);
            return listing;
        }
        const json::object page = document(answer);
        if (!page.contains("items"))
            throw Unreadable("the daemon's answer to " + path + " is no list; is the program of " +
                             "another version than the daemon?");
        for (const json::value& item : list(page, "items")) listing.items.push_back(item);
        const std::string next = text(page, "next");
        more = truth(page, "has_more") && !next.empty() && next != after;
        after = next;
    }
    return listing;
}

int print_items(const Listing& listing) {
    json::object whole;
    whole["items"] = listing.items;
    whole["next"] = nullptr;
    whole["has_more"] = false;
    std::cout << json::serialize(whole) << "\n";
    return kDone;
}

int print_document(const Answer& answer) {
    static_cast<void>(document(answer));
    std::cout << answer.body << "\n";
    return kDone;
}

}  // namespace gatehouse::ctl
