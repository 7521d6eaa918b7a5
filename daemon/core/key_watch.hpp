// What joins keys and tickets, and what people must hear of it: which ticket a loan was for
// (keys-and-tickets.md 5.7), when it is due, and which conditions of 5.8 hold now. It changes
// nothing. Pure, any thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/core/key_custody.hpp"
#include "daemon/core/ticket.hpp"

namespace gatehouse {

// explicit_: the cabinet named it; linked: a person did, later; auto_: one ticket fits; shared:
// several do; late: the slip was written after the key was taken; weak: the flat fits and the
// person does not, so a person has to say; bad: named, and does not fit.
enum class KeyLinkKind { explicit_, linked, auto_, shared, late, weak, bad };
[[nodiscard]] const char* to_string(KeyLinkKind kind);
[[nodiscard]] std::optional<KeyLinkKind> parse_key_link_kind(std::string_view word);
struct KeyLink {
    std::string ticket;
    KeyLinkKind kind = KeyLinkKind::auto_;
    bool primary = true;  // of several the nearest appointment
    friend auto operator<=>(const KeyLink&, const KeyLink&) = default;
};
// What a link rests on: the cabinet's word, a person's, or what was concluded.
[[nodiscard]] KeyOrigin origin_of(KeyLinkKind kind);
// A link that counts: the key was out for that ticket.
[[nodiscard]] bool counts(KeyLinkKind kind);

// So long a key may be out without a ticket (emergencies: key first, slip later), and so long
// before its dispatch a ticket explains it.
inline constexpr std::int64_t kLinkGraceMs = 15 * 60'000, kLinkBeforeMs = 15 * 60'000;

// More than twenty places, or of a class for everywhere: person and time explain it, wherever.
[[nodiscard]] bool opens_everywhere(const Key& key);

// The links of one loan, best first. `named`: what a person linked by hand.
[[nodiscard]] std::vector<KeyLink> link_loan(const KeyLoan& loan, const Key& key,
                                             const std::vector<const Ticket*>& tickets,
                                             const std::vector<std::string>& named);

struct KeyRules {
    int curfew_minute = 18 * 60;      // local; for keys that name none
    int curfew_warning_minutes = 10;  // before it
    std::int64_t max_hold_ms = 8 * 3'600'000LL;
    std::int64_t offline_ms = 5 * 60'000, skew_ms = 60'000;
    std::int64_t closed_grace_ms = 30 * 60'000;
    std::int64_t door_held_ms = 60'000, back_ticket_open_ms = 24 * 3'600'000LL;
    int open_minute = 7 * 60 + 30, shut_minute = 18 * 60 + 30;  // local, of the cabinets
    std::set<std::string> alerts;  // codes that are told; the others stay rows of the log
};
// The eight of property-office.md 3.6, and those that nobody may have to switch on first: a call
// for help, events that are missing (DESIGN.md 1.3), and a move-in that was not entered.
[[nodiscard]] std::set<std::string> default_key_alerts();
// Every code that can be switched on.
[[nodiscard]] const std::vector<std::string>& key_alert_codes();

// Keys of the set "duty" stay with the shift; every other one is back the same day.
[[nodiscard]] bool has_curfew(const Key& key);
// The first curfew after that moment.
[[nodiscard]] UtcMs next_curfew(const Key& key, UtcMs after, const KeyRules& rules,
                                const Zone& zone);
// From when on a loan is past a curfew: the first one, or the end of the time that a lead gave
// where that lies beyond it.
[[nodiscard]] UtcMs past_curfew_at(const KeyLoan& loan, const Key& key, const KeyRules& rules,
                                   const Zone& zone);
// min(return_by, ticket's deadline + 30 min, out + max_hold, next curfew), or what a lead extended
// it to.
[[nodiscard]] UtcMs due_at(const KeyLoan& loan, const Key& key, const Ticket* ticket,
                           const KeyRules& rules, const Zone& zone);

struct KeyCondition {
    std::string code, subject;  // one open alert for each pair
    int severity = 1;           // 1 to 4
    bool by_ack = false;        // stays until somebody has looked into it
    bool goes_on = false;       // of a fact: not over yet, whoever has looked into it
    std::string fact;           // of a fact: which one; empty: a state that holds
    std::string key, cabinet, slot, ticket, person, loan, unit;
    std::vector<std::string> candidates;
    UtcMs at = 0;
    std::optional<UtcMs> due_at;
    bool unsure = false;                 // the cabinet is offline: last known so
    std::int64_t from = 0, through = 0;  // of a fact about seqs
};
struct CabinetWatch {
    std::string cabinet;
    bool known = false;  // it was heard of at least once, or has to be polled
    std::optional<UtcMs> offline_since;
    std::int64_t skew_ms = 0;
    std::optional<UtcMs> door_open_since;
    std::optional<UtcMs> denied_at = {};  // the last time that somebody was turned away
    bool has_reader = false;              // who is there is told apart from what moves
    bool skewed = false;                  // its clock was wrong, and nobody has set it since
};
// A clock is wrong from the rule's bound on, and right again once it is set to the second.
inline constexpr std::int64_t kSkewOverMs = 5'000;
void note_skew(CabinetWatch& cabinet, std::int64_t skew_ms, const KeyRules& rules);

// Whether a cabinet that pushes without a regular sign of life has been silent too long: nights,
// in which nobody takes a key, count for little.
inline constexpr std::int64_t kSilentOpenMs = 4 * 3'600'000LL, kSilentMs = 24 * 3'600'000LL;
[[nodiscard]] bool is_too_silent(UtcMs heard, UtcMs now, const KeyRules& rules, const Zone& zone);
// A loan with what belongs to it.
struct LoanFacts {
    const KeyLoan* loan = nullptr;
    const Key* key = nullptr;
    KeyPlace place = KeyPlace::out;
    std::vector<KeyLink> links;
};
// A flat that somebody moved into, as far as it is known: from its hand-over record, or from the
// key of an empty flat that its owner was given. Entered is it with the record and a holder.
struct MoveIn {
    std::string unit;
    UtcMs at = 0;
    bool recorded = false, holder = false;
};
inline constexpr std::int64_t kMoveInMs = 24 * 3'600'000LL;

struct KeyWatchInput {
    const std::vector<LoanFacts>& open_loans;
    const std::map<std::string, const Ticket*>& tickets;  // whatever a link names
    const std::vector<const Ticket*>& others;             // open ones, for who holds what else
    const std::vector<KeyFact>& facts;
    const std::vector<CabinetWatch>& cabinets;
    const std::set<std::string>& inactive;  // people who have left
    const KeyRules& rules;
    const Zone& zone;
    UtcMs now = 0;
    std::vector<MoveIn> moves{};
    // Tickets at work whose keys are all back, and since when.
    std::map<std::string, UtcMs> keys_back = {};
    std::set<std::string> on_duty = {};  // people whose shift it is, whatever the hour
};
[[nodiscard]] std::vector<KeyCondition> key_conditions(const KeyWatchInput& input);
// Whether somebody has to look into a fact of that kind before it is over.
[[nodiscard]] bool asks_acknowledgement(KeyFactKind kind);

// Whether that person was sent on that ticket at that time, or up to fifteen minutes later.
[[nodiscard]] bool is_sent(const Ticket& ticket, UtcMs at, const std::string& person);
// An entrusted key that was out three times within seven days for one ticket, or for none.
inline constexpr std::int64_t kEntriesMs = 7 * 86'400'000LL;
inline constexpr std::size_t kEntriesMax = 3;
struct KeyEntry {
    KeyEventId loan;
    UtcMs out_at = 0;
    std::set<std::string> tickets;  // of links that count
};
// `entries`: of one key, oldest first. A fact for each that was one too many, so that the older
// ones stand whatever comes after them.
[[nodiscard]] std::vector<KeyFact> entered_often(const Key& key,
                                                 const std::vector<KeyEntry>& entries);

// The sentence of an alert, without a name.
[[nodiscard]] std::string key_sentence(const KeyCondition& condition, const char* state,
                                       const std::string& where, const Zone& zone, bool chinese);

}  // namespace gatehouse
