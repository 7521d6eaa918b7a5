// The poll plan of one bus: which meter is due next (earliest deadline first, an urgent lane before
// it), and which blocks of registers of one meter cost the least time on the wire. It does not read
// anything and knows no profile. Pure; owned by the bus thread through its BusMachine.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/time.hpp"

namespace gatehouse {

// The four Modbus tables; the number is the function code that reads them.
enum class RegisterTable { coils = 1, discrete_inputs = 2, holding = 3, input = 4 };

// `count` registers (or bits, in the first two tables) from `first` on; addresses as on the wire.
struct RegisterSpan {
    RegisterTable table = RegisterTable::holding;
    int first = 0;
    int count = 0;
    [[nodiscard]] int end() const { return first + count; }
    [[nodiscard]] bool contains(const RegisterSpan& other) const {
        return table == other.table && first <= other.first && other.end() <= end();
    }
    friend auto operator<=>(const RegisterSpan&, const RegisterSpan&) = default;
};

// What one exchange costs: (13 + 3.5 + 2N) characters, the meter's turnaround and its pause. On TCP
// a character costs nothing worth counting, and everything is merged that the limits allow.
struct WireCost {
    std::int64_t char_us = 0;  // one character with its start, parity and stop bits
    std::int64_t turnaround_us = 0;
    std::int64_t pause_us = 0;  // what the meter wants between two reads, or the bus's gap
    [[nodiscard]] std::int64_t exchange_us(const RegisterSpan& span) const;
};
[[nodiscard]] std::int64_t character_us(int baud, int data_bits, bool parity, int stop_bits);
// Silence between frames: 3.5 characters, and 1.75 ms above 19200 baud.
[[nodiscard]] std::int64_t frame_gap_us(int baud, std::int64_t char_us);

// A place that no read passes: registers before and from `at` on are refused in one read.
struct BlockCut {
    RegisterTable table = RegisterTable::holding;
    int at = 0;
    friend auto operator<=>(const BlockCut&, const BlockCut&) = default;
};
struct BlockRules {
    int registers_max = 125;              // of one read
    bool fill_holes = true;               // false: the meter refuses addresses between values
    std::vector<RegisterSpan> forbidden;  // never part of a read
    std::vector<BlockCut> cuts;
    friend bool operator==(const BlockRules&, const BlockRules&) = default;
};

// The blocks that cover `wanted` (one span a value; a value is never cut) at the least total cost.
// A value that is larger than the limit or forbidden is left out; the profile loader refuses such.
[[nodiscard]] std::vector<RegisterSpan> plan_blocks(std::vector<RegisterSpan> wanted,
                                                    const BlockRules& rules, const WireCost& cost);

// Blocks of whole values whose reply length differs from the others', for the proof after a
// timeout (see bus_machine.hpp): at most one a table and length, shortest first.
[[nodiscard]] std::vector<RegisterSpan> proof_blocks(std::vector<RegisterSpan> values,
                                                     const BlockRules& rules, int count_max);

// Deadlines of the meters of one bus. Indices are those of the meters as added.
class PollPlan {
  public:
    struct Pick {
        int index = 0;
        bool urgent = false;
    };

    // All `count` meters are due at once, as soon as the bus can; after it their deadlines lie on
    // a grid that spreads them evenly over the interval.
    void reset(int count, std::int64_t interval_ms, MonoMs now);
    // Takes over what `from` knew of one of its meters.
    void inherit(int index, const PollPlan& from, int from_index);
    void set_due(int index, MonoMs due) { entries_[at(index)].due = due; }
    [[nodiscard]] MonoMs due(int index) const { return entries_[at(index)].due; }
    // The meter is read before everything that is merely due.
    void poll_soon(int index) { entries_[at(index)].urgent = true; }
    [[nodiscard]] bool urgent(int index) const { return entries_[at(index)].urgent; }
    // Not before `until`: pauses and backoff. Holds for the urgent lane too.
    void hold(int index, MonoMs until) { entries_[at(index)].hold_until = until; }
    [[nodiscard]] MonoMs held_until(int index) const { return entries_[at(index)].hold_until; }

    // The meter to read now, if any: urgent ones first, then the earliest deadline; where deadlines
    // are equal the one that waited longer. It stays due until done() or set_due().
    [[nodiscard]] std::optional<Pick> pick(MonoMs now) const;
    // When pick() can next answer; nothing where no meter exists.
    [[nodiscard]] std::optional<MonoMs> next_at() const;
    // The meter's visit goes on later: others of its rank come first.
    void yielded(int index, MonoMs now) { entries_[at(index)].visited = now; }
    // A visit ended: the next deadline is the meter's next point on the grid after `now`, so that a
    // late poll does not shift the grid and missed ones are not caught up.
    void done(int index, MonoMs now);
    void clear_urgent(int index) { entries_[at(index)].urgent = false; }

  private:
    struct Entry {
        MonoMs due = 0;
        MonoMs anchor = 0;  // a point of this meter's grid
        MonoMs hold_until = 0;
        MonoMs visited = 0;
        bool urgent = false;
    };
    [[nodiscard]] std::size_t at(int index) const;
    std::vector<Entry> entries_;
    std::int64_t interval_ms_ = 60'000;
};

}  // namespace gatehouse
