#include "daemon/core/ticket.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/core/ledger.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kMinuteMs = 60'000, kDayMs = 86'400'000;
constexpr int kServiceFrom = 8 * 60 + 30, kServiceTo = 17 * 60 + 30;
// Nobody's office rests longer than that; the search for a workday ends there.
constexpr int kRestDaysMax = 400;

template <class Value>
struct Word {
    Value value;
    const char* word;
};
// clang before 17 does not deduce an aggregate's arguments by itself.
template <class Value>
Word(Value, const char*) -> Word<Value>;
constexpr std::array kKinds{
    Word{TicketKind::repair, "repair"},
    Word{TicketKind::complaint, "complaint"},
    Word{TicketKind::inspection, "inspection"},
    Word{TicketKind::defect, "defect"},
    Word{TicketKind::paid_service, "paid_service"},
};
constexpr std::array kUrgencies{
    Word{TicketUrgency::urgent, "urgent"},   Word{TicketUrgency::normal, "normal"},
    Word{TicketUrgency::planned, "planned"}, Word{TicketUrgency::urgent, "急"},
    Word{TicketUrgency::normal, "一般"},     Word{TicketUrgency::planned, "计划"},
};
constexpr std::array kStates{
    Word{TicketState::reported, "reported"},   Word{TicketState::dispatched, "dispatched"},
    Word{TicketState::accepted, "accepted"},   Word{TicketState::working, "working"},
    Word{TicketState::paused, "paused"},       Word{TicketState::done, "done"},
    Word{TicketState::visit_due, "visit_due"}, Word{TicketState::visited, "visited"},
    Word{TicketState::closed, "closed"},       Word{TicketState::cancelled, "cancelled"},
};
constexpr std::array kActions{
    Word{TicketAction::dispatch, "dispatch"}, Word{TicketAction::accept, "accept"},
    Word{TicketAction::decline, "decline"},   Word{TicketAction::transfer, "transfer"},
    Word{TicketAction::start, "start"},       Word{TicketAction::pause, "pause"},
    Word{TicketAction::done, "done"},         Word{TicketAction::visit, "visit"},
    Word{TicketAction::close, "close"},       Word{TicketAction::reopen, "reopen"},
    Word{TicketAction::cancel, "cancel"},     Word{TicketAction::link, "link"},
    Word{TicketAction::unlink, "unlink"},     Word{TicketAction::extend, "extend"},
};

template <class Words, class Value>
const char* word_of(const Words& words, Value value) {
    for (const auto& one : words)
        if (one.value == value) return one.word;
    return "";
}
template <class Value, class Words>
std::optional<Value> value_of(const Words& words, std::string_view word) {
    for (const auto& one : words)
        if (one.word == word) return one.value;
    return std::nullopt;
}

using States = std::vector<TicketState>;

// From which states an action may be taken; empty: from any that is not the end.
States from_states(TicketAction action) {
    using S = TicketState;
    switch (action) {
        case TicketAction::dispatch:
            return {S::reported};
        case TicketAction::accept:
            return {S::dispatched};
        case TicketAction::decline:
            return {S::dispatched, S::accepted};
        case TicketAction::transfer:
            return {S::dispatched, S::accepted, S::working, S::paused};
        case TicketAction::start:
            return {S::accepted, S::paused};
        case TicketAction::pause:
            return {S::working};
        case TicketAction::done:
            return {S::working};
        case TicketAction::visit:
            return {S::done, S::visit_due};
        case TicketAction::close:
            return {S::done, S::visited};
        case TicketAction::reopen:
            return {S::done, S::visit_due, S::visited, S::closed};
        case TicketAction::cancel:
            return {S::reported, S::dispatched, S::accepted, S::working, S::paused};
        // What is done has no limit any more that could be moved.
        case TicketAction::extend:
            return {S::reported, S::dispatched, S::accepted, S::working, S::paused};
        case TicketAction::link:
        case TicketAction::unlink:
            return {S::reported, S::dispatched, S::accepted,  S::working,
                    S::paused,   S::done,       S::visit_due, S::visited};
    }
    return {};
}

