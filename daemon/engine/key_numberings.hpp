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
        std::int64_t boot = 0;          // under which it is kept: another one, where told before
        KeptAs kept = KeptAs::nothing;  // there
        bool begins = false;            // a numbering that the books do not know yet
        bool wraps = false;             // since the numbers of the one before were at their end
        // As far as the books have what a cabinet that goes on counting has told; -1: nothing.
        std::int64_t kept_through = -1;
    };
    // `pending`: what the same push brought before, which the books do not have yet. `said`: as the
    // cabinet told it; `resolved`: with the time that the books give it.
    using Pending = std::map<KeyEventId, KeyEvent>;
    [[nodiscard]] Place place(KeyBooks& books, const Pending& pending, const KeyPush& push,
                              const KeyEvent& said, const KeyEvent& resolved);
    // That event goes there; its id names the source already.
    void keep(KeyBooks& books, const KeyPush& push, const Place& place, const KeyEvent& event);

  private:
    using Newest = std::map<std::int64_t, std::int64_t>;  // by boot
    struct Cabinet {
        std::vector<Numbering> numberings;
        std::vector<Newest> newest;  // of each of them
    };
    Cabinet& cabinet(KeyBooks& books, const std::string& id);
    [[nodiscard]] static std::size_t pushed_to(const Cabinet& known, const std::vector<Kept>& kept,
                                               const Pending& pending, const KeyPush& push,
                                               const KeyEvent& said, const KeyEvent& resolved);

    std::map<std::string, Cabinet> cabinets_;
};

}  // namespace gatehouse
