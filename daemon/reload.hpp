// SIGHUP: the configuration is read again and taken whole or not at all. What stands in force now
// is shared from here with the parts that look things up in it. LiveConfig: any thread; reload():
// the main thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/engine/engine.hpp"
#include "daemon/http/server.hpp"

namespace gatehouse {

class LiveConfig {
  public:
    explicit LiveConfig(config::Config config)
        : now_(std::make_shared<const config::Config>(std::move(config))) {}
    [[nodiscard]] std::shared_ptr<const config::Config> now() const {
        const std::lock_guard lock(mutex_);
        return now_;
    }
    void set(std::shared_ptr<const config::Config> config) {
        const std::lock_guard lock(mutex_);
        now_ = std::move(config);
    }

  private:
    mutable std::mutex mutex_;
    std::shared_ptr<const config::Config> now_;
};

struct Reloaded {
    bool taken = false;
    std::string refused;             // one line for a person; empty where it was taken
    std::vector<std::string> lines;  // what changed, or why nothing did; ready for the journal
};
[[nodiscard]] Reloaded reload(LiveConfig& live, Engine& engine, http::Server& server);

}  // namespace gatehouse
