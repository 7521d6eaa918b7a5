// The clock book: which wall-clock time a monotonic instant of this run stands for, and whether
// that may be believed (DESIGN.md 8). It decides from what it is told and reads no clock itself.
// Engine thread only.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/time.hpp"

namespace gatehouse {

class ClockBook {
  public:
    enum class Trust { automatic, system, manual };
    // What a look at the clocks led to; the caller logs it and stores the new offset.
    enum class Change { none, trusted, stepped, distrusted };

    // `newest_trusted_ms`: the newest trusted row's time, which the clock may never be below.
    ClockBook(Trust trust, UtcMs build_date_ms, std::optional<UtcMs> newest_trusted_ms,
              std::function<std::optional<bool>()> system_synchronised);

    // Called each turn with both clocks as read in one moment. A step is followed from a
    // millisecond on in which nothing was dated yet: what has a time keeps it.
    Change look(MonoMs mono_ms, UtcMs wall_ms);
    // `gatehousectl clock confirm`: the wall clock is right now, and holds from the next
    // millisecond on where there was another time before. False where it is below the newest
    // trusted row or the build date; reason() then says so.
    [[nodiscard]] bool confirm(MonoMs mono_ms, UtcMs wall_ms);
    // A trusted row was stored at that time.
    void stored(UtcMs at);

    [[nodiscard]] bool trusted() const { return offset_ms_.has_value(); }
    [[nodiscard]] std::int64_t offset_ms() const { return *offset_ms_; }
    // By the offset that held at that instant, as a restart reads it from the store; what came
    // before the clock was trusted is dated back by the first one.
    [[nodiscard]] std::optional<UtcMs> trusted_time(MonoMs mono_ms) const;
    // Since when which offset of this run holds.
    [[nodiscard]] const std::vector<std::pair<MonoMs, std::int64_t>>& steps() const {
        return steps_;
    }
    // mono + offset where trusted, else the wall clock as seen.
    [[nodiscard]] UtcMs time(MonoMs mono_ms, UtcMs wall_ms) const;
    [[nodiscard]] const std::string& reason() const { return reason_; }
    [[nodiscard]] UtcMs floor_ms() const { return floor_ms_; }
    // The time of the newest trusted row; nothing in books that have none.
    [[nodiscard]] std::optional<UtcMs> newest_row_ms() const { return newest_row_ms_; }

  private:
    // Steps smaller than this are the slewing of a synchronised clock and are not worth a row.
    static constexpr std::int64_t kStepMs = 1'000;

    // So many steps of a run are remembered; what lies before them is dated by the oldest kept.
    static constexpr std::size_t kStepsMax = 256;

    [[nodiscard]] bool believable() const;
    void follow(MonoMs mono_ms, std::int64_t offset_ms);

    Trust trust_;
    UtcMs floor_ms_;
    std::optional<UtcMs> newest_row_ms_;
    std::function<std::optional<bool>()> system_synchronised_;
    std::optional<std::int64_t> offset_ms_;
    std::vector<std::pair<MonoMs, std::int64_t>> steps_;
    std::optional<MonoMs> looked_mono_ms_;
    std::optional<std::int64_t> refused_offset_ms_;
    std::string reason_;
};

}  // namespace gatehouse
