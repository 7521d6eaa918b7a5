// The ticket machine, its timers on service hours, and what joins a key to a ticket.
#include "daemon/core/ticket.hpp"

#include "daemon/core/key_watch.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/ticket_play.hpp"

using namespace gatehouse;
using namespace gatehouse::test;

TEST_CASE("a ticket's way, and what is no way") {
    using A = TicketAction;
    Ticket ticket = reported();
    TicketMove no_visit;
    no_visit.lot = 99;
    const UtcMs now = at("2026-11-23T11:00");
    CHECK(play(ticket, A::start, now) == "ticket-state");
    CHECK(play(ticket, A::close, now) == "ticket-state");
    CHECK(play(ticket, A::dispatch, now) == "dispatched");
    CHECK(play(ticket, A::decline, now) == "reported");
    CHECK(ticket.crew.empty());
    CHECK(play(ticket, A::dispatch, now) == "dispatched");
    CHECK(play(ticket, A::accept, now) == "accepted");
    CHECK(play(ticket, A::start, now) == "working");
    CHECK(play(ticket, A::pause, now) == "paused");
    CHECK(play(ticket, A::done, now) == "ticket-state");
    CHECK(play(ticket, A::start, now + kDayMs) == "working");
    CHECK(play(ticket, A::done, now + kDayMs, no_visit) == "done");
    CHECK(play(ticket, A::cancel, now + kDayMs) == "ticket-state");
    CHECK(play(ticket, A::close, now + kDayMs) == "closed");
    CHECK(play(ticket, A::reopen, now + 32 * kDayMs) == "ticket-old");
    CHECK(play(ticket, A::reopen, now + 20 * kDayMs) == "reported");
    CHECK(ticket.reopened == 1);
    CHECK_FALSE(ticket.done_at);
}

TEST_CASE("who must be visited, and who is by lot") {
    struct Row {
        const char* category;
        TicketKind kind;
        int reopened;
        bool safety;
        std::uint32_t lot;
        const char* outcome;
    };
    using K = TicketKind;
    const Row rows[] = {
        {"门窗锁具", K::repair, 0, false, 29, "done visit_due"},
        {"门窗锁具", K::repair, 0, false, 30, "done"},
        {"土建渗漏", K::repair, 0, false, 99, "done visit_due"},
        {"电气", K::repair, 0, false, 99, "done visit_due"},
        {"门窗锁具", K::paid_service, 0, false, 99, "done visit_due"},
        {"门窗锁具", K::complaint, 0, false, 99, "done visit_due"},
        {"门窗锁具", K::repair, 1, false, 99, "done visit_due"},
        {"门窗锁具", K::repair, 0, true, 99, "done visit_due"},
        {"电气/插座", K::repair, 0, false, 99, "done visit_due"},
        {"电气－灯具", K::repair, 0, false, 99, "done visit_due"},
        {"土建渗漏-外墙", K::repair, 0, false, 99, "done visit_due"},
        {"给排水/漏水", K::repair, 0, false, 99, "done visit_due"},
        {"给排水/堵塞", K::repair, 0, false, 99, "done"},
        {"门窗锁具/电气", K::repair, 0, false, 99, "done"},
        {"electrical/socket", K::inspection, 0, false, 99, "done visit_due"},
    };
    for (const Row& row : rows) {
        Ticket ticket = reported();
        ticket.state = TicketState::working;
        ticket.category = row.category;
        ticket.kind = row.kind;
        ticket.reopened = row.reopened;
        TicketMove move;
        move.lot = row.lot;
        move.safety = row.safety;
        INFO(row.category << " " << to_string(row.kind) << " lot " << row.lot);
        CHECK(play(ticket, TicketAction::done, at("2026-11-23T12:00"), move) == row.outcome);
    }
}

