// Time, the machine and the days of a world.
#include "tests/simulation/money_world.hpp"

#include <algorithm>

#include "daemon/engine/replay_proof.hpp"
#include "daemon/store/reader.hpp"
#include "tests/simulation/money_plants.hpp"

namespace gatehouse::money {
namespace {

class SeededRandom final : public Random {
  public:
    explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
    void fill(void* bytes, std::size_t count) override {
        auto* to = static_cast<unsigned char*>(bytes);
        for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<unsigned char>(engine_());
    }

  private:
    std::mt19937_64 engine_;
};

ProfileFact profile(const std::string& name) {
    MeterTraits traits;
    traits.status = MapStatus::checked;
    traits.step = name == "litres" ? Rational{1, 1'000} : Rational{1, 100};
    if (name == "rolls") traits.rollover = Rational{1'000'000, 1};
    traits.reads_serial = name == "serial";
    const bool known = name == "litres" || name == "rolls" || name == "serial";
    if (!known) return {std::nullopt, "no profile is called " + name};
    return {traits, "", name == "litres" ? std::optional(Service::water) : std::nullopt};
}

// Two worlds of three stand where no clock is ever changed, one where summer comes and goes.
std::string zone_of(std::uint64_t seed) {
    return seed % 3 == 0 ? "Europe/Berlin" : "Asia/Shanghai";
}

}  // namespace

void Deeds::add(const Deeds& other) {
    steps += other.steps;
    samples += other.samples;
    wrong += other.wrong;
    cuts += other.cuts;
    restores += other.restores;
    full_disks += other.full_disks;
    clock_jumps += other.clock_jumps;
    untrusted_starts += other.untrusted_starts;
    imports += other.imports;
    topups += other.topups;
    repeated += other.repeated;
    refused += other.refused;
    acts += other.acts;
    acts_refused += other.acts_refused;
    months += other.months;
    moves += other.moves;
    moves_refused += other.moves_refused;
    late_moves += other.late_moves;
    closes += other.closes;
    late_prices += other.late_prices;
    corrections += other.corrections;
    corrections_refused += other.corrections_refused;
    swaps += other.swaps;
    resets += other.resets;
    quarantines += other.quarantines;
    dead += other.dead;
    audited.add(other.audited);
}

World::World(const Settings& settings)
    : settings_(settings),
      dice_(settings.seed),
      calendar_(zone_of(settings.seed)),
      zone_(make_zone(zone_of(settings.seed))),
      random_(std::make_unique<SeededRandom>(settings.seed)),
      auditor_(calendar_, witness_) {
    // Somewhere in 2026, so that ends of months, of ladder years and of summer time are met.
    const std::int64_t first_day = day_number({2026, 1, 10}) + dice_.below(365);
    now_ = calendar_.midnight(first_day) + dice_.from_to(1, 20) * kHour;
    clock_.wall = now_;
    plan_ = draw_plan(dice_, settings.households, first_day, settings.days);
    options_.database_path = settings.folder + "/gatehouse.db";
    options_.site_id = "simulated";
    options_.site_name = "Simulated";
    options_.timezone = zone_of(settings.seed);
    options_.store_interval_ms = dice_.pick(std::vector<std::int64_t>{kHour, 6 * kHour, kDay});
    options_.buses = {"b1"};
    options_.system_synchronised = [this] { return std::optional<bool>(synchronised_); };
    options_.alerts.base.low_balance = Fen{50'00};
    options_.alerts.base.critical_balance = Fen{10'00};
    options_.alerts.base.clear_margin = Fen{5'00};
    options_.alerts.base.low_days = 0;
    options_.alerts.base.critical_days = 0;
    make_meters();
}

World::~World() = default;

void World::pass_to(UtcMs at) {
    const std::int64_t passed = std::max<std::int64_t>(0, at - now_);
    now_ += passed;
    clock_.mono += passed;
    clock_.wall += passed;
}

void World::open() {
    engine_ = std::make_unique<Engine>(options_, clock_, *random_, *zone_, profile);
    engine_->set_poller(this);
    books_ = std::make_unique<Books>(options_.database_path);
    opened_mono_ = clock_.mono;
    asked_.clear();
}

// The process is gone between two steps; what it had not committed is lost.
void World::cut() {
    books_.reset();
    engine_.reset();
    ++deeds_.cuts;
}

void World::answer_polls() {
    for (int round = 0; round < 3 && !asked_.empty(); ++round) {
        const std::set<std::string> asked = std::exchange(asked_, {});
        pass_to(now_ + dice_.from_to(1, 3) * kSecond);
        for (TrueMeter& meter : meters_)
            if (asked.contains(meter.id) && meter.dead_until <= now_ && !dice_.one_in(20))
                send(meter, true);
        engine_->step();
        look(false);
    }
    asked_.clear();
}

void World::step() {
    engine_->step();
    ++deeds_.steps;
    // What was posted before the next samples came is seen before them.
    look(false);
    answer_polls();
    look(false);
}

Reply World::ask(Command command) {
    std::optional<Reply> reply;
    if (!engine_->submit(std::move(command), [&](Reply given) { reply = std::move(given); }))
        throw Disagreement("the engine takes no command");
    // What changes posted lines is looked at in slices, and answered once all of it is posted.
    for (int slices = 0; slices < 100 && !reply; ++slices) engine_->step();
    if (!reply) throw Disagreement("the engine gave no answer");
    return *reply;
}

Screen World::screen() const {
    const auto shown = engine_->snapshot();
    Screen screen;
    for (std::size_t i = 0; i < shown->accounts.size(); ++i) {
        const AccountView& view = shown->accounts[i];
        screen.accounts[view.account] = {
            view.ledger.count, view.balance.count, view.provisional.count,
            view.level,        view.judged,        view.quality == Quality::held};
    }
    for (std::size_t i = 0; i < shown->meters.size(); ++i) {
        const MeterView& view = shown->meters[i];
        MeterScreen& meter = screen.meters[view.meter()];
        if (view.register_value) meter.register_value = view.register_value->count;
        if (view.total) meter.total = view.total->count;
        meter.read_at = view.read_at;
    }
    screen.trusted = shown->clock_trusted;
    screen.writable = shown->store_ok;
    screen.now_ms = shown->now_ms;
    screen.up_ms = clock_.mono - opened_mono_;
    screen.low = options_.alerts.base.low_balance->count;
    screen.critical = options_.alerts.base.critical_balance->count;
    screen.margin = options_.alerts.base.clear_margin->count;
    return screen;
}

// The auditor reads the disk, so what is still in an open transaction is committed first: a
// command for nobody does that and changes nothing.
void World::look(bool always) {
    if (import_due_ && deeds_.imports == 0) return;
    const std::int64_t entries = books_->newest_entry();
    const std::int64_t postings = postings_made();
    if (!always && entries == audited_entries_ && postings == audited_postings_ &&
        deeds_.steps < next_look_)
        return;
    static_cast<void>(ask(AckAlert{"local", "nobody", "s-01", "phone", "", ""}));
    audited_entries_ = books_->newest_entry();
    audited_postings_ = postings_made();
    next_look_ = deeds_.steps + 50;
    auditor_.audit(*books_, screen());
}

void World::later(std::int64_t low_ms, std::int64_t high_ms, std::function<void()> act) {
    planned_.emplace(now_ + dice_.from_to(low_ms, high_ms), std::move(act));
}

void World::plan_day(std::int64_t day) {
    const UtcMs begin = std::max(now_, calendar_.midnight(day));
    const UtcMs end = calendar_.midnight(day + 1);
    for (TrueMeter& meter : meters_) {
        const auto polled = [this, &meter] {
            poll(meter, false);
            step();
        };
        for (int i = 0; i < 6; ++i) planned_.emplace(begin + dice_.below(end - begin), polled);
        if (dice_.percent(30)) planned_.emplace(end + dice_.below(4 * kMinute), polled);
    }
    // The daemon is awake at midnight, as it always is; how many meters answer is another thing.
    if (dice_.percent(85)) planned_.emplace(end + dice_.below(270 * kSecond), [this] { step(); });
    planned_.emplace(end + 6 * kMinute, [this] { step(); });
    plan_acts(begin);
}

void World::plan_acts(UtcMs begin) {
    const auto sometimes = [&](std::int64_t per_thousand, auto act) {
        for (; per_thousand > 0; per_thousand -= 1'000)
            if (dice_.below(1'000) < per_thousand)
                planned_.emplace(begin + dice_.below(kDay), [this, act] {
                    act();
                    step();
                });
    };
    const std::int64_t homes = settings_.households;
    sometimes(200 * homes, [this] { pay(); });
    sometimes(50 * homes, [this] { pay_again(); });
    sometimes(60 * homes, [this] { sign(); });
    sometimes(20 * homes, [this] { sign_again(); });
    sometimes(300, [this] { change_registry(); });
    sometimes(400, [this] { close_month(); });
    sometimes(120, [this] { late_price(); });
    sometimes(60 * homes, [this] { correct_figure(); });
    sometimes(25 * homes, [this] { change_holder(); });
    sometimes(3 * homes, [this] { close_account(); });
    if (settings_.seed % 2 == 0) sometimes(30 * homes, [this] { leave_unseen(); });
    sometimes(1'200, [this] { power_cut(false); });
    sometimes(150, [this] { power_cut(true); });
    sometimes(3'000, [this] { visit_quarantines(false); });
    sometimes(1'000, [this] { enter_swaps(); });
    sometimes(100, [this] { swap_meter(true); });
    sometimes(100, [this] { swap_meter(false); });
    sometimes(50, [this] { jump_register(true); });
    sometimes(50, [this] { jump_register(false); });
    sometimes(60 * homes, [this] { kill_meter(); });
    sometimes(60, [this] { jump_clock(); });
    sometimes(40, [this] { fill_disk(); });
    sometimes(70, [this] { copy_books(); });
}

void World::live() {
    open();
    import();
    for (int twice = 0; twice < 3; ++twice) {
        for (TrueMeter& meter : meters_) {
            // Where nothing is known yet two that lie together are believed.
            meter.sent_wrong = true;
            send(meter, twice > 0);
        }
        pass_to(now_ + 2 * kSecond);
        engine_->step();
    }
    const std::int64_t first_day = calendar_.day_of(now_);
    for (std::int64_t day = first_day; day < first_day + settings_.days; ++day) {
        plan_day(day);
        const UtcMs end = calendar_.midnight(day + 1);
        while (!planned_.empty() && planned_.begin()->first < end) {
            const auto next = planned_.begin();
            const auto act = std::move(next->second);
            pass_to(next->first);
            planned_.erase(next);
            act();
        }
    }
    finish();
}

// Ends all that is wrong, as far as people can.
void World::put_right() {
    planned_.clear();
    copy_.reset();
    cut();
    options_.max_pages = 0;
    synchronised_ = true;
    clock_.wall = now_;
    open();
    for (TrueMeter& meter : meters_) {
        meter.dead_until = 0;
        meter.wrong_left = 0;
        meter.sent_wrong = true;  // the next one is not
    }
}

void World::finish() {
    put_right();
    const auto read_all = [this] {
        for (TrueMeter& meter : meters_) {
            meter.sent_wrong = true;
            send(meter, false);
        }
        step();
    };
    // A day is enough for any clock that ran ahead; staff come by each time.
    for (int i = 0; i < 60; ++i) {
        pass_to(now_ + 30 * kMinute);
        read_all();
        import();
        enter_swaps();
        visit_quarantines(true);
        for (Payment& payment : payments_)
            if (!payment.answered) settle(payment);
        for (Signed& one : signed_)
            if (!one.answered) settle(one);
    }
    pass_to(calendar_.midnight(calendar_.day_of(now_) + 1) + kMinute);
    for (TrueMeter& meter : meters_) {
        count(meter);
        meter.wrong_left = 0;
    }
    finishing_ = true;
    for (int i = 0; i < 3; ++i) {
        read_all();
        pass_to(now_ + 2 * kSecond);
    }
    pass_to(now_ + 10 * kMinute);
    read_all();
    look(true);
    std::map<std::string, Ratio> faces;
    for (const TrueMeter& meter : meters_) faces[meter.id] = thousandths(meter.register_value);
    auditor_.final_audit(*books_, screen(), faces);
    // The daemon's own proof, prices and all, must agree as well.
    StoreReader reader(options_.database_path);
    const Proof proof =
        reader.verify({}, [this](AccountBooks& books, const std::function<void()>& breathe) {
            return replay_proof(books, *zone_, breathe);
        });
    if (!proof.ok) throw Disagreement("verify: " + proof.first_bad);
}

Deeds World::run() {
    try {
        live();
    } catch (const std::exception& found) {
        throw Disagreement("step " + std::to_string(deeds_.steps) + ", " +
                           format_iso8601(now_, *zone_) + ": " + found.what());
    }
    deeds_.audited = auditor_.tally();
    return deeds_;
}

}  // namespace gatehouse::money
