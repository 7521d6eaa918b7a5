#include "daemon/engine/repair_summary.hpp"

#include <algorithm>

#include "daemon/core/key_watch.hpp"
#include "daemon/core/units.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/key_codec.hpp"

namespace gatehouse {
namespace {

constexpr int kRepairsFiledOnDay = 3;

std::string name_of(LocalDate month) {
    return format_date(month).substr(0, 7);
}

// The state in which the moves so far left a ticket; nothing: it was not reported yet.
std::optional<TicketState> state_at(const std::vector<TicketMoveRow>& moves, UtcMs at) {
    std::optional<TicketState> state;
    for (const TicketMoveRow& move : moves)
        if (move.at < at) state = parse_ticket_state(move.to);
    return state;
}

bool is_done(const TicketMoveRow& move) {
    return move.action == "done" && move.to == "done";
}

// A slip that was typed after its month was filed counts when it was typed; when it was so stands
// on the ticket, unless that is of a later round.
UtcMs earlier(const std::optional<UtcMs>& of_ticket, UtcMs counted) {
    return of_ticket ? std::min(*of_ticket, counted) : counted;
}

void count(RepairCounts& counts, const Ticket& ticket, const std::vector<TicketMoveRow>& moves,
           UtcMs from, UtcMs to) {
    const auto open = [&](UtcMs at) {
        const auto state = state_at(moves, at);
        return state && is_backlog(*state);
    };
    if (open(from)) ++counts.opening;
    if (open(to)) ++counts.closing;
    const std::vector<CountedOutcome> outcomes = counted_outcomes(ticket, moves);
    const auto happened = [&](const TicketMoveRow& move) {
        for (const CountedOutcome& one : outcomes)
            if (one.move == move.id) return one.outcome.at;
        return move.at;
    };
    bool begun = false;
    for (const TicketMoveRow& move : moves) {
        const bool first = move.to == "working" && !begun;
        begun = begun || first;
        if (move.at < from || move.at >= to) continue;
        if (first)
            counts.responses_ms.push_back(earlier(ticket.started_at, move.at) - ticket.reported_at);
        if (move.action == "report") ++counts.reported;
        if (move.action == "reopen") ++counts.reopened;
        if (move.to == "cancelled") ++counts.cancelled;
        if (is_visit(move)) ++counts.visited;
        if (!is_done(move)) continue;
        ++counts.done;
        counts.durations_ms.push_back(happened(move) - ticket.reported_at);
    }
    for (const auto& [move, at, one] : outcomes) {
        if (at < from || at >= to) continue;
        counts.fees += one.material + one.labour;
        if (one.what == "done")
            ++(one.done_by && one.at > *one.done_by ? counts.late : counts.on_time);
        if (one.rating == "A") ++counts.rated_a;
        if (one.rating == "B") ++counts.rated_b;
        if (one.rating == "C") ++counts.rated_c;
    }
}

// Keys that were out for the ticket: each loan with the one ticket that explains it first.
void count_keys(RepairCounts& counts, KeyBooks& books, const std::string& ticket, UtcMs from,
                UtcMs to, UtcMs now) {
    for (const KeyLinkRow& link : books.links_of_ticket(ticket)) {
        const auto kind = parse_key_link_kind(link.kind);
        const auto loan = books.loan(link.loan);
        if (!kind || !gatehouse::counts(*kind) || !link.primary || !loan) continue;
        const UtcMs begin = std::max(loan->out_at, from);
        const UtcMs end = std::min(loan->in_at.value_or(now), to);
        if (loan->out_at >= from && loan->out_at < to) ++counts.key_loans;
        if (end > begin) counts.keys_out_ms += end - begin;
    }
}

// The ticket as it stood then: what came later belongs to the sheet of another month.
Ticket as_of(const Ticket& ticket, const std::vector<TicketMoveRow>& moves, UtcMs at) {
    Ticket then = ticket;
    then.reopened = 0;
    for (auto* time : {&then.dispatched_at, &then.started_at, &then.done_at, &then.visited_at,
                       &then.closed_at, &then.cancelled_at})
        time->reset();
    UtcMs begun = ticket.reported_at;
    for (const TicketMoveRow& move : moves) {
        if (move.at >= at) break;
        if (move.action == "link" || move.action == "extend") continue;
        then.state = parse_ticket_state(move.to).value_or(then.state);
        if (move.to == "dispatched") then.dispatched_at = move.at;
        if (move.to == "working" && !then.started_at) then.started_at = move.at;
        if (move.to == "done") then.done_at = move.at;
        if (move.to == "visited") then.visited_at = move.at;
        if (move.to == "closed") then.closed_at = move.at;
        if (move.to == "cancelled") then.cancelled_at = move.at;
        if (move.action == "decline") then.dispatched_at.reset();
        if (move.action != "reopen") continue;
        ++then.reopened;
        begun = move.at;
        for (auto* time : {&then.dispatched_at, &then.started_at, &then.done_at, &then.visited_at,
                           &then.closed_at})
            time->reset();
    }
    const bool same = then.reopened == ticket.reopened;
    if (!same) then.receipt.clear();
    if (then.dispatched_at) then.dispatched_at = earlier(ticket.dispatched_at, *then.dispatched_at);
    if (then.started_at) then.started_at = earlier(ticket.started_at, *then.started_at);
    then.rating.clear();
    Fen material, labour;
    for (const auto& [move, counted, one] : counted_outcomes(ticket, moves)) {
        if (counted < begun || counted >= at) continue;
        material += one.material;
        labour += one.labour;
        if (one.what == "done") {
            then.done_by = one.done_by;
            then.done_at = one.at;
        }
        if (one.what == "visit") then.rating = one.rating;
    }
    then.material.reset();
    then.labour.reset();
    if (material != Fen{}) then.material = material;
    if (labour != Fen{}) then.labour = labour;
    return then;
}

std::optional<std::int64_t> median_minutes(std::vector<std::int64_t> durations_ms) {
    if (durations_ms.empty()) return std::nullopt;
    const auto middle = durations_ms.begin() + static_cast<std::ptrdiff_t>(durations_ms.size() / 2);
    std::nth_element(durations_ms.begin(), middle, durations_ms.end());
    return *middle / 60'000;
}

void counts_fields(JsonWriter& json, const RepairCounts& one) {
    json.field("opening", one.opening)
        .field("reported", one.reported)
        .field("reopened", one.reopened)
        .field("done", one.done)
        .field("cancelled", one.cancelled)
        .field("closing", one.closing)
        .field("on_time", one.on_time)
        .field("late", one.late)
        .field("visited", one.visited)
        .field("rated_a", one.rated_a)
        .field("rated_b", one.rated_b)
        .field("rated_c", one.rated_c)
        .field("median_minutes", median_minutes(one.durations_ms))
        .field("median_response_minutes", median_minutes(one.responses_ms))
        .field("key_loans", one.key_loans)
        .field("key_hours", format_decimal(one.keys_out_ms / 360'000, 1))
        .field("fees", format(one.fees));
}

}  // namespace

bool is_visit(const TicketMoveRow& move) {
    return move.action == "visit" && move.to == "visited";
}

// Rows and outcomes are both appended by the same moves; of a ticket that an older version moved
// the last outcomes are there alone.
std::vector<CountedOutcome> counted_outcomes(const Ticket& ticket,
                                             const std::vector<TicketMoveRow>& moves) {
    std::vector<CountedOutcome> all;
    for (TicketOutcome& outcome : outcomes_of(ticket)) {
        const UtcMs at = outcome.at;
        all.push_back({0, at, std::move(outcome)});
    }
    for (const auto& [what, is_its_move] :
         {std::pair{"done", &is_done}, std::pair{"visit", &is_visit}}) {
        auto move = moves.rbegin();
        for (auto one = all.rbegin(); one != all.rend(); ++one) {
            if (one->outcome.what != what) continue;
            move = std::find_if(move, moves.rend(), is_its_move);
            if (move == moves.rend()) break;
            one->move = move->id;
            one->at = move->at;
            ++move;
        }
    }
    return all;
}

std::map<std::int64_t, std::string> spoken_to_of(const Ticket& ticket,
                                                 const std::vector<TicketMoveRow>& moves) {
    std::map<std::int64_t, std::string> all;
    for (CountedOutcome& one : counted_outcomes(ticket, moves))
        if (one.move != 0 && !one.outcome.spoken_to.empty())
            all.emplace(one.move, std::move(one.outcome.spoken_to));
    return all;
}

RepairMonth read_repair_month(KeyBooks& books, UtcMs from, UtcMs to, UtcMs now) {
    RepairMonth month;
    for (const TicketRow& row : books.tickets_ended_since(from)) {
        const std::vector<TicketMoveRow> moves = books.moves(row.number);
        if (moves.empty() || moves.front().at >= to) continue;
        Ticket ticket = ticket_of(row);
        if (ticket.kind == TicketKind::inspection) continue;
        count(month.categories[ticket.category], ticket, moves, from, to);
        count(month.total, ticket, moves, from, to);
        count_keys(month.categories[ticket.category], books, ticket.number, from, to, now);
        count_keys(month.total, books, ticket.number, from, to, now);
        if (moves.front().at >= from && ticket.reported_at < from)
            month.entered_late.insert(ticket.number);
        month.tickets.push_back(as_of(ticket, moves, to));
    }
    return month;
}

std::string repair_month_json(const RepairMonth& month, const std::string& name,
                              const std::string& currency,
                              const std::function<std::string(const Ticket&)>& row) {
    JsonWriter json;
    json.begin_object().field("month", name).key("items").begin_array();
    for (const Ticket& ticket : month.tickets) json.raw(row(ticket));
    json.end_array().key("categories").begin_array();
    for (const auto& [category, counts] : month.categories) {
        json.begin_object().field("category", category);
        counts_fields(json, counts);
        json.end_object();
    }
    json.end_array().key("totals").begin_object();
    counts_fields(json, month.total);
    json.field("currency", currency).end_object().field("foots", month.total.foots()).end_object();
    return json.take();
}

std::string filed_repairs(KeyBooks& books, LocalDate month, const Zone& zone,
                          const std::string& currency) {
    const UtcMs end = zone.midnight(next_month(month));
    const RepairMonth repairs = read_repair_month(books, zone.midnight(month), end, end);
    const auto time = [&](JsonWriter& json, const char* name, const std::optional<UtcMs>& at) {
        if (at) json.field(name, format_iso8601(*at, zone));
    };
    return repair_month_json(repairs, name_of(month), currency, [&](const Ticket& ticket) {
        JsonWriter json;
        json.begin_object()
            .field("number", ticket.number)
            .field("kind", to_string(ticket.kind))
            .field("category", ticket.category)
            .field("urgency", to_string(ticket.urgency))
            .field_if("unit", ticket.unit)
            .field_if("place", ticket.place)
            .field("state", to_string(ticket.state))
            .field("reported_at", format_iso8601(ticket.reported_at, zone));
        time(json, "dispatched_at", ticket.dispatched_at);
        time(json, "started_at", ticket.started_at);
        time(json, "done_at", ticket.done_at);
        time(json, "cancelled_at", ticket.cancelled_at);
        time(json, "visited_at", ticket.visited_at);
        json.field_if("rating", ticket.rating).field_if("receipt", ticket.receipt);
        if (ticket.material) json.field("material", format(*ticket.material));
        if (ticket.labour) json.field("labour", format(*ticket.labour));
        if (ticket.done_at)
            json.field("on_time", !ticket.done_by || *ticket.done_at <= *ticket.done_by);
        if (repairs.entered_late.contains(ticket.number)) json.field("entered_late", true);
        json.field("reopened", ticket.reopened).end_object();
        return json.take();
    });
}

std::optional<LocalDate> month_to_file(KeyBooks& books, UtcMs now, const Zone& zone) {
    const LocalDate today = zone.local(now).date;
    const int ended = today.year * 12 + today.month - 1;  // months before this one are over
    for (int back = 3; back >= 1; --back) {
        if (back == 1 && today.day < kRepairsFiledOnDay) continue;
        const int count = ended - back;
        const LocalDate month{count / 12, count % 12 + 1, 1};
        const UtcMs from = zone.midnight(month), to = zone.midnight(next_month(month));
        if (books.register_row(kRepairsFiled, name_of(month))) continue;
        // A month in which nothing was written down is none of this register's.
        if (!books.moves_between(from, to).empty()) return month;
    }
    return std::nullopt;
}

}  // namespace gatehouse