// The allowed actions of a state, for the remedy.
std::string actions_of(TicketState state) {
    std::string text;
    for (const auto& one : kActions) {
        const States from = from_states(one.value);
        if (std::find(from.begin(), from.end(), state) == from.end()) continue;
        text += (text.empty() ? "" : ", ") + std::string(one.word);
    }
    return text.empty() ? "nothing more" : text;
}

bool is_leak(const Ticket& ticket) {
    const std::string_view level = first_level(ticket.category);
    if (level == "土建渗漏" || level == "structure" || level == "leak") return true;
    // Of a pipe as well, which is another trade; who reports it says so in his words.
    const auto says = [](const std::string& text) {
        return text.find("漏水") != std::string::npos || text.find("渗漏") != std::string::npos;
    };
    return says(ticket.category) || says(ticket.text);
}

bool is_electrical(const Ticket& ticket) {
    const std::string_view level = first_level(ticket.category);
    return level == "电气" || level == "electrical" || level == "power";
}

// Whatever its kind, the resident paid for it or was told a price.
bool is_paid(const Ticket& ticket) {
    const Fen none{};
    return ticket.kind == TicketKind::paid_service || ticket.agreed_price.value_or(none) > none ||
           ticket.material.value_or(none) + ticket.labour.value_or(none) > none;
}

// 4.1's rule: what must be visited whatever the lot says.
bool must_be_visited(const Ticket& ticket, const TicketMove& move) {
    return is_leak(ticket) || is_electrical(ticket) || is_paid(ticket) || ticket.reopened > 0 ||
           ticket.kind == TicketKind::complaint || move.safety;
}

std::int64_t visit_days(const Ticket& ticket) {
    const std::string_view level = first_level(ticket.category);
    if (is_electrical(ticket) || level == "消防" || level == "fire" || level == "电梯" ||
        level == "lift")
        return 2;
    return is_leak(ticket) ? 3 : 7;
}

struct Service {
    UtcMs begin, end;
};
Service service_of(UtcMs midnight) {
    return {midnight + std::int64_t{kServiceFrom} * kMinuteMs,
            midnight + std::int64_t{kServiceTo} * kMinuteMs};
}

// Nothing of service leaves the moment as it is, also outside of it.
UtcMs after_service_ms(UtcMs from, std::int64_t left_ms, const TicketTerms& terms) {
    if (left_ms == 0) return from;
    LocalDate day = terms.zone.local(from).date;
    UtcMs at = from;
    for (int i = 0; i < kRestDaysMax; ++i) {
        const auto [begin, end] = service_of(terms.zone.midnight(day));
        if (terms.calendar.kind(day) == BandDays::workday && at < end) {
            at = std::max(at, begin);
            if (left_ms <= end - at) return at + left_ms;
            left_ms -= end - at;
        }
        day = date_from_days(days_since_epoch(day) + 1);
        at = std::max(at, terms.zone.midnight(day));
    }
    return at;
}

bool takes_time(TicketAction action) {
    using A = TicketAction;
    return action == A::dispatch || action == A::transfer || action == A::accept ||
           action == A::start || action == A::done;
}

// What happened to it so far; nothing of its way can have happened before that.
UtcMs newest_time(const Ticket& ticket) {
    UtcMs newest = ticket.reported_at;
    const auto take = [&](const std::optional<UtcMs>& at) {
        newest = std::max(newest, at.value_or(newest));
    };
    for (const auto* at :
         {&ticket.dispatched_at, &ticket.accepted_at, &ticket.started_at, &ticket.paused_at})
        take(*at);
    for (const CrewSpan& span : ticket.spans) {
        take(span.from);
        take(span.to);
    }
    for (const TicketOutcome& outcome : ticket.outcomes) take(outcome.at);
    return newest;
}

class Mover {
  public:
    Mover(const Ticket& ticket, const TicketMove& move, UtcMs now, const TicketTerms& terms)
        : step_{ticket, {}},
          ticket_(step_.ticket),
          move_(move),
          now_(now),
          at_(move.at.value_or(now)),
          terms_(terms) {
        ticket_.spans = spans_of(ticket);
        ticket_.outcomes = outcomes_of(ticket);
    }

