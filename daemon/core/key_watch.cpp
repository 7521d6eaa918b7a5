#include "daemon/core/key_watch.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace gatehouse {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::size_t kWidelyOpening = 20;  // a key that opens more is one for everywhere

bool opens(const Key& key, const Ticket& ticket) {
    const auto has = [&](const std::string& place) {
        return !place.empty() &&
               std::find(key.opens.begin(), key.opens.end(), place) != key.opens.end();
    };
    return has(ticket.unit) || has(ticket.place);
}

// The time of a crew that a moment belongs to: from a little before it was sent on. Of several the
// one that had begun by then, so that who is sent along later weakens nothing.
const CrewSpan* span_at(const std::vector<CrewSpan>& spans, UtcMs at, const std::string& person) {
    const CrewSpan* found = nullptr;
    for (const CrewSpan& span : spans) {
        if (at < span.from - kLinkBeforeMs || (span.to && at > *span.to)) continue;
        const bool his = std::find(span.crew.begin(), span.crew.end(), person) != span.crew.end();
        if (!person.empty() && !his) continue;
        if (found == nullptr || span.from <= at) found = &span;
    }
    return found;
}

// While its work went on, whoever had it.
bool covers(const Ticket& ticket, UtcMs at) {
    return span_at(spans_of(ticket), at, "") != nullptr;
}

std::optional<std::int64_t> distance(const Ticket& ticket, UtcMs at) {
    const std::vector<CrewSpan> spans = spans_of(ticket);
    const CrewSpan* span = span_at(spans, at, "");
    if (!ticket.appointment_at && span == nullptr) return std::nullopt;
    const UtcMs appointment = ticket.appointment_at ? *ticket.appointment_at : span->from;
    return appointment > at ? appointment - at : at - appointment;
}

// When the crew was sent that took it or was handed it on the way; nothing: none of them has.
std::optional<UtcMs> sent_at(const KeyLoan& loan, const Ticket& ticket) {
    const std::vector<CrewSpan> spans = spans_of(ticket);
    // Rows of before do not say who handed it on.
    const std::string& taker = loan.handed.empty() || loan.handed.front().from.empty()
                                   ? loan.holder
                                   : loan.handed.front().from;
    std::optional<UtcMs> sent;
    const auto look = [&](const std::string& person, UtcMs at) {
        if (sent || person.empty()) return;
        if (const CrewSpan* span = span_at(spans, at, person)) sent = span->from;
    };
    look(taker, loan.out_at);
    for (const KeyHandOver& hand : loan.handed) look(hand.to, hand.at);
    return sent;
}

std::vector<KeyLink> named_links(const KeyLoan& loan, const Key& key,
                                 const std::vector<const Ticket*>& tickets,
                                 const std::vector<std::string>& named) {
    std::vector<KeyLink> links;
    for (const std::string& number : named) links.push_back({number, KeyLinkKind::linked, true});
    if (!links.empty() || loan.ticket.empty()) return links;
    const auto at = std::find_if(tickets.begin(), tickets.end(),
                                 [&](const Ticket* one) { return one->number == loan.ticket; });
    const bool fits =
        at != tickets.end() && sent_at(loan, **at) && (opens_everywhere(key) || opens(key, **at));
    return {{loan.ticket, fits ? KeyLinkKind::explicit_ : KeyLinkKind::bad, true}};
}

}  // namespace

bool opens_everywhere(const Key& key) {
    return key.opens.size() > kWidelyOpening || key.class_ == KeyClass::public_ ||
           key.class_ == KeyClass::equipment || key.class_ == KeyClass::master;
}

const char* to_string(KeyLinkKind kind) {
    switch (kind) {
        case KeyLinkKind::explicit_:
            return "explicit";
        case KeyLinkKind::linked:
            return "linked";
        case KeyLinkKind::auto_:
            return "auto";
        case KeyLinkKind::shared:
            return "shared";
        case KeyLinkKind::late:
            return "late";
        case KeyLinkKind::weak:
            return "weak";
        case KeyLinkKind::bad:
            return "explicit_bad";
    }
    return "";
}

