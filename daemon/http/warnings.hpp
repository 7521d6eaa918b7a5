// What people should see to that stands in no book: a StatusSource that knows of such things is
// this as well, and GET /status asks it.
#pragma once

#include <string>
#include <vector>

namespace gatehouse::http {

class Warnings {
  public:
    virtual ~Warnings() = default;
    // One line each. Any thread; must not block.
    [[nodiscard]] virtual std::vector<std::string> warnings() const = 0;
};

}  // namespace gatehouse::http
