// The numberings of the cabinets, as the books have them: which source an event of a push is kept
// under (core/key_numbering decides), and when another numbering begins. Engine thread only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/core/key_numbering.hpp"
#include "daemon/store/key_books.hpp"

namespace gatehouse {

class KeyNumberings {
  public:
    // The books were loaded anew.
    void reset() { cabinets_.clear(); }

    // The source that is counted under now.
    [[nodiscard]] const std::string& current(KeyBooks& books, const std::string& cabinet);
    struct Place {
        std::string source;
        KeptAs kept = KeptAs::nothing;  // there
        bool begins = false;            // a numbering that the books do not know yet
    };
    // `pending`: what the same push brought before, which the books do not have yet. `said`: as the
    // cabinet told it; `resolved`: with the time that the books give it.
    using Pending = std::map<KeyEventId, KeyEvent>;
    [[nodiscard]] Place place(KeyBooks& books, const Pending& pending, const KeyPush& push,
                              const KeyEvent& said, const KeyEvent& resolved);
    // That event goes there; its id names the source already.
    void keep(KeyBooks& books, const KeyPush& push, const Place& place, const KeyEvent& event);

  private:
    struct Cabinet {
        std::vector<Numbering> numberings;
        std::int64_t newest_boot = 0, newest_seq = -1;  // of the one that began last
    };
    Cabinet& cabinet(KeyBooks& books, const std::string& id);

    std::map<std::string, Cabinet> cabinets_;
};

}  // namespace gatehouse
