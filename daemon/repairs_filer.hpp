// Files the months of repairs by itself, on the third day after each: reads beside the engine,
// which only commits what was read. One thread at a time.
#pragma once

#include <string>

#include "daemon/engine/engine.hpp"

namespace gatehouse {

class RepairsFiler {
  public:
    RepairsFiler(Engine& engine, std::string database_path, std::string currency, const Zone& zone)
        : engine_(engine),
          path_(std::move(database_path)),
          currency_(std::move(currency)),
          zone_(zone) {}
    // Now and then; looks when a local day begins, and every ten minutes. False: a month was there
    // and not taken.
    bool look(MonoMs now);

  private:
    bool file(const Snapshot& snapshot);

    Engine& engine_;
    const std::string path_, currency_;
    const Zone& zone_;
    MonoMs due_ = 0;
    LocalDate looked_on_{};
};

}  // namespace gatehouse