    std::variant<TicketStep, TicketRefusal> run() {
        if (auto refusal = check()) return *std::move(refusal);
        carry_out();
        return std::move(step_);
    }

  private:
    std::optional<TicketRefusal> check() const {
        const States from = from_states(move_.action);
        if (move_.action == TicketAction::close && ticket_.state == TicketState::visit_due)
            return visit_first();
        if (std::find(from.begin(), from.end(), ticket_.state) == from.end())
            return TicketRefusal{"", "ticket-state",
                                 "ticket " + ticket_.number + " is " + to_string(ticket_.state) +
                                     ": `" + to_string(move_.action) +
                                     "` is not possible; what is: " + actions_of(ticket_.state)};
        switch (move_.action) {
            case TicketAction::dispatch:
            case TicketAction::transfer:
                if (move_.crew.empty()) return missing("/crew", "name who goes");
                break;
            case TicketAction::decline:
            case TicketAction::cancel:
            case TicketAction::reopen:
            case TicketAction::unlink:
                if (move_.reason.empty()) return missing("/reason", "say why");
                break;
            case TicketAction::start:
                if (ticket_.kind == TicketKind::paid_service && !ticket_.agreed_price &&
                    !move_.agreed_price)
                    return missing("/agreed_price", "agree on the price before the work");
                break;
            case TicketAction::pause:
                if (move_.reason.empty()) return missing("/reason", "say what is waited for");
                if (!move_.until) return missing("/until", "say when the work goes on");
                break;
            case TicketAction::extend:
                if (move_.reason.empty()) return missing("/reason", "say why");
                if (!move_.until) return missing("/until", "say until when");
                break;
            case TicketAction::visit:
                return check_rating();
            case TicketAction::close:
                if (auto refusal = check_close()) return refusal;
                break;
            default:
                break;
        }
        if (auto refusal = check_time()) return refusal;
        if (auto refusal = check_money()) return refusal;
        if (move_.until && *move_.until <= now_)
            return TicketRefusal{"/until", "invalid", "it lies in the past; name a time to come"};
        if (move_.action == TicketAction::reopen && end_of_work(ticket_) &&
            now_ - *end_of_work(ticket_) > kReopenMs)
            return TicketRefusal{
                "", "ticket-old",
                "ticket " + ticket_.number + " ended more than 30 days ago; open a new one"};
        return std::nullopt;
    }
    static std::optional<TicketRefusal> missing(const char* pointer, const char* what) {
        return TicketRefusal{pointer, "invalid", std::string("missing: ") + what};
    }
    // A slip that is typed later says when it was so; its way stays in order.
    std::optional<TicketRefusal> check_time() const {
        if (!move_.at) return std::nullopt;
        if (!takes_time(move_.action))
            return TicketRefusal{"/at", "invalid",
                                 std::string("`") + to_string(move_.action) +
                                     "` is written down as it happens and takes no time"};
        if (at_ > now_) return TicketRefusal{"/at", "invalid", "it lies in the future"};
        const UtcMs newest = newest_time(ticket_);
        if (at_ < newest)
            return TicketRefusal{"/at", "invalid",
                                 "it lies before " + format_iso8601(newest, terms_.zone) +
                                     ", when the ticket was " + to_string(ticket_.state) +
                                     "; name a time after it"};
        return std::nullopt;
    }
    std::optional<TicketRefusal> check_rating() const {
        if (move_.rating == "A" || move_.rating == "B" || move_.rating == "C") return std::nullopt;
        return TicketRefusal{
            "/rating", "invalid",
            "`" + move_.rating + "` is none of A (satisfied), B (fairly) and C (not satisfied)"};
    }
    std::optional<TicketRefusal> check_close() const {
        if (ticket_.state == TicketState::done && ticket_.visit_wanted) return visit_first();
        if (move_.keys_out && !move_.override_)
            return TicketRefusal{"", "ticket-keys-out",
                                 "a key that was taken for ticket " + ticket_.number +
                                     " is not back; return it, or close with a reason"};
        if (move_.override_ && move_.reason.empty())
            return missing("/reason", "say why it is closed with a key out");
        // Who paid for it has a receipt, and the office can find it.
        if (ticket_.kind != TicketKind::paid_service) return std::nullopt;
        const bool told = ticket_.material || ticket_.labour || move_.material || move_.labour;
        if (!told && ticket_.agreed_price.value_or(Fen{}) > Fen{})
            return missing("/labour",
                           "write what was taken for it (material, labour; 0.00 where nothing "
                           "was)");
        if (charged() == Fen{}) return std::nullopt;
        if (ticket_.pay_method.empty() && move_.pay_method.empty())
            return missing("/pay_method", "say how it was paid");
        if (ticket_.receipt.empty() && move_.receipt.empty())
            return missing("/receipt", "write the number of the receipt");
        return std::nullopt;
    }
    static TicketRefusal visit_first() {
        return {"", "ticket-visit", "the return visit is due first"};
    }
    [[nodiscard]] Fen charged() const {
        return move_.material.value_or(ticket_.material.value_or(Fen{})) +
               move_.labour.value_or(ticket_.labour.value_or(Fen{}));
    }
    // A resident pays what was agreed on and no more.
    std::optional<TicketRefusal> check_money() const {
        if (!move_.pay_method.empty() && !parse_method(move_.pay_method))
            return TicketRefusal{
                "/pay_method", "invalid",
                "`" + move_.pay_method + "` is none of cash, card, transfer, qr and cheque"};
        const bool ends = move_.action == TicketAction::done || move_.action == TicketAction::close;
        if (ticket_.kind != TicketKind::paid_service || !ends) return std::nullopt;
        const Fen agreed = ticket_.agreed_price.value_or(Fen{});
        if (charged() <= agreed) return std::nullopt;
        return TicketRefusal{move_.labour ? "/labour" : "/material", "invalid",
                             "material and labour come to " + format(charged()) + " where " +
                                 format(agreed) +
                                 " was agreed on; agree anew before it is done (extend, with its "
                                 "agreed_price)"};
    }

