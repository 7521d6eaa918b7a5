// One request to the running daemon over its Unix socket, and the answer. It knows HTTP and no
// route. Blocking; one thread.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::ctl {

// The daemon cannot be reached; what() is one line for a person with the remedy.
struct Unreachable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Answer {
    int status = 0;
    std::string body;
    [[nodiscard]] bool ok() const { return status >= 200 && status < 300; }
};

using Headers = std::vector<std::pair<std::string, std::string>>;

// How long every answer is waited for from now on; without it each route has its own time.
void wait_at_most(int seconds);

// target: path and query, encoded. Throws Unreachable.
[[nodiscard]] Answer call(const std::string& socket_path, std::string_view method,
                          const std::string& target, const std::string& body = {},
                          const Headers& headers = {});

// One segment of a path or one value of a query.
[[nodiscard]] std::string encode(std::string_view text);

}  // namespace gatehouse::ctl
