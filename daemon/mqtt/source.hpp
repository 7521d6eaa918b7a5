// Where the publisher gets what it publishes: the seam between it and the engine with its store,
// so that it can be tried without either. It holds no state of the connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/engine/snapshot.hpp"

namespace gatehouse::mqtt {

// One row of the event log as far as the publisher needs it.
struct LogRow {
    std::uint64_t seq = 0;
    std::string kind;                 // "alert.raised"
    std::optional<std::string> body;  // nothing: removed (erasure, retention)
};

// The head of the event log when a local day ended.
struct SealHead {
    std::string date;  // 2026-11-23
    std::uint64_t seq = 0;
    std::string h;  // hex
};

// Called on the publishing thread alone.
// Calls that read the store may throw std::exception; the publisher says so in its status and
// asks again.
class Source {
  public:
    virtual ~Source() = default;
    [[nodiscard]] virtual std::shared_ptr<const Snapshot> snapshot() = 0;
    // Up to `limit` committed rows with a greater seq, in order.
    [[nodiscard]] virtual std::vector<LogRow> events_after(std::uint64_t seq,
                                                           std::size_t limit) = 0;
    // The newest day that has ended; nothing before the first.
    [[nodiscard]] virtual std::optional<SealHead> newest_seal() = 0;
    // The first day after that one that has ended, a year back at most; nothing: there is none yet.
    [[nodiscard]] virtual std::optional<SealHead> seal_after(const std::string& day) = 0;
    // The newest day whose seal was acknowledged, as it is durable; empty: none.
    [[nodiscard]] virtual std::string seal_told() = 0;
    // Makes the cursor durable soon, and the newest day whose seal was acknowledged. False: not
    // taken now; the publisher asks again.
    virtual bool advance_cursor(std::uint64_t seq, const std::string& sealed) = 0;
    // What a cabinet pushed. `answer` is called once, from any thread, after the commit, with what
    // its ack topic says; empty: it was not taken, and the cabinet pushes again.
    virtual void take_push(const std::string& cabinet, const std::string& body,
                           std::function<void(std::string)> answer) {
        static_cast<void>(cabinet), static_cast<void>(body);
        answer("");
    }
    [[nodiscard]] virtual std::optional<std::uint64_t> disk_free_bytes() = 0;
};

}  // namespace gatehouse::mqtt
