// What comes late: prices that are published after their first day, signed by two people, by which
// every account that was charged is settled, now and then with a power cut in between; and stored
// figures that somebody says were others.
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

// Somebody finds an old picture of the face.
void World::correct_figure() {
    if (copy_ || import_due_) return;
    TrueMeter* meter = quiet_meter();
    if (meter == nullptr) return;
    look(true);
    const std::vector<Auditor::Correctable> rows = auditor_.correctable(meter->id);
    if (rows.empty()) return;
    // Mostly one of the newest, now and then one of weeks ago, whose month may be closed; interval
    // rows of a hundred days ago are not kept.
    const std::int64_t among = dice_.percent(70) ? 10 : 150;
    const auto count = static_cast<std::int64_t>(rows.size());
    const Auditor::Correctable& row =
        rows[static_cast<std::size_t>(count - 1 - dice_.below(std::min(among, count)))];
    // Of a meter that was away for long, retention may have dropped some of them.
    for (const std::int64_t seq : row.around)
        if (!books_->has_reading(seq)) return;
    const std::int64_t typed = dice_.from_to(row.low, row.high) / meter->step * meter->step;
    if (typed < row.low) return;
    ReadFace command;
    command.actor = "local";
    command.meter = meter->id;
    command.register_value = decimal_of(typed, 3);
    command.by = "s-01";
    command.second = "s-02";
    command.supersedes = static_cast<std::uint64_t>(row.seq);
    command.reason = "the picture shows it";
    auditor_.corrects(row.seq, typed);
    const Reply reply = ask(command);
    if (!is_done(reply)) {
        const bool known = reply.kind == ReplyKind::unavailable || reply.type == "clock" ||
                           reply.type == "settling" || reply.type == "not-correctable" ||
                           reply.type == "not-between" || reply.type == "moved-on";
        if (!known) throw Disagreement("a correction is refused: " + told(reply));
        ++deeds_.corrections_refused;
        return;
    }
    ++deeds_.corrections;
    look(true);
}

}  // namespace gatehouse::money
