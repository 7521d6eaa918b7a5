// The meters of the building: what each register holds at a moment, and what a meter answers to a
// question, faults included. Time is given as milliseconds since the start; nothing here opens a
// port. The simulator's one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "drivers/modbus/profile.hpp"
#include "drivers/simulator/cabinet.hpp"
#include "drivers/simulator/encode.hpp"
#include "drivers/simulator/faults.hpp"
#include "drivers/simulator/frames.hpp"
#include "drivers/simulator/site.hpp"

namespace gatehouse::simulator {

inline constexpr std::int64_t kSpeedMax = 100'000;
inline constexpr std::int64_t kStuckMs = 30 * 60'000;
inline constexpr std::int64_t kRestartMs = 2'000;  // silent that long after a start
inline constexpr int kSlowReplies = 5;             // after it
inline constexpr std::int64_t kSlowReplyMs = 200;

struct BuildingSettings {
    std::uint64_t seed = 1;
    std::int64_t speed = 1;         // consumption times this, never above what a meter is rated for
    std::int64_t day_start_ms = 0;  // time of day at the start
    int date_days = 20'000;         // the day of the start for the meters' clocks, from 1970-01-01
    int late_transactions = 1;      // a late reply comes 1 to this many questions late
    std::map<std::string, Rational> starts;  // registers at the start, before the registry's
    std::set<std::string> dead;
    std::vector<FaultRule> faults;
    std::int64_t epoch_ms = 0;  // wall clock at the start, for key cabinets
};

// What comes back on one question. Silent: nothing ever comes.
struct Answer {
    bool silent = true;
    int unit = 0;
    Bytes pdu;
    bool bit_error = false;
    std::uint64_t which_bit = 0;
    int late_by = 0;            // questions on this line that are answered before it
    std::int64_t delay_ms = 0;  // beyond the turnaround
    bool twice = false, trickle = false, echo = false, mute = false;
    std::optional<std::uint64_t> cut;  // the reply ends early, by this draw
    // What somebody else says before it: a reply, and the question to it unless that is empty.
    int other_unit = 0;
    Bytes other_question, other_reply;
};

// What a meter's billing register truly holds, and what befell the exchange that asked for it.
struct Truth {
    std::string meter;
    Rational value;
    std::string fault;  // names, joined by '+'; empty: none
};

class Building {
  public:
    // Meters whose profile is null or whose place makes no sense are left out and named in
    // `problems`: one bad meter stays one bad meter.
    using Profiles =
        std::function<std::shared_ptr<const modbus::Profile>(const std::string&, std::string*)>;
    Building(Site site, const Profiles& profiles, BuildingSettings settings);
    ~Building();
    Building(const Building&) = delete;
    Building& operator=(const Building&) = delete;

    [[nodiscard]] const Site& site() const { return site_; }
    [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

    // An address at which no meter stands is silent; on Modbus TCP the gateway says so (0x0B).
    [[nodiscard]] Answer answer(std::size_t bus, int unit, const Bytes& pdu, std::int64_t now_ms);
    // Called with each exchange that read a billing register, also where no reply leaves.
    void on_truth(std::function<void(const Truth&)> handler) { on_truth_ = std::move(handler); }
    // Called with each line of what happened at a key cabinet.
    void on_cabinet_truth(const Cabinet::TruthHandler& handler);
    // What the people at the cabinets do, also while nobody asks these.
    void advance_cabinets(std::int64_t now_ms);
    // Null: no cabinet of that name stands here.
    [[nodiscard]] Cabinet* find_cabinet(const std::string& id);

    // For tests and people at the control port. Empty on success, else what is wrong; then nothing
    // has changed.
    [[nodiscard]] std::string set_register(const std::string& meter, const std::string& value,
                                           std::int64_t now_ms);
    [[nodiscard]] std::string set_dead(const std::string& meter, bool dead);
    [[nodiscard]] std::string set_stuck(const std::string& meter, bool stuck, std::int64_t now_ms);
    [[nodiscard]] std::string replace(const std::string& meter, const std::string& serial,
                                      const std::string& value, std::int64_t now_ms);
    [[nodiscard]] std::string set_speed(std::int64_t speed, std::int64_t now_ms);
    void add_fault(const FaultRule& rule) { faults_.add(rule); }
    void clear_faults() { faults_ = {}; }
    [[nodiscard]] bool knows(const std::string& meter) const;
    [[nodiscard]] std::vector<Truth> truth(std::int64_t now_ms);

    // The words of the device at this place, as a question now would find them.
    [[nodiscard]] Words words(std::size_t bus, int unit, std::int64_t now_ms);

  private:
    struct Meter;
    struct Device;

    void place(std::size_t index, const Profiles& profiles);
    void place_cabinets();
    void set_limits(Meter& meter) const;
    void advance(Meter& meter, std::int64_t now_ms);
    [[nodiscard]] std::int64_t real_rate(const Meter& meter, std::int64_t now_ms,
                                         int depth = 0) const;
    [[nodiscard]] std::int64_t face_rate(const Meter& meter, std::int64_t now_ms) const;
    [[nodiscard]] std::int64_t shown_micro(Meter& meter, std::int64_t now_ms);
    [[nodiscard]] Rational billing(Meter& meter, std::int64_t now_ms);
    [[nodiscard]] Rational target(Meter& meter, modbus::Measurement what, std::int64_t now_ms);
    void fill(Device& device, std::int64_t now_ms, Words& words);
    [[nodiscard]] modbus::MeterClock calendar(const Meter& meter, std::int64_t now_ms) const;
    void befall(Meter& meter, const Misfortune& misfortune, std::int64_t now_ms);
    void tell(Device& device, const RegisterSpan& span, const std::string& fault,
              std::int64_t now_ms);
    // What a fault makes of one reply: its content, and how the line is to send it.
    bool spoil_content(Device& device, Meter& meter, const RegisterSpan& span,
                       const Misfortune& misfortune, Answer& answer);
    bool spoil_delivery(Device& device, Meter& meter, const RegisterSpan& span,
                        const Misfortune& misfortune, std::int64_t now_ms, Answer& answer);
    [[nodiscard]] Bytes read(Device& device, const RegisterSpan& span, std::int64_t now_ms);
    [[nodiscard]] std::vector<Meter*> touched(Device& device, const RegisterSpan& span) const;
    Meter* find(const std::string& id);

    Site site_;
    BuildingSettings settings_;
    FaultPlan faults_;
    std::vector<std::string> problems_;
    std::vector<std::unique_ptr<Meter>> meters_;
    std::map<std::pair<std::size_t, int>, std::unique_ptr<Device>> devices_;
    std::map<std::pair<std::size_t, int>, std::unique_ptr<Cabinet>> cabinets_;
    std::function<void(const Truth&)> on_truth_;
};

}  // namespace gatehouse::simulator
