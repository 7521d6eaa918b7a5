// What verbs share: asking a route, printing its document or its problem, walking a list, and
// taking fields out of a document. Throws Unreachable; one thread.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/ctl/client.hpp"
#include "daemon/ctl/verbs.hpp"

namespace gatehouse::ctl {

// Prints the problem (as JSON under --json) on standard error and returns the exit code.
int report(const Options& options, const Answer& answer);

// The same for what never reached a route: `type` as of a problem, `detail` with the remedy.
int fail(const Options& options, int code, std::string_view type, const std::string& detail);

// An answer came that is no JSON object; what() is one line for a person.
struct Unreadable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The document of an answer. Throws Unreadable: nothing is taken for an empty list.
[[nodiscard]] boost::json::object document(const Answer& answer);

// A field as text: strings as they stand, numbers in digits, absent and null empty.
[[nodiscard]] std::string text(const boost::json::object& object, std::string_view name);
[[nodiscard]] bool truth(const boost::json::object& object, std::string_view name);
[[nodiscard]] const boost::json::object& member(const boost::json::object& object,
                                                std::string_view name);
[[nodiscard]] const boost::json::array& list(const boost::json::object& object,
                                             std::string_view name);

// A JSON body of the fields that are not empty.
class BodyBuilder {
  public:
    BodyBuilder& field(std::string_view name, const std::string& value);
    boost::json::object object;
    [[nodiscard]] std::string take() const;
};

// All pages of a list as one: under --json one document with every item.
struct Listing {
    Answer failed;  // status 0: none
    boost::json::array items;
};
[[nodiscard]] Listing all_items(const Options& options, const std::string& path,
                                const std::string& query = {});
int print_items(const Listing& listing);  // the document of a list

int print_document(const Answer& answer);

}  // namespace gatehouse::ctl
