// A ticket that was just reported, and its moves in one line each.
#pragma once

#include <string>
#include <variant>

#include "daemon/core/ticket.hpp"
#include "tests/unit/zones.hpp"

namespace gatehouse::test {

inline constexpr std::int64_t kHourMs = 3'600'000, kDayMs = 86'400'000;

inline const Zone& kShanghai = kZone;

inline UtcMs at(const char* text) {
    return parse_iso8601(text, kShanghai).value();
}

inline Ticket reported() {
    Ticket ticket;
    ticket.number = "WX-202611-0001";
    ticket.unit = "u-1";
    ticket.category = "门窗锁具";
    ticket.reported_at = at("2026-11-23T10:00");
    return ticket;
}

// The states it went through, or the type of the refusal.
inline std::string play(Ticket& ticket, TicketAction action, UtcMs now, TicketMove move = {}) {
    const Calendar calendar;
    move.action = action;
    move.by = "s-1";
    if (move.reason.empty()) move.reason = "why";
    if (action == TicketAction::dispatch || action == TicketAction::transfer) move.crew = {"s-2"};
    if (!move.until && (action == TicketAction::pause || action == TicketAction::extend))
        move.until = now + kDayMs;
    if (action == TicketAction::visit && move.rating.empty()) move.rating = "A";
    const auto result = move_ticket(ticket, move, now, {calendar, kShanghai});
    if (const auto* refused = std::get_if<TicketRefusal>(&result)) return refused->type;
    ticket = std::get<TicketStep>(result).ticket;
    std::string text;
    for (const TicketState state : std::get<TicketStep>(result).states)
        text += (text.empty() ? "" : " ") + std::string(to_string(state));
    return text;
}

}  // namespace gatehouse::test
