// The space desk: looks at the disk of the books once a second, and gives the reserve up or takes
// it again as core/space decides. It says what a full disk refuses. Engine thread only.
#pragma once

#include <functional>
#include <string>

#include "daemon/engine/world.hpp"

namespace gatehouse {

class SpaceDesk {
  public:
    // `commit` commits the open batch: the reserve is given up outside of one. `say` writes one
    // line for the journal.
    SpaceDesk(Context& context, std::function<void()> commit,
              std::function<void(const std::string&)> say);

    // Looks again where a second has passed. Throws StoreError where the open batch fails.
    void look();
    // A write has just failed and was rolled back. True: it wanted space, the reserve was held and
    // is given up, so the next batch has room.
    [[nodiscard]] bool give_up(const StoreError& error);
    // Logs what moved, in the open batch.
    void log();

    // False: with a full disk this command is refused. A receipt that was given already is given
    // again, whatever the disk says.
    [[nodiscard]] bool fits(const Command& command) const;

  private:
    void move(bool write_failed);

    Context& context_;
    std::function<void()> commit_;
    std::function<void(const std::string&)> say_;
    std::optional<MonoMs> looked_mono_ms_;
    bool moved_ = false;
};

// One line for a person; empty where there is plenty.
[[nodiscard]] std::string space_reason(SpaceState state);
[[nodiscard]] Reply disk_full();  // 503

}  // namespace gatehouse
