// A seeded world around the real engine on a real file: meters that count, wires that lie, staff
// who act, power cuts, full disks, clocks that jump and copies that are put back. After each
// posting and each fiftieth step the auditor looks. It decides nothing about money. One thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/engine/engine.hpp"
#include "daemon/engine/zone.hpp"
#include "tests/simulation/money_auditor.hpp"

namespace gatehouse::money {

inline constexpr std::int64_t kSecond = 1'000, kMinute = 60'000, kHour = 3'600'000,
                              kDay = 86'400'000;

struct Settings {
    std::uint64_t seed = 1;
    int days = 30, households = 6;
    std::string folder;  // for the database; the caller removes it
};

[[nodiscard]] std::string text_field(const std::string& json, const std::string& name);
[[nodiscard]] std::int64_t number_field(const std::string& json, const std::string& name);
[[nodiscard]] bool is_done(const Reply& reply);
[[nodiscard]] std::string told(const Reply& reply);

// What the world did; a world in which nothing goes wrong proves nothing.
struct Deeds {
    std::int64_t steps = 0, samples = 0, wrong = 0, cuts = 0, restores = 0, full_disks = 0,
                 clock_jumps = 0, untrusted_starts = 0, imports = 0, topups = 0, repeated = 0,
                 refused = 0, acts = 0, acts_refused = 0, months = 0, moves = 0, moves_refused = 0,
                 late_moves = 0, closes = 0, late_prices = 0, corrections = 0,
                 corrections_refused = 0, swaps = 0, resets = 0, quarantines = 0, dead = 0;
    Tally audited;
    void add(const Deeds& other);
};

class WorldClock final : public Clock {
  public:
    MonoMs mono = 5'000'000;
    UtcMs wall = 0;
    [[nodiscard]] MonoMs mono_ms() const override { return mono; }
    [[nodiscard]] UtcMs wall_ms() const override { return wall; }
};

class World final : public Poller {
  public:
    explicit World(const Settings& settings);
    ~World() override;
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    // Throws Disagreement, with the step and the time in its text.
    Deeds run();

    void poll_soon(const std::string& meter) override { asked_.insert(meter); }
    void registry_changed(std::shared_ptr<const Registry>) override {}

  private:
    struct Swap {  // another device stands there; staff enter it when they find time
        std::int64_t old_final = 0, opening = 0;
        std::string serial;
        UtcMs at = 0;
    };
    struct TrueMeter {
        std::string id, profile, serial;
        std::int64_t step = 10, modulus = 0;  // of the register, in 1e-3
        std::int64_t register_value = 0;      // what it truly shows, in 1e-3
        std::int64_t rate = 0;                // 1e-3 an hour
        std::int64_t rest = 0;                // of a step, in rate x ms
        UtcMs counted_to = 0, dead_until = 0;
        int device = 0, wrong_left = 0;
        std::int64_t wrong_by = 0;
        bool sent_wrong = false;
        bool fallen = false;  // its register jumped or fell, and staff have not released it yet
        std::optional<Swap> swap;
    };
    struct Payment {
        TopUp command;
        std::int64_t fen = 0;
        bool answered = false;  // with a receipt, or with a refusal for good
        bool paid = false;
    };
    struct Signed {  // what two people signed
        Command command;
        Asked asked;
        std::string cause, answer;
        bool answered = false, done = false;
    };
    struct Copy {
        std::string path;
        Auditor auditor;
    };

    // time and the machine (money_world.cpp)
    void pass_to(UtcMs at);
    void open();
    void cut();
    void step();
    void answer_polls();
    Reply ask(Command command);
    void look(bool always);
    [[nodiscard]] Screen screen() const;
    void plan_day(std::int64_t day);
    void plan_acts(UtcMs begin);
    void later(std::int64_t low_ms, std::int64_t high_ms, std::function<void()> act);
    void put_right();
    void finish();
    void live();

    // meters (money_wire.cpp)
    void make_meters();
    void count(TrueMeter& meter);
    void send(TrueMeter& meter, bool confirming);
    void poll(TrueMeter& meter, bool confirming);
    void maybe_go_wrong(TrueMeter& meter);
    [[nodiscard]] bool near_end(const TrueMeter& meter) const;
    [[nodiscard]] bool is_steady(const TrueMeter& meter) const;
    TrueMeter& any_meter();

    // what people and bad luck do (money_acts.cpp)
    void import();
    void wait_for_first_days();
    void change_registry();
    void pay();
    void pay_again();
    void settle(Payment& payment);

    // what two people sign (money_signed.cpp)
    void sign();
    void sign_again();
    void settle(Signed& one);
    [[nodiscard]] Signed draw_signed();
    [[nodiscard]] std::int64_t balance_of(const std::string& account) const;

    // what comes late (money_late.cpp)
    void late_price();
    void correct_figure();

    // the ends of months (money_periods.cpp)
    void close_month();
    void seal_month(const std::string& month);

    // who comes and goes (money_moves.cpp)
    void change_holder();
    void leave_unseen();
    void enter_move(const std::string& unit, UtcMs left, UtcMs seen_again);
    bool move_in(const std::string& unit, std::optional<UtcMs> at);
    void close_account();
    void succeed(const std::string& old_id, const std::string& new_id, bool ladder_goes_on,
                 std::optional<UtcMs> at = std::nullopt);
    void read_for(const std::vector<std::string>& accounts);
    [[nodiscard]] Act new_act();

    void swap_meter(bool told);
    void enter_swaps();
    void enter_swap(TrueMeter& meter);
    void jump_register(bool to_zero);
    TrueMeter* quiet_meter();
    void kill_meter();
    void visit_quarantines(bool all);
    void power_cut(bool long_one);
    void fill_disk();
    void limit_disk(std::int64_t pages);
    void jump_clock();
    void lose_clock();
    void copy_books();
    void restore_books();

    Settings settings_;
    Dice dice_;
    Calendar calendar_;
    std::unique_ptr<Zone> zone_;
    Plan plan_;
    std::vector<PlanTariff> known_;  // as they were imported
    WorldClock clock_;
    std::unique_ptr<Random> random_;
    EngineOptions options_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Books> books_;
    std::map<std::string, Witness> witness_;
    Auditor auditor_;
    std::vector<TrueMeter> meters_;
    std::set<std::string> asked_;
    std::multimap<UtcMs, std::function<void()>> planned_;
    std::vector<Payment> payments_;
    std::vector<Signed> signed_;
    std::vector<std::string> undoable_;            // ids of entries that somebody may want undone
    std::map<std::string, std::string> receipts_;  // number -> key
    std::optional<Copy> copy_;
    bool synchronised_ = true, import_due_ = true;
    bool finishing_ = false;  // nobody uses anything any more
    UtcMs now_ = 0;           // the true time
    MonoMs opened_mono_ = 0;
    std::int64_t audited_entries_ = -1, audited_postings_ = -1, next_look_ = 50;
    int keys_ = 0, serials_ = 0, copies_ = 0;
    Deeds deeds_;
};

}  // namespace gatehouse::money