TEST_CASE("what was paid for is visited, whatever its kind") {
    struct Row {
        std::optional<Fen> agreed, material, labour;
        const char* outcome;
    };
    const Row rows[] = {
        {std::nullopt, std::nullopt, std::nullopt, "done"},
        {std::nullopt, Fen{0}, Fen{0}, "done"},
        {std::nullopt, Fen{1'250}, std::nullopt, "done visit_due"},
        {std::nullopt, std::nullopt, Fen{3'000}, "done visit_due"},
        {Fen{8'000}, std::nullopt, std::nullopt, "done visit_due"},
    };
    for (const Row& row : rows) {
        Ticket ticket = reported();
        ticket.state = TicketState::working;
        ticket.agreed_price = row.agreed;
        TicketMove move;
        move.lot = 99;
        move.material = row.material;
        move.labour = row.labour;
        CHECK(play(ticket, TicketAction::done, at("2026-11-23T12:00"), move) == row.outcome);
    }
}

TEST_CASE("how soon a visit is due goes by the first level of the category") {
    const std::pair<const char*, int> rows[] = {{"电气/插座", 2},     {"电梯-轿厢", 2},
                                                {"土建渗漏-外墙", 3}, {"给排水/漏水", 3},
                                                {"给排水/堵塞", 7},   {"门窗锁具", 7}};
    for (const auto& [category, days] : rows) {
        Ticket ticket = reported();
        ticket.state = TicketState::working;
        ticket.category = category;
        const UtcMs now = at("2026-11-23T12:00");
        play(ticket, TicketAction::done, now);
        CHECK(ticket.visit_by == now + days * kDayMs);
    }
}

TEST_CASE("a ticket on hold is due later by the time that its limit is counted in") {
    struct Row {
        TicketUrgency urgency;
        const char *paused, *resumed;
        const char *before, *after;
    };
    using U = TicketUrgency;
    // 2026-11-27 is a Friday.
    const Row rows[] = {
        // Friday 16:00 to 17:30 and Monday 8:30 to 9:00 are two hours of service.
        {U::normal, "2026-11-27T16:00", "2026-11-30T09:00", "2026-11-30T14:00", "2026-11-30T16:00"},
        {U::planned, "2026-11-27T16:00", "2026-11-30T09:00", "2026-11-30T17:00",
         "2026-12-01T10:00"},
        {U::normal, "2026-11-27T18:00", "2026-11-30T08:00", "2026-11-27T20:00", "2026-11-27T20:00"},
        {U::urgent, "2026-11-27T16:00", "2026-11-27T18:00", "2026-11-28T10:00", "2026-11-28T12:00"},
    };
    for (const Row& row : rows) {
        INFO(row.paused << " to " << row.resumed);
        Ticket ticket = reported();
        ticket.urgency = row.urgency;
        ticket.state = TicketState::working;
        ticket.done_by = at(row.before);
        REQUIRE(play(ticket, TicketAction::pause, at(row.paused)) == "paused");
        REQUIRE(play(ticket, TicketAction::start, at(row.resumed)) == "working");
        CHECK(format_iso8601(*ticket.done_by, kShanghai) ==
              format_iso8601(at(row.after), kShanghai));
    }
}

TEST_CASE("a slip that is typed later says when it was so") {
    using A = TicketAction;
    Ticket ticket = reported();  // at 10:00
    const UtcMs typed = at("2026-11-23T14:00");
    const auto said = [](const char* when) {
        TicketMove move;
        move.at = at(when);
        return move;
    };
    CHECK(play(ticket, A::dispatch, typed, said("2026-11-23T09:59")) == "invalid");
    CHECK(play(ticket, A::dispatch, typed, said("2026-11-23T14:01")) == "invalid");
    CHECK(play(ticket, A::dispatch, typed, said("2026-11-23T10:10")) == "dispatched");
    CHECK(ticket.dispatched_at == at("2026-11-23T10:10"));
    REQUIRE(ticket.spans.size() == 1);
    CHECK(ticket.spans[0].from == at("2026-11-23T10:10"));
    CHECK(play(ticket, A::accept, typed, said("2026-11-23T10:09")) == "invalid");
    CHECK(play(ticket, A::accept, typed, said("2026-11-23T10:12")) == "accepted");
    CHECK(play(ticket, A::start, typed, said("2026-11-23T10:30")) == "working");
    CHECK(play(ticket, A::pause, typed, said("2026-11-23T10:40")) == "invalid");
    CHECK(play(ticket, A::done, typed, said("2026-11-23T10:29")) == "invalid");
    CHECK(play(ticket, A::done, typed, said("2026-11-23T12:00")).starts_with("done"));
    CHECK(ticket.done_at == at("2026-11-23T12:00"));
    CHECK(ticket.spans[0].to == at("2026-11-23T12:00"));
    REQUIRE(play(ticket, A::reopen, typed) == "reported");
    CHECK(play(ticket, A::dispatch, typed, said("2026-11-23T11:00")) == "invalid");
}

TEST_CASE("a ticket does not close while its key is out, but with a reason") {
    Ticket ticket = reported();
    ticket.state = TicketState::visited;
    TicketMove move;
    move.keys_out = true;
    CHECK(play(ticket, TicketAction::close, at("2026-11-23T12:00"), move) == "ticket-keys-out");
    move.override_ = true;
    move.reason = "the lock was changed";
    CHECK(play(ticket, TicketAction::close, at("2026-11-23T12:00"), move) == "closed");
    CHECK(ticket.close_override == "the lock was changed");
}

TEST_CASE("timers count service hours, but what is urgent counts by the wall") {
    const Calendar calendar(
        std::vector<CalendarDay>{{LocalDate{2026, 11, 24}, DayKind::holiday, ""}});
    const TicketTerms terms{calendar, kShanghai};
    struct Row {
        const char* from;
        std::int64_t minutes;
        const char* to;
    };
    const Row rows[] = {
        {"2026-11-23T10:00", 30, "2026-11-23T10:30"},  // Monday
        {"2026-11-23T07:00", 30, "2026-11-23T09:00"},
        {"2026-11-23T17:20", 30, "2026-11-25T08:50"},  // over a holiday
        {"2026-11-27T17:30", 60, "2026-11-30T09:30"},  // over a weekend
    };
    for (const Row& row : rows) {
        INFO(row.from << " + " << row.minutes);
        CHECK(after_service_minutes(at(row.from), row.minutes, terms) == at(row.to));
    }
    Ticket ticket = reported();
    ticket.urgency = TicketUrgency::urgent;
    set_timers(ticket, at("2026-11-23T23:00"), terms);
    CHECK(ticket.dispatch_by == at("2026-11-23T23:10"));
    CHECK(ticket.done_by == at("2026-11-24T23:00"));
}

TEST_CASE("time on hold does not count") {
    Ticket ticket = reported();
    ticket.state = TicketState::working;
    ticket.done_by = at("2026-11-24T10:00");
    const UtcMs now = at("2026-11-23T12:00");
    CHECK(play(ticket, TicketAction::pause, now) == "paused");
    CHECK(play(ticket, TicketAction::start, now + 5 * kHourMs) == "working");
    CHECK(ticket.done_by == at("2026-11-24T15:00"));
}

TEST_CASE("which ticket a key was taken for") {
    Key key;
    key.key = "k-1";
    key.opens = {"u-1"};
    const auto ticket = [&](const char* number, const char* unit, const char* crew,
                            const char* dispatched) {
        Ticket one = reported();
        one.number = number;
        one.unit = unit;
        one.crew = {crew};
        one.state = TicketState::working;
        one.dispatched_at = at(dispatched);
        return one;
    };
    const Ticket fits = ticket("A", "u-1", "s-2", "2026-11-23T10:00");
    const Ticket other_flat = ticket("B", "u-2", "s-2", "2026-11-23T10:00");
    const Ticket other_man = ticket("C", "u-1", "s-3", "2026-11-23T10:00");
    const Ticket later = ticket("D", "u-1", "s-2", "2026-11-23T10:40");
    const Ticket second = ticket("E", "u-1", "s-2", "2026-11-23T10:20");
    struct Row {
        std::vector<const Ticket*> tickets;
        const char* named;
        std::vector<std::string> by_hand;
        const char* links;
    };
    const Row rows[] = {
        {{&fits, &other_flat}, "", {}, "A:auto"},
        {{&other_flat}, "", {}, ""},
        {{&other_man}, "", {}, "C:weak"},
        {{&fits, &second}, "", {}, "E:shared A:shared"},
        {{&later}, "", {}, "D:late"},
        {{&fits}, "A", {}, "A:explicit"},
        {{&fits, &other_flat}, "B", {}, "B:explicit_bad"},
        {{&fits}, "Z", {}, "Z:explicit_bad"},  // a number that no ticket has
        {{&fits, &other_flat}, "", {"B"}, "B:linked"},
    };
    for (const Row& row : rows) {
        KeyLoan loan;
        loan.key = "k-1";
        loan.holder = "s-2";
        loan.ticket = row.named;
        loan.out_at = at("2026-11-23T10:30");
        std::string text;
        for (const KeyLink& link : link_loan(loan, key, row.tickets, row.by_hand))
            text += (text.empty() ? "" : " ") + link.ticket + ":" + to_string(link.kind);
        CHECK(text == row.links);
    }
}

// A loan is judged by whoever had the ticket when the key was taken: what happens to the ticket
// later takes no link away.
TEST_CASE("a key stays linked over transfer, decline, reopening and hand-over") {
    using A = TicketAction;
    Key key;
    key.key = "k-1";
    key.opens = {"u-1"};
    const UtcMs sent = at("2026-11-23T10:00");
    const auto links = [&](const Ticket& ticket, const KeyLoan& loan) {
        std::string text;
        for (const KeyLink& link : link_loan(loan, key, {&ticket}, {}))
            text += (text.empty() ? "" : " ") + std::string(to_string(link.kind));
        return text;
    };
    const auto go = [&](Ticket& ticket, A action, UtcMs now, std::vector<std::string> crew = {}) {
        TicketMove move;
        move.action = action;
        move.by = "s-1";
        move.reason = "why";
        move.crew = std::move(crew);
        move.lot = 99;
        const Calendar calendar;
        const auto result = move_ticket(ticket, move, now, {calendar, kShanghai});
        REQUIRE(std::holds_alternative<TicketStep>(result));
        ticket = std::get<TicketStep>(result).ticket;
    };
    KeyLoan loan;
    loan.key = "k-1";
    loan.holder = "s-2";
    loan.out_at = at("2026-11-23T10:05");
    KeyLoan named = loan;
    named.ticket = "WX-202611-0001";
    Ticket ticket = reported();
    go(ticket, A::dispatch, sent, {"s-2"});
    CHECK(links(ticket, loan) == "auto");
    Ticket helped = ticket;
    go(helped, A::transfer, at("2026-11-23T10:08"), {"s-2", "s-3"});
    CHECK(links(helped, loan) == "auto");
    Ticket given = ticket;
    go(given, A::transfer, at("2026-11-23T11:00"), {"s-3"});
    CHECK(links(given, loan) == "auto");
    CHECK(links(given, named) == "explicit");
    Ticket declined = ticket;
    go(declined, A::decline, at("2026-11-23T11:00"));
    CHECK(links(declined, loan) == "auto");
    CHECK(links(declined, named) == "explicit");
    Ticket again = ticket;
    go(again, A::accept, at("2026-11-23T10:10"));
    go(again, A::start, at("2026-11-23T10:20"));
    go(again, A::done, at("2026-11-23T11:00"));
    go(again, A::reopen, at("2026-11-23T12:00"));
    CHECK(links(again, loan) == "auto");
    // Between two crews it is nobody's.
    KeyLoan between = loan;
    between.out_at = at("2026-11-23T11:30");
    CHECK(links(again, between).empty());
    // Handed on, to one of the crew or to another: it was taken for that ticket.
    KeyLoan handed = loan;
    handed.handed = {{"s-2", "s-9", "s-1", at("2026-11-23T10:30"), ""}};
    handed.holder = "s-9";
    CHECK(links(ticket, handed) == "auto");
    Ticket two = reported();
    go(two, A::dispatch, sent, {"s-2", "s-3"});
    handed.handed = {{"s-2", "s-3", "s-1", at("2026-11-23T10:30"), ""}};
    handed.holder = "s-3";
    CHECK(links(two, handed) == "auto");
}

TEST_CASE("when a key is due") {
    Key key;
    KeyRules rules;
    KeyLoan loan;
    loan.out_at = at("2026-11-23T09:00");
    CHECK(due_at(loan, key, nullptr, rules, kShanghai) == at("2026-11-23T17:00"));
    loan.out_at = at("2026-11-23T11:00");
    CHECK(due_at(loan, key, nullptr, rules, kShanghai) == at("2026-11-23T18:00"));
    key.set = "duty";
    CHECK(due_at(loan, key, nullptr, rules, kShanghai) == at("2026-11-23T19:00"));
    key.max_hold_ms = kHourMs;
    CHECK(due_at(loan, key, nullptr, rules, kShanghai) == at("2026-11-23T12:00"));
    Ticket ticket = reported();
    ticket.done_by = at("2026-11-23T11:10");
    CHECK(due_at(loan, key, &ticket, rules, kShanghai) == at("2026-11-23T11:40"));
    // Promised back: earlier counts, later gives nobody more time.
    loan.return_by = at("2026-11-23T11:20");
    CHECK(due_at(loan, key, &ticket, rules, kShanghai) == at("2026-11-23T11:20"));
    loan.return_by = at("2026-11-30T11:20");
    CHECK(due_at(loan, key, &ticket, rules, kShanghai) == at("2026-11-23T11:40"));
    loan.extended_until = at("2026-11-24T09:00");
    CHECK(due_at(loan, key, &ticket, rules, kShanghai) == at("2026-11-24T09:00"));
}

TEST_CASE("a move-in is entered within a day, with its record and its holder") {
    KeyRules rules;
    rules.alerts = default_key_alerts();
    struct Row {
        bool recorded, holder;
        const char* now;
        std::size_t holds;
    };
    const Row rows[] = {
        {false, true, "2026-11-24T14:59", 0},
        {false, true, "2026-11-24T15:00", 1},
        {true, false, "2026-11-24T15:00", 1},
        {true, true, "2026-11-24T15:00", 0},
    };
    for (const Row& row : rows) {
        KeyWatchInput input{{}, {}, {}, {}, {}, {}, rules, kShanghai, at(row.now)};
        input.moves = {{"u-1", at("2026-11-23T15:00"), row.recorded, row.holder}};
        const auto found = key_conditions(input);
        INFO(row.now);
        REQUIRE(found.size() == row.holds);
        if (row.holds == 0) continue;
        CHECK(found[0].code == "movein_not_entered");
        CHECK(found[0].subject == "u-1");
    }
}

TEST_CASE("a door that stays open is told after a minute, work without its key after a day") {
    KeyRules rules;
    rules.alerts = {"door_held", "key_back_ticket_open"};
    Ticket ticket = reported();
    ticket.state = TicketState::working;
    struct Row {
        const char* now;
        const char* holds;
    };
    const Row rows[] = {
        {"2026-11-23T15:00:59", ""},
        {"2026-11-23T15:01", "door_held:2"},
        {"2026-11-23T15:05", "door_held:3"},
        {"2026-11-24T15:00", "door_held:3 key_back_ticket_open:1"},
    };
    const std::vector<CabinetWatch> cabinets{
        {"kc-01", true, std::nullopt, 0, at("2026-11-23T15:00")}};
    for (const Row& row : rows) {
        const KeyWatchInput input{{},
                                  {{"A", &ticket}},
                                  {},
                                  {},
                                  cabinets,
                                  {},
                                  rules,
                                  kShanghai,
                                  at(row.now),
                                  {},
                                  {{"A", at("2026-11-23T15:00")}}};
        std::string text;
        for (const KeyCondition& one : key_conditions(input))
            text += (text.empty() ? "" : " ") + one.code + ":" + std::to_string(one.severity);
        INFO(row.now);
        CHECK(text == row.holds);
    }
}

TEST_CASE("access while the office is shut is a shift's, an emergency's, or told") {
    KeyRules rules;
    rules.alerts = {"after_hours_access"};
    KeyFact fact;
    fact.kind = KeyFactKind::after_hours_access;
    fact.subject = fact.cabinet = "kc-01";
    fact.person = "s-2";
    fact.at = at("2026-11-23T22:00");
    struct Row {
        const char *what, *dispatched;
        TicketUrgency urgency;
        bool on_duty;
        const char* now;
        bool told;
    };
    const Row rows[] = {
        {"within a quarter of an hour a slip may come", "", TicketUrgency::normal, false,
         "2026-11-23T22:14", false},
        {"none came", "", TicketUrgency::normal, false, "2026-11-23T22:15", true},
        {"whose shift it is", "", TicketUrgency::normal, true, "2026-11-23T22:15", false},
        {"an emergency, written down after it", "2026-11-23T22:10", TicketUrgency::urgent, false,
         "2026-11-23T22:15", false},
        {"one that came too late", "2026-11-23T22:16", TicketUrgency::urgent, false,
         "2026-11-23T22:30", true},
        {"work that could wait", "2026-11-23T21:50", TicketUrgency::normal, false,
         "2026-11-23T22:15", true},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        Ticket ticket = reported();
        ticket.urgency = row.urgency;
        if (*row.dispatched != '\0') {
            ticket.state = TicketState::working;
            ticket.crew = {"s-2"};
            ticket.dispatched_at = at(row.dispatched);
            ticket.spans = {{ticket.crew, at(row.dispatched), std::nullopt}};
        }
        KeyWatchInput input{{},    {{"A", &ticket}}, {},         {fact}, {}, {},
                            rules, kShanghai,        at(row.now)};
        if (row.on_duty) input.on_duty = {"s-2"};
        CHECK(key_conditions(input).size() == (row.told ? 1U : 0U));
    }
}

TEST_CASE("a key that is out three times in a week for one ticket is told, for two it is not") {
    Key key;
    key.key = "k-1";
    key.class_ = KeyClass::entrusted;
    const auto entry = [](int seq, const char* out, std::set<std::string> tickets) {
        return KeyEntry{{"kc-01", 1, seq}, at(out), std::move(tickets)};
    };
    std::vector<KeyEntry> entries{entry(1, "2026-11-16T09:00", {"A"}),
                                  entry(2, "2026-11-20T09:00", {}),
                                  entry(3, "2026-11-23T08:59", {"A"})};
    const auto facts = entered_often(key, entries);
    REQUIRE(facts.size() == 1);
    CHECK(format(facts[0].event) == format(entries[2].loan));
    CHECK(facts[0].subject == "k-1");
    // One more is another one, and what was told of the one before stands.
    entries.push_back(entry(4, "2026-11-23T11:00", {}));
    const auto more = entered_often(key, entries);
    REQUIRE(more.size() == 2);
    CHECK(format(more[0].event) == format(entries[2].loan));
    CHECK(format(more[1].event) == format(entries[3].loan));
    entries.resize(3);
    entries[1].tickets = {"B"};
    CHECK(entered_often(key, entries).empty());
    entries[1].tickets.clear();
    entries[2].out_at = at("2026-11-23T09:00");
    CHECK(entered_often(key, entries).empty());
    entries[2].out_at = at("2026-11-23T08:59");
    key.class_ = KeyClass::vacant;
    CHECK(entered_often(key, entries).empty());
}

// When each alert of a loan holds, minute by minute around its edges.
TEST_CASE("alerts of a key that is out") {
    Key key;
    key.key = "k-1";
    key.class_ = KeyClass::entrusted;
    key.opens = {"u-1"};
    KeyRules rules;
    rules.alerts = default_key_alerts();
    KeyLoan loan;
    loan.id = {"kc-01", 1, 1};
    loan.key = "k-1";
    loan.holder = "s-2";
    loan.out_at = at("2026-11-23T15:00");
    Ticket ticket = reported();
    ticket.number = "A";
    ticket.crew = {"s-2"};
    ticket.state = TicketState::done;
    ticket.done_at = at("2026-11-23T16:00");
    struct Row {
        const char* now;
        bool linked;
        const char* holds;
    };
    const Row rows[] = {
        {"2026-11-23T15:14", false, ""},
        {"2026-11-23T15:15", false, "key_out_no_ticket:3"},
        {"2026-11-23T15:15", true, ""},
        {"2026-11-23T16:29", true, ""},
        {"2026-11-23T16:30", true, "ticket_closed_key_out:3"},
        {"2026-11-23T17:49", true, "ticket_closed_key_out:3"},
        {"2026-11-23T17:50", true, "key_past_curfew:1 ticket_closed_key_out:3"},
        {"2026-11-23T18:00", true, "key_past_curfew:3 ticket_closed_key_out:3"},
        {"2026-11-23T18:01", true, "key_overdue:2 key_past_curfew:3 ticket_closed_key_out:3"},
        {"2026-11-23T20:01", true, "key_overdue:3 key_past_curfew:3 ticket_closed_key_out:3"},
    };
    for (const Row& row : rows) {
        std::vector<LoanFacts> loans{{&loan, &key, KeyPlace::out, {}}};
        if (row.linked) loans[0].links = {{"A", KeyLinkKind::auto_, true}};
        const KeyWatchInput input{loans, {{"A", &ticket}}, {},         {}, {}, {},
                                  rules, kShanghai,        at(row.now)};
        std::string text;
        for (const KeyCondition& one : key_conditions(input))
            text += (text.empty() ? "" : " ") + one.code + ":" + std::to_string(one.severity);
        INFO(row.now << (row.linked ? " linked" : ""));
        CHECK(text == row.holds);
    }
}
