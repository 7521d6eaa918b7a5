// One cabinet on its line: asks what its board wants, asks again what failed, and says when the
// cabinet is there and when it is not. The line's quiet after a lost reply is decided here as well.
// It has no thread and no socket (cabinet_service.hpp carries out). Pure; the cabinet's bus thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "drivers/cabinet/board.hpp"
#include "drivers/modbus/link.hpp"

namespace gatehouse::cabinet {

// Since the start.
struct CabinetCounts {
    std::uint64_t exchanges = 0, timeouts = 0, checksums = 0, foreign_frames = 0, refused = 0;
    std::uint64_t unsolicited_bytes = 0;  // nobody had asked for them
    std::uint64_t pushes = 0, events = 0;
};
struct CabinetStatus {
    std::string cabinet;
    bool online = false;
    std::string reason;                   // why not
    std::optional<std::int64_t> skew_ms;  // its clock before ours
    CabinetCounts counts;
};

struct PollerSettings {
    std::string cabinet;
    int address = 1;
    std::int64_t poll_interval_ms = 250, response_timeout_ms = 500;
    bool numbered = true;  // the transport tells a late reply from the awaited one
};

struct PollerAction {
    enum class Kind { wait, read, write, listen, hand };
    Kind kind = Kind::wait;
    MonoMs until = 0;            // wait
    modbus::Request request;     // read; listen: whose reply is owed
    modbus::WriteRequest write;  // write
    std::int64_t for_ms = 0;     // listen
    KeyPush push;                // hand
    std::uint64_t ticket = 0;    // hand: committed() tells it back
};

class CabinetPoller {
  public:
    CabinetPoller(PollerSettings settings, std::unique_ptr<Board> board);

    [[nodiscard]] PollerAction next(const Moment& now);
    void ended(const modbus::Reply& reply, const Moment& now);
    void heard(std::size_t bytes);  // that nobody had asked for, listening included
    // A ticket that is not awaited any more changes nothing.
    void committed(std::uint64_t ticket, bool kept, const Moment& now);
    // There is no connection: counts as a poll that failed.
    void unreachable(const std::string& reason, const Moment& now);
    // Why its clock cannot be set now; empty: it can.
    [[nodiscard]] std::string clock_problem() const;
    // An order to set the cabinet's clock to the monotonic one and that offset. Empty, or why it
    // cannot be carried out.
    [[nodiscard]] std::string set_clock(std::int64_t offset_ms, const Moment& now);
    // What came of it, once and in time, whatever the cabinet does.
    [[nodiscard]] std::optional<ClockOutcome> clock_outcome(const Moment& now);

    // What somebody must hear of, once; nothing mostly.
    [[nodiscard]] std::optional<CabinetSeen> seen(const Moment& now);
    [[nodiscard]] const CabinetStatus& status() const { return status_; }
    [[nodiscard]] const std::string& cabinet() const { return settings_.cabinet; }

  private:
    void count(PollResult result);
    void poll_failed(const std::string& reason, const Moment& now);
    void answered(const BoardReply& reply, const Moment& now);

    const PollerSettings settings_;
    std::unique_ptr<Board> board_;
    CabinetStatus status_;
    BoardAsk ask_;         // under way
    bool asking_ = false;  // it goes out again, or is awaited
    bool guard_ = false;   // a reply is owed: quiet first
    int attempts_ = 0;
    int failed_polls_ = 0;
    MonoMs rest_until_ = 0;
    std::uint64_t ticket_ = 0;
    bool handed_ = false;
    MonoMs handed_at_ = 0;
    std::optional<MonoMs> clock_until_;  // an order to set its clock is under way
    bool told_ = false, told_online_ = false;
    std::string told_reason_;
    std::int64_t told_skew_ms_ = 0;
    MonoMs told_at_ = 0;
};

}  // namespace gatehouse::cabinet
