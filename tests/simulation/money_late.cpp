// Prices that are published after their first day: two people sign them, every account that was
// charged by them is settled, and now and then the power goes in between.
#include "tests/simulation/money_world.hpp"

namespace gatehouse::money {

void World::late_price() {
    // An older copy would not know it, and could not be told: it comes late there as well.
    if (copy_ || import_due_) return;
    Plan next = plan_;
    const auto late = publish_late(dice_, next, calendar_.day_of(engine_->snapshot()->now_ms));
    if (!late) return;
    ImportRegistry command;
    command.actor = "local";
    command.files = next.files();
    command.by = "s-01";
    command.second = "s-02";
    command.reason = "published late";
    look(true);
    const std::int64_t before = books_->newest_event("registry.imported");
    if (dice_.percent(30)) {
        // The power goes before, while, or after it is settled.
        static_cast<void>(engine_->submit(command, [](const Reply&) {}));
        for (std::int64_t steps = dice_.below(4); steps > 0; --steps) engine_->step();
        power_cut(false);
    } else {
        const Reply reply = ask(command);
        const bool waits = reply.kind == ReplyKind::unavailable || reply.type == "clock" ||
                           reply.type == "settling" || reply.type == "moved-on";
        if (!is_done(reply) && !waits)
            throw Disagreement("a price that came late is refused: " + told(reply));
    }
    const std::int64_t event = books_->newest_event("registry.imported");
    if (event == before) return;
    plan_ = std::move(next);
    known_ = plan_.tariffs;
    ++deeds_.late_prices;
    auditor_.imported_late(plan_, event, *late, *books_);
    look(true);
}

}  // namespace gatehouse::money