    void go(TicketState state) {
        ticket_.state = state;
        step_.states.push_back(state);
    }

    void carry_out() {
        take_fields();
        switch (move_.action) {
            case TicketAction::dispatch:
            case TicketAction::transfer:
                resume();
                end_span();
                ticket_.crew = move_.crew;
                ticket_.spans.push_back({move_.crew, at_, std::nullopt});
                ticket_.dispatched_at = at_;
                ticket_.accepted_at.reset();
                return go(TicketState::dispatched);
            case TicketAction::accept:
                ticket_.accepted_at = at_;
                return go(TicketState::accepted);
            case TicketAction::decline:
                end_span();
                ticket_.crew.clear();
                ticket_.dispatched_at.reset();
                return go(TicketState::reported);
            case TicketAction::start:
                resume();
                if (!ticket_.started_at) ticket_.started_at = at_;
                return go(TicketState::working);
            case TicketAction::pause:
                ticket_.paused_at = now_;
                ticket_.resume_at = move_.until;
                ticket_.pause_reason = move_.reason;
                return go(TicketState::paused);
            case TicketAction::done:
                return finish();
            case TicketAction::visit:
                ticket_.visited_at = now_;
                ticket_.rating = move_.rating;
                ticket_.outcomes.push_back(
                    {now_, "visit", std::nullopt, {}, {}, move_.rating, move_.spoken_to});
                return go(TicketState::visited);
            case TicketAction::close:
                ticket_.closed_at = now_;
                if (move_.keys_out) ticket_.close_override = move_.reason;
                return go(TicketState::closed);
            case TicketAction::reopen:
                return reopen();
            case TicketAction::cancel:
                end_span();
                ticket_.cancelled_at = now_;
                return go(TicketState::cancelled);
            case TicketAction::link:
            case TicketAction::unlink:
                return;
            case TicketAction::extend:
                ticket_.done_by = move_.until;
                return;
        }
    }