std::optional<KeyLinkKind> parse_key_link_kind(std::string_view word) {
    for (const KeyLinkKind kind :
         {KeyLinkKind::explicit_, KeyLinkKind::linked, KeyLinkKind::auto_, KeyLinkKind::shared,
          KeyLinkKind::late, KeyLinkKind::weak, KeyLinkKind::bad})
        if (word == to_string(kind)) return kind;
    return std::nullopt;
}

KeyOrigin origin_of(KeyLinkKind kind) {
    if (kind == KeyLinkKind::linked) return KeyOrigin::manual;
    const bool named = kind == KeyLinkKind::explicit_ || kind == KeyLinkKind::bad;
    return named ? KeyOrigin::device : KeyOrigin::derived;
}

bool counts(KeyLinkKind kind) {
    return kind != KeyLinkKind::weak && kind != KeyLinkKind::bad;
}

std::vector<KeyLink> link_loan(const KeyLoan& loan, const Key& key,
                               const std::vector<const Ticket*>& tickets,
                               const std::vector<std::string>& named) {
    std::vector<KeyLink> links = named_links(loan, key, tickets, named);
    // Where a ticket was named nothing is concluded beside it, whether it fits or not.
    if (!links.empty()) return links;
    std::vector<const Ticket*> fitting;
    std::vector<KeyLink> weak;
    for (const Ticket* ticket : tickets) {
        const bool flat = opens(key, *ticket);
        if (sent_at(loan, *ticket) && (flat || opens_everywhere(key)))
            fitting.push_back(ticket);
        else if (flat && covers(*ticket, loan.out_at))
            weak.push_back({ticket->number, KeyLinkKind::weak, false});
    }
    if (fitting.empty()) return weak;
    std::stable_sort(fitting.begin(), fitting.end(), [&](const Ticket* a, const Ticket* b) {
        return std::pair{distance(*a, loan.out_at), a->number} <
               std::pair{distance(*b, loan.out_at), b->number};
    });
    for (const Ticket* ticket : fitting) {
        // Many a cabinet counts whole seconds.
        const bool late = *sent_at(loan, *ticket) > loan.out_at + 1'000;
        const KeyLinkKind kind = fitting.size() > 1 ? KeyLinkKind::shared
                                 : late             ? KeyLinkKind::late
                                                    : KeyLinkKind::auto_;
        links.push_back({ticket->number, kind, ticket == fitting.front()});
    }
    return links;
}

std::set<std::string> default_key_alerts() {
    return {"key_past_curfew", "key_overdue",    "key_out_no_ticket", "ticket_closed_key_out",
            "no_loan_key_out", "cabinet_forced", "key_moved_no_auth", "cabinet_offline",
            "duress",          "log_gap",        "log_overwritten",   "movein_not_entered"};
}

const std::vector<std::string>& key_alert_codes() {
    static const std::vector<std::string> codes{"key_out_no_ticket",
                                                "key_overdue",
                                                "key_past_curfew",
                                                "ticket_closed_key_out",
                                                "cabinet_forced",
                                                "door_held",
                                                "unknown_card",
                                                "credential_attack",
                                                "duress",
                                                "tamper",
                                                "key_moved_no_auth",
                                                "slot_state_jump",
                                                "ambiguous_holder",
                                                "wrong_slot",
                                                "unknown_tag",
                                                "returned_by_other",
                                                "no_loan_key_out",
                                                "second_missing",
                                                "leaver_holds_key",
                                                "entrusted_no_contact",
                                                "stock_mismatch",
                                                "log_gap",
                                                "log_overwritten",
                                                "log_restarted",
                                                "clock_skew",
                                                "cabinet_offline",
                                                "ticket_mismatch",
                                                "key_back_ticket_open",
                                                "movein_not_entered",
                                                "after_hours_access",
                                                "unit_entered_twice"};
    return codes;
}

