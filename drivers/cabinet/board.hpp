// A board as its poller sees it: a step machine that says what it wants next on the wire and what
// it has to hand upwards. It knows no thread, no retry and no line. The bus thread of the cabinet,
// one call at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/key_custody.hpp"
#include "daemon/core/poll_plan.hpp"

namespace gatehouse::cabinet {

struct Moment {
    MonoMs mono_ms = 0;
    UtcMs wall_ms = 0;
};
// Of what the box itself saw of a board that keeps a log (key_custody.hpp); its boot is the run.
[[nodiscard]] inline std::string box_source(const std::string& cabinet) {
    return cabinet + kBoxSuffix;
}
inline constexpr std::size_t kPushMax = 256;  // events in one push

struct BoardAsk {
    enum class Kind { wait, read, write, hand };
    Kind kind = Kind::wait;
    MonoMs until = 0;                  // wait
    RegisterSpan span;                 // read
    int first = 0;                     // write: several registers from here on
    std::vector<std::uint16_t> words;  // write
    KeyPush push;                      // hand; committed() follows
};

// What came of setting a cabinet's clock. Its clock before ours, where it had a time.
struct ClockOutcome {
    bool done = false;  // read back, and right
    std::optional<std::int64_t> before_ms, after_ms;
    std::string reason;  // where it is not done
};

// What came of a read or a write: words, or the board's own refusal.
struct BoardReply {
    std::vector<std::uint16_t> words;
    int exception = 0;
};

class Board {
  public:
    virtual ~Board() = default;
    [[nodiscard]] virtual BoardAsk next(const Moment& now) = 0;
    // Of the exchange that next() asked for. Empty, or why this poll is no good.
    [[nodiscard]] virtual std::string answered(const BoardReply& reply, const Moment& now) = 0;
    // The exchange came to nothing, its repetitions included: this poll is over.
    virtual void failed(const Moment& now) = 0;
    // It was away, or may have been: what hangs there is to be looked at anew.
    virtual void was_away() = 0;
    // Of the push that was handed last. False: nothing of it was kept; it is handed again.
    virtual void committed(bool kept, const Moment& now) = 0;
    // Its clock beside ours, where it has one and it was set.
    [[nodiscard]] virtual std::optional<std::int64_t> skew_ms() const { return std::nullopt; }
    [[nodiscard]] virtual bool has_clock() const { return false; }
    // Its clock is to be set to the monotonic clock and that offset, at the next opportunity.
    virtual void set_clock(std::int64_t offset_ms) { static_cast<void>(offset_ms); }
    // What came of that, once.
    [[nodiscard]] virtual std::optional<ClockOutcome> clock_outcome() { return std::nullopt; }
    // It is not waited for any more, and must not be set later.
    virtual void cancel_clock() {}
};

}  // namespace gatehouse::cabinet