    void take_fields() {
        const Fen material = ticket_.material.value_or(Fen{});
        const Fen labour = ticket_.labour.value_or(Fen{});
        if (move_.appointment_at) ticket_.appointment_at = move_.appointment_at;
        if (!move_.result.empty()) ticket_.result = move_.result;
        if (move_.agreed_price) ticket_.agreed_price = move_.agreed_price;
        if (move_.material) ticket_.material = move_.material;
        if (move_.labour) ticket_.labour = move_.labour;
        if (!move_.pay_method.empty()) ticket_.pay_method = move_.pay_method;
        if (!move_.receipt.empty()) ticket_.receipt = move_.receipt;
        if (move_.owner_contacted_at) ticket_.owner_contacted_at = move_.owner_contacted_at;
        if (!ticket_.done_at || (!move_.material && !move_.labour)) return;
        TicketOutcome fees{now_, "fees", std::nullopt, {}, {}, ""};
        fees.material = ticket_.material.value_or(Fen{}) - material;
        fees.labour = ticket_.labour.value_or(Fen{}) - labour;
        ticket_.outcomes.push_back(std::move(fees));
    }

    // Time on hold counts for nothing but the calendar of who waits. It moves the limit by as much
    // as it took of the time that the limit is counted in.
    void resume() {
        if (ticket_.state != TicketState::paused || !ticket_.paused_at) return;
        if (ticket_.done_by) *ticket_.done_by = moved_on(*ticket_.done_by, *ticket_.paused_at);
        ticket_.paused_at.reset();
        ticket_.resume_at.reset();
        ticket_.pause_reason.clear();
    }
    [[nodiscard]] UtcMs moved_on(UtcMs limit, UtcMs paused_at) const {
        if (ticket_.urgency == TicketUrgency::urgent) return limit + (at_ - paused_at);
        return after_service_ms(limit, service_ms_between(paused_at, at_, terms_), terms_);
    }

    void end_span() {
        if (!ticket_.spans.empty() && !ticket_.spans.back().to) ticket_.spans.back().to = at_;
    }

    void finish() {
        end_span();
        ticket_.done_at = at_;
        ticket_.outcomes.push_back({at_, "done", ticket_.done_by, ticket_.material.value_or(Fen{}),
                                    ticket_.labour.value_or(Fen{}), ""});
        ticket_.must_visit = must_be_visited(ticket_, move_);
        ticket_.visit_wanted = ticket_.must_visit || move_.lot % 100 < kVisitPercent;
        go(TicketState::done);
        if (!ticket_.visit_wanted) return;
        ticket_.visit_by = at_ + visit_days(ticket_) * kDayMs;
        go(TicketState::visit_due);
    }

    void reopen() {
        ++ticket_.reopened;
        ticket_.crew.clear();
        for (auto* at :
             {&ticket_.dispatched_at, &ticket_.accepted_at, &ticket_.started_at, &ticket_.done_at,
              &ticket_.visited_at, &ticket_.closed_at, &ticket_.visit_by, &ticket_.appointment_at})
            at->reset();
        ticket_.visit_wanted = false;
        // What was paid was paid for the work that is over.
        for (auto* fee : {&ticket_.agreed_price, &ticket_.material, &ticket_.labour}) fee->reset();
        ticket_.pay_method.clear();
        ticket_.receipt.clear();
        ticket_.rating.clear();
        ticket_.result.clear();
        ticket_.close_override.clear();
        set_timers(ticket_, now_, terms_);
        go(TicketState::reported);
    }

    TicketStep step_;
    Ticket& ticket_;
    const TicketMove& move_;
    UtcMs now_, at_;
    const TicketTerms& terms_;
};

}  // namespace