bool is_sent(const Ticket& ticket, UtcMs at, const std::string& person) {
    return !person.empty() && span_at(spans_of(ticket), at, person) != nullptr;
}

std::vector<KeyFact> entered_often(const Key& key, const std::vector<KeyEntry>& entries) {
    std::vector<KeyFact> facts;
    if (key.class_ != KeyClass::entrusted) return facts;
    for (std::size_t last = 0; last < entries.size(); ++last) {
        const KeyEntry& newest = entries[last];
        std::size_t count = 0;
        std::set<std::string> tickets;
        for (std::size_t i = 0; i <= last; ++i) {
            if (entries[i].out_at <= newest.out_at - kEntriesMs) continue;
            ++count;
            tickets.insert(entries[i].tickets.begin(), entries[i].tickets.end());
        }
        if (count < kEntriesMax || tickets.size() > 1) continue;
        KeyFact fact;
        fact.kind = KeyFactKind::unit_entered_twice;
        fact.event = newest.loan;
        fact.subject = fact.key = key.key;
        fact.cabinet = key.cabinet;
        fact.at = newest.out_at;
        facts.push_back(std::move(fact));
    }
    return facts;
}

bool has_curfew(const Key& key) {
    return key.set != "duty";
}

UtcMs next_curfew(const Key& key, UtcMs after, const KeyRules& rules, const Zone& zone) {
    int minute = rules.curfew_minute;
    if (key.curfew.size() == 5)
        minute = std::stoi(key.curfew.substr(0, 2)) * 60 + std::stoi(key.curfew.substr(3, 2));
    LocalDate day = zone.local(after).date;
    for (;;) {
        const UtcMs at = zone.midnight(day) + minute * kMinuteMs;
        if (at > after) return at;
        day = date_from_days(days_since_epoch(day) + 1);
    }
}

UtcMs past_curfew_at(const KeyLoan& loan, const Key& key, const KeyRules& rules, const Zone& zone) {
    const UtcMs curfew = next_curfew(key, loan.out_at, rules, zone);
    return std::max(curfew, loan.extended_until.value_or(curfew));
}

void note_skew(CabinetWatch& cabinet, std::int64_t skew_ms, const KeyRules& rules) {
    cabinet.skew_ms = skew_ms;
    const std::int64_t off = skew_ms < 0 ? -skew_ms : skew_ms;
    cabinet.skewed = off > rules.skew_ms || (cabinet.skewed && off >= kSkewOverMs);
}

bool is_too_silent(UtcMs heard, UtcMs now, const KeyRules& rules, const Zone& zone) {
    if (now - heard >= kSilentMs) return true;
    std::int64_t open_ms = 0;
    for (LocalDate day = zone.local(heard).date;;) {
        const UtcMs midnight = zone.midnight(day);
        if (midnight >= now) return open_ms >= kSilentOpenMs;
        const UtcMs from = std::max(heard, midnight + rules.open_minute * kMinuteMs);
        const UtcMs to = std::min(now, midnight + rules.shut_minute * kMinuteMs);
        open_ms += std::max<std::int64_t>(0, to - from);
        day = date_from_days(days_since_epoch(day) + 1);
    }
}

UtcMs due_at(const KeyLoan& loan, const Key& key, const Ticket* ticket, const KeyRules& rules,
             const Zone& zone) {
    if (loan.extended_until) return *loan.extended_until;
    // Who promises less keeps less; a promise alone gives nobody more time.
    UtcMs due = loan.out_at + key.max_hold_ms.value_or(rules.max_hold_ms);
    if (loan.return_by) due = std::min(due, *loan.return_by);
    if (has_curfew(key)) due = std::min(due, next_curfew(key, loan.out_at, rules, zone));
    if (ticket != nullptr && ticket->done_by)
        due = std::min(due, std::max(*ticket->done_by, loan.out_at) + 30 * kMinuteMs);
    return due;
}

}  // namespace gatehouse
