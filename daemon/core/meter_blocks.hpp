// The reads of one meter: the cheapest blocks for the values that are wanted of it, kept until
// something changes; and what is learned from its refusals. A block that is refused with exception
// 1, 2 or 3 (function, address, value) is bisected down to the value at fault, which is set aside
// with its reason and tried again later, alone, so that trying it never costs another value. Where
// both halves are answered and the whole is not, the place between them is remembered as a cut.
// Knows no time-out and no wire. Pure; owned by the bus thread through its BusMachine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/poll_plan.hpp"
#include "daemon/core/sample.hpp"

namespace gatehouse {

// What is read of a meter. Meters of one profile have the same, and a bus keeps it once.
struct MeterValues {
    std::vector<RegisterSpan> routine;   // values of each poll
    std::vector<RegisterSpan> vital;     // of these: never set aside; empty: all of them
    std::vector<RegisterSpan> identity;  // read beside them at start and after every outage
    std::vector<RegisterSpan> full;      // values of an on-demand reading, each read by itself
    std::vector<RegisterSpan> proofs;    // reads of different lengths, shortest first
    BlockRules rules;
    // For reply_shape.hpp: the routine values of every meter of this address, in order, and which
    // of them this one is; their vital values; and all that the address is known to have. Empty:
    // blocks are not grown.
    std::vector<std::vector<RegisterSpan>> channels;
    std::size_t channel = 0;
    std::vector<RegisterSpan> channels_vital;
    std::vector<RegisterSpan> known;
    friend bool operator==(const MeterValues&, const MeterValues&) = default;
};
struct BusMeter : MeterValues {
    std::string id;
    int address = 1;            // meters with one address are one station
    std::int64_t pause_ms = 0;  // after each read of this station
};

// The exceptions that a block can be at fault for: function, address, value.
[[nodiscard]] bool blames_block(int exception);

// With those values in the order of their registers, each once.
[[nodiscard]] std::shared_ptr<const MeterValues> in_order(MeterValues values);

class MeterBlocks {
  public:
    static constexpr std::int64_t kRetryFirstMs = 600'000;
    static constexpr std::int64_t kRetryMaxMs = 86'400'000;

    MeterBlocks() = default;
    // Routine, vital and identity values in the order of their registers.
    explicit MeterBlocks(std::shared_ptr<const MeterValues> values);
    // Takes over what `before` learned of the same meter.
    void inherit(const MeterBlocks& before);

    // Plans for this cost where it, or what is wanted, changed enough to matter. True: the blocks
    // are others than before.
    bool plan(const WireCost& cost, MonoMs now);
    [[nodiscard]] const std::vector<RegisterSpan>& routine() const { return routine_; }
    [[nodiscard]] const std::vector<RegisterSpan>& identity() const { return identity_; }
    [[nodiscard]] bool vital(const RegisterSpan& block) const;

    // The block of the plan was refused. What follows is a search, to be asked for its reads until
    // it is over; `hopeless` where nothing can be left out: the block is a vital value alone.
    enum class Verdict { searching, settled, hopeless };
    Verdict refused(const RegisterSpan& block, const std::string& why, MonoMs now);
    [[nodiscard]] bool searching() const { return !clusters_.empty(); }
    [[nodiscard]] RegisterSpan search_read() const;
    Verdict search_answered(bool refused, const std::string& why, MonoMs now);
    void end_search() { clusters_.clear(); }

    // What was set aside and is to be tried again with this poll, after all else.
    [[nodiscard]] std::optional<RegisterSpan> retry(MonoMs now) const;
    void retried(const RegisterSpan& span, bool refused, const std::string& why, MonoMs now);
    // The meter was away and may be another one: everything set aside is tried again.
    void try_all_again(MonoMs now);
    [[nodiscard]] std::vector<SetAside> set_aside() const;

  private:
    struct Aside {
        RegisterSpan span;  // count 0: a cut before its first register
        std::string reason;
        MonoMs since = 0, retry_at = 0;
        std::int64_t retry_ms = 0;
        bool active = true;  // false: answered again; kept for its growing interval
    };
    [[nodiscard]] std::vector<RegisterSpan> wanted(const std::vector<RegisterSpan>& values) const;
    [[nodiscard]] BlockRules rules_now() const;
    [[nodiscard]] std::vector<RegisterSpan> plan_routine(const BlockRules& rules,
                                                         const WireCost& cost) const;
    [[nodiscard]] bool is_aside(const RegisterSpan& span) const;
    void put_aside(const RegisterSpan& span, const std::string& why, MonoMs now);
    Verdict conclude(const RegisterSpan& cluster, const std::string& why, MonoMs now);
    void drop_cuts_due(MonoMs now);

    [[nodiscard]] const std::vector<RegisterSpan>& vital_values() const;

    std::shared_ptr<const MeterValues> values_;
    // False: the meter refused what a block was grown by; tried again like a value set aside.
    bool grown_ = true;
    MonoMs grow_at_ = 0;
    std::int64_t grow_ms_ = 0;
    std::vector<RegisterSpan> routine_, identity_;
    WireCost planned_for_;
    bool planned_ = false;
    std::vector<Aside> asides_;
    // The search: values of the refused block, overlapping ones joined; [low, high) holds the one
    // at fault, and the right half is asked after the left was answered.
    std::vector<RegisterSpan> clusters_;
    std::size_t low_ = 0, high_ = 0;
    bool right_half_ = false;
};

}  // namespace gatehouse