const char* to_string(TicketKind value) {
    return word_of(kKinds, value);
}
const char* to_string(TicketUrgency value) {
    return word_of(kUrgencies, value);
}
const char* to_string(TicketState value) {
    return word_of(kStates, value);
}
const char* to_string(TicketAction value) {
    return word_of(kActions, value);
}
std::optional<TicketKind> parse_ticket_kind(std::string_view word) {
    return value_of<TicketKind>(kKinds, word);
}
std::optional<TicketUrgency> parse_ticket_urgency(std::string_view word) {
    return value_of<TicketUrgency>(kUrgencies, word);
}
std::optional<TicketState> parse_ticket_state(std::string_view word) {
    return value_of<TicketState>(kStates, word);
}
std::optional<TicketAction> parse_ticket_action(std::string_view word) {
    return value_of<TicketAction>(kActions, word);
}

bool is_at_work(TicketState state) {
    return state == TicketState::dispatched || state == TicketState::accepted ||
           state == TicketState::working || state == TicketState::paused;
}

bool is_backlog(TicketState state) {
    return state == TicketState::reported || is_at_work(state);
}

std::optional<UtcMs> end_of_work(const Ticket& ticket) {
    return ticket.done_at ? ticket.done_at : ticket.cancelled_at;
}

std::vector<CrewSpan> spans_of(const Ticket& ticket) {
    if (!ticket.spans.empty() || !ticket.dispatched_at) return ticket.spans;
    return {{ticket.crew, *ticket.dispatched_at, end_of_work(ticket)}};
}

std::vector<TicketOutcome> outcomes_of(const Ticket& ticket) {
    std::vector<TicketOutcome> all = ticket.outcomes;
    if (!all.empty()) return all;
    if (ticket.done_at)
        all.push_back({*ticket.done_at, "done", ticket.done_by, ticket.material.value_or(Fen{}),
                       ticket.labour.value_or(Fen{}), ""});
    if (ticket.visited_at)
        all.push_back({*ticket.visited_at, "visit", std::nullopt, {}, {}, ticket.rating});
    return all;
}

UtcMs after_service_minutes(UtcMs from, std::int64_t minutes, const TicketTerms& terms) {
    return after_service_ms(from, minutes * kMinuteMs, terms);
}

std::int64_t service_ms_between(UtcMs from, UtcMs to, const TicketTerms& terms) {
    std::int64_t service = 0;
    LocalDate day = terms.zone.local(from).date;
    for (UtcMs midnight = terms.zone.midnight(day); midnight < to;) {
        const auto [begin, end] = service_of(midnight);
        if (terms.calendar.kind(day) == BandDays::workday)
            service += std::max<std::int64_t>(0, std::min(end, to) - std::max(begin, from));
        day = date_from_days(days_since_epoch(day) + 1);
        midnight = terms.zone.midnight(day);
    }
    return service;
}

std::string_view first_level(std::string_view category) {
    std::size_t end = category.size();
    for (const std::string_view mark : {"/", "／", "-", "－", "—", ">", "·", "、", ":", "：", " "})
        end = std::min(end, category.find(mark));
    return category.substr(0, end);
}

void set_timers(Ticket& ticket, UtcMs from, const TicketTerms& terms) {
    switch (ticket.urgency) {
        case TicketUrgency::urgent:
            ticket.dispatch_by = from + 10 * kMinuteMs;
            ticket.on_site_by = from + 30 * kMinuteMs;
            ticket.done_by = from + kDayMs;
            return;
        case TicketUrgency::normal:
            ticket.dispatch_by = after_service_minutes(from, 30, terms);
            ticket.on_site_by = after_service_minutes(from, 240, terms);
            ticket.done_by = after_service_minutes(from, 3 * (kServiceTo - kServiceFrom), terms);
            return;
        case TicketUrgency::planned:
            ticket.dispatch_by = after_service_minutes(from, kServiceTo - kServiceFrom, terms);
            ticket.on_site_by = ticket.appointment_at;
            ticket.done_by.reset();
            return;
    }
}

std::variant<TicketStep, TicketRefusal> move_ticket(const Ticket& ticket, const TicketMove& move,
                                                    UtcMs now, const TicketTerms& terms) {
    return Mover(ticket, move, now, terms).run();
}

}  // namespace gatehouse
