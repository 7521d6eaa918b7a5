// The heads of the log of ended days on their way to the broker (bridge/seal): each day once, in
// order, the next one only when the one before was acknowledged, so that the newest is the one that
// stays retained and what a crash or an outage left out is known. The publishing thread's.
#pragma once

#include <optional>
#include <string>

#include "daemon/core/time.hpp"
#include "daemon/mqtt/link.hpp"
#include "daemon/mqtt/settings.hpp"
#include "daemon/mqtt/source.hpp"

namespace gatehouse::mqtt {

class SealLine {
  public:
    explicit SealLine(const Settings& settings) : settings_(settings) {}

    // A new connection: what was under way is unknown, and the broker may have nothing.
    void forget();
    // The message whose turn it is; nothing: the broker has them all, one is under way, or it is
    // not time to look. May throw as the source does.
    [[nodiscard]] std::optional<Message> next(Source& source, MonoMs now);
    void handed_over();
    void acknowledged();
    // The newest day that the broker acknowledged; empty: none that this run knows of yet.
    [[nodiscard]] const std::string& told() const { return told_; }

  private:
    const Settings& settings_;
    bool known_ = false;    // what was told before this run
    bool greeted_ = false;  // this connection has heard of a seal
    bool under_way_ = false;
    std::string told_;
    std::optional<SealHead> head_;  // waits for its turn, or is under way
    MonoMs next_look_ = 0;
};

}  // namespace gatehouse::mqtt
