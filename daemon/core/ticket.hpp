// The repair ticket: its machine of moves, its timers, and what its closing needs
// (keys-and-tickets.md 4.1). It reads no clock and knows no key but by name. Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/core/calendar.hpp"
#include "daemon/core/time.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

enum class TicketKind { repair, complaint, inspection, defect, paid_service };
enum class TicketUrgency { urgent, normal, planned };  // 急, 一般, 计划
enum class TicketState {
    reported,
    dispatched,
    accepted,
    working,
    paused,
    done,
    visit_due,
    visited,
    closed,
    cancelled,
};
enum class TicketAction {
    dispatch,
    accept,
    decline,
    transfer,
    start,
    pause,
    done,
    visit,
    close,
    reopen,
    cancel,
    link,
    unlink,
    extend,
};
[[nodiscard]] const char* to_string(TicketKind value);
[[nodiscard]] const char* to_string(TicketUrgency value);
[[nodiscard]] const char* to_string(TicketState value);
[[nodiscard]] const char* to_string(TicketAction value);
[[nodiscard]] std::optional<TicketKind> parse_ticket_kind(std::string_view word);
[[nodiscard]] std::optional<TicketUrgency> parse_ticket_urgency(std::string_view word);  // 急 too
[[nodiscard]] std::optional<TicketState> parse_ticket_state(std::string_view word);
[[nodiscard]] std::optional<TicketAction> parse_ticket_action(std::string_view word);

// Who was sent, and how long it was theirs: appended, and never edited but for its end, so that a
// key is judged by whoever had the ticket when it was taken.
struct CrewSpan {
    std::vector<std::string> crew;
    UtcMs from = 0;
    std::optional<UtcMs> to;
    friend bool operator==(const CrewSpan&, const CrewSpan&) = default;
};

// What a move brought that a month is summed by: appended, so that what happens to the ticket later
// changes no month that is over.
struct TicketOutcome {
    UtcMs at = 0;
    std::string what;              // done, visit, fees (typed after it was done)
    std::optional<UtcMs> done_by;  // done: as it stood then
    Fen material, labour;          // of done and fees: what was added
    std::string rating;            // of a visit
    std::string spoken_to = {};    // of a visit: whom, in somebody's words
    friend bool operator==(const TicketOutcome&, const TicketOutcome&) = default;
};

struct Ticket {
    std::string number;  // WX-202611-0042; inspections count apart, as XJ
    TicketKind kind = TicketKind::repair;
    TicketState state = TicketState::reported;
    TicketUrgency urgency = TicketUrgency::normal;
    std::string unit, place;  // a place of the public area where it is no unit
    std::string category, text, channel, external_no, by;
    std::vector<std::string> crew;
    std::vector<CrewSpan> spans;
    std::vector<TicketOutcome> outcomes;
    UtcMs reported_at = 0;
    std::optional<UtcMs> dispatched_at, accepted_at, started_at, done_at, visited_at, closed_at,
        cancelled_at;
    std::optional<UtcMs> appointment_at, resume_at;
    // When it should be sent, on site and done; each moves with `extend` and with a pause.
    std::optional<UtcMs> dispatch_by, on_site_by, done_by;
    std::optional<UtcMs> paused_at, visit_by;
    int reopened = 0;
    bool must_visit = false;  // by rule; else by the sample
    bool visit_wanted = false;
    std::string rating;  // A satisfied, B fairly, C not
    std::string result, pause_reason;
    std::optional<Fen> agreed_price, material, labour;  // of paid repairs
    std::string pay_method, receipt;
    bool emergency = false;
    std::optional<UtcMs> owner_contacted_at;
    std::string close_override;  // why it was closed with a key out
    friend bool operator==(const Ticket&, const Ticket&) = default;
};

// Whether work on it may still need a key, and whether it counts as backlog (4.1's identity).
[[nodiscard]] bool is_at_work(TicketState state);  // dispatched, accepted, working, paused
[[nodiscard]] bool is_backlog(TicketState state);  // neither done (and after) nor cancelled
[[nodiscard]] std::optional<UtcMs> end_of_work(const Ticket& ticket);
// Of a ticket that was moved last by a version that kept none: what its fields say.
[[nodiscard]] std::vector<CrewSpan> spans_of(const Ticket& ticket);
[[nodiscard]] std::vector<TicketOutcome> outcomes_of(const Ticket& ticket);

// One move as somebody asks for it; a field that the action does not use is refused by the caller.
struct TicketMove {
    TicketAction action = TicketAction::dispatch;
    std::string by, note, reason;
    std::vector<std::string> crew;
    std::optional<UtcMs> at;  // dispatch, transfer, accept, start, done: as the slip says; else now
    std::optional<UtcMs> appointment_at, until;
    std::string result, rating, spoken_to, pay_method, receipt;
    std::optional<Fen> agreed_price, material, labour;
    std::optional<UtcMs> owner_contacted_at;
    bool keys_out = false;   // linked keys that are not back
    bool override_ = false;  // closes all the same, with a reason
    std::uint32_t lot = 0;   // drawn from number and month's secret, for the sample of visits
    bool safety = false;     // a key of an occupied home was used while the owner was away, ...
};
struct TicketRefusal {
    std::string pointer, type, text;  // type: "ticket-state", "ticket-keys-out" or "invalid"
};
// The ticket after the move; `states` are those it went through, one row each. A refusal has
// changed nothing.
struct TicketStep {
    Ticket ticket;
    std::vector<TicketState> states;
};
struct TicketTerms {
    const Calendar& calendar;
    const Zone& zone;
};
[[nodiscard]] std::variant<TicketStep, TicketRefusal> move_ticket(const Ticket& ticket,
                                                                  const TicketMove& move, UtcMs now,
                                                                  const TicketTerms& terms);
// Sets the timers of a ticket that was just reported, or reopened.
void set_timers(Ticket& ticket, UtcMs from, const TicketTerms& terms);

// A ticket of the last month is reopened; an older one is a new ticket.
inline constexpr std::int64_t kReopenMs = 30 * 86'400'000LL;
// Of a hundred tickets that need no visit by rule, so many are visited all the same.
inline constexpr std::uint32_t kVisitPercent = 30;

// Minutes of service (08:30 to 17:30 on workdays) after `from`; what is urgent counts by the wall.
[[nodiscard]] UtcMs after_service_minutes(UtcMs from, std::int64_t minutes,
                                          const TicketTerms& terms);
// How much of the time between the two was service.
[[nodiscard]] std::int64_t service_ms_between(UtcMs from, UtcMs to, const TicketTerms& terms);
// The first of the two levels of a category: 电气 of 电气/插座.
[[nodiscard]] std::string_view first_level(std::string_view category);

}  // namespace gatehouse
