// Which conditions of keys-and-tickets.md 5.8 hold, and how they are said.
#include <algorithm>
#include <utility>

#include "daemon/core/key_watch.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kMinuteMs = 60'000, kHourMs = 3'600'000;
constexpr std::int64_t kGapGraceMs = 600'000, kDoorHeldMs = 300'000;
// An attack is over when nobody tried for so long; a badge comes by another way than the contact
// that it explains, and may be so much slower.
constexpr std::int64_t kQuietMs = 600'000, kReaderGraceMs = 5'000;

struct FactRule {
    KeyFactKind kind;
    int severity;
    bool by_ack;
};
constexpr FactRule kFactRules[] = {
    {KeyFactKind::ambiguous_holder, 2, true},
    {KeyFactKind::key_moved_no_auth, 4, true},
    {KeyFactKind::slot_state_jump, 3, true},
    {KeyFactKind::wrong_slot, 1, false},
    {KeyFactKind::unknown_tag, 3, true},
    {KeyFactKind::returned_by_other, 2, true},
    {KeyFactKind::second_missing, 3, true},
    {KeyFactKind::cabinet_forced, 4, true},
    {KeyFactKind::door_held, 2, false},
    {KeyFactKind::unknown_card, 2, true},
    {KeyFactKind::credential_attack, 3, true},
    {KeyFactKind::duress, 4, true},
    {KeyFactKind::tamper, 3, false},
    {KeyFactKind::log_gap, 3, true},
    {KeyFactKind::log_overwritten, 3, true},
    {KeyFactKind::stock_mismatch, 3, false},
    {KeyFactKind::log_restarted, 3, true},
    {KeyFactKind::after_hours_access, 2, true},
    {KeyFactKind::unit_entered_twice, 1, true},
};

const FactRule* rule_of(KeyFactKind kind) {
    return std::find_if(std::begin(kFactRules), std::end(kFactRules),
                        [&](const FactRule& one) { return one.kind == kind; });
}

class Watch {
  public:
    explicit Watch(const KeyWatchInput& in) : in_(in) {}

    std::vector<KeyCondition> run() {
        for (const LoanFacts& loan : in_.open_loans) watch_loan(loan);
        for (const KeyFact& fact : in_.facts) watch_fact(fact);
        for (const CabinetWatch& cabinet : in_.cabinets) watch_cabinet(cabinet);
        for (const MoveIn& move : in_.moves) watch_move(move);
        for (const auto& [number, since] : in_.keys_back) watch_keys_back(number, since);
        std::erase_if(
            found_, [&](const KeyCondition& one) { return !in_.rules.alerts.contains(one.code); });
        return std::move(found_);
    }

  private:
    const Ticket* ticket_of(const LoanFacts& loan) const {
        for (const KeyLink& link : loan.links) {
            if (!link.primary || !counts(link.kind)) continue;
            const auto at = in_.tickets.find(link.ticket);
            if (at != in_.tickets.end()) return at->second;
        }
        return nullptr;
    }
    bool is_offline(const std::string& cabinet) const {
        return std::any_of(in_.cabinets.begin(), in_.cabinets.end(), [&](const auto& one) {
            return one.cabinet == cabinet && one.offline_since;
        });
    }

    const CabinetWatch* find_cabinet(const std::string& id,
                                     bool (*fits)(const CabinetWatch&)) const {
        const auto at =
            std::find_if(in_.cabinets.begin(), in_.cabinets.end(),
                         [&](const CabinetWatch& one) { return one.cabinet == id && fits(one); });
        return at == in_.cabinets.end() ? nullptr : &*at;
    }
    bool waits_for_badge(const KeyFact& fact) const {
        if (fact.kind != KeyFactKind::key_moved_no_auth && fact.kind != KeyFactKind::cabinet_forced)
            return false;
        return in_.now < fact.at + kReaderGraceMs &&
               find_cabinet(fact.cabinet, [](const CabinetWatch& one) { return one.has_reader; });
    }
    bool goes_on(const KeyFact& fact) const {
        if (fact.kind == KeyFactKind::cabinet_forced) return !fact.over_at;
        if (fact.kind != KeyFactKind::credential_attack) return false;
        const CabinetWatch* denied = find_cabinet(
            fact.cabinet, [](const CabinetWatch& one) { return one.denied_at.has_value(); });
        const UtcMs last = denied == nullptr ? fact.at : std::max(fact.at, *denied->denied_at);
        return in_.now < last + kQuietMs;
    }

    KeyCondition& add(const char* code, const LoanFacts& facts, int severity, UtcMs at) {
        KeyCondition one;
        one.code = code;
        one.subject = facts.key->key;
        one.severity = severity;
        one.key = facts.key->key;
        one.cabinet = facts.key->cabinet;
        if (facts.key->slot) one.slot = std::to_string(*facts.key->slot);
        if (facts.key->opens.size() == 1) one.unit = facts.key->opens.front();
        one.person = facts.loan->holder;
        one.candidates = facts.loan->candidates;
        one.loan = format(facts.loan->id);
        if (const Ticket* ticket = ticket_of(facts)) one.ticket = ticket->number;
        one.at = at;
        one.unsure = facts.place == KeyPlace::unknown || is_offline(facts.key->cabinet);
        found_.push_back(std::move(one));
        return found_.back();
    }

    void watch_loan(const LoanFacts& facts) {
        const KeyLoan& loan = *facts.loan;
        const Key& key = *facts.key;
        const bool linked = std::any_of(facts.links.begin(), facts.links.end(),
                                        [](const KeyLink& link) { return counts(link.kind); });
        const bool asks_ticket = key.class_ == KeyClass::entrusted ||
                                 key.class_ == KeyClass::vacant || key.class_ == KeyClass::rework ||
                                 key.class_ == KeyClass::reserve_sealed;
        const bool dear =
            key.class_ == KeyClass::entrusted || key.class_ == KeyClass::reserve_sealed;
        if (asks_ticket && !linked && in_.now >= loan.out_at + kLinkGraceMs)
            add("key_out_no_ticket", facts, dear ? 3 : 2, loan.out_at + kLinkGraceMs);
        if (!facts.links.empty() && facts.links.back().kind == KeyLinkKind::bad)
            add("ticket_mismatch", facts, 2, loan.out_at).ticket = facts.links.back().ticket;
        const Ticket* ticket = ticket_of(facts);
        const UtcMs due = due_at(loan, key, ticket, in_.rules, in_.zone);
        if (in_.now > due)
            add("key_overdue", facts, in_.now > due + 2 * kHourMs ? 3 : 2, due).due_at = due;
        if (has_curfew(key)) {
            const UtcMs curfew = past_curfew_at(loan, key, in_.rules, in_.zone);
            const UtcMs warning = curfew - in_.rules.curfew_warning_minutes * kMinuteMs;
            if (in_.now >= warning)
                add("key_past_curfew", facts, in_.now >= curfew ? 3 : 1, curfew).due_at = curfew;
        }
        if (key.class_ == KeyClass::no_loan && loan.second.empty())
            add("no_loan_key_out", facts, 4, loan.out_at);
        if (!loan.holder.empty() && in_.inactive.contains(loan.holder))
            add("leaver_holds_key", facts, 3, in_.now);
        if (key.class_ == KeyClass::entrusted && ticket != nullptr && !ticket->emergency &&
            !ticket->owner_contacted_at)
            add("entrusted_no_contact", facts, 2, loan.out_at);
        watch_ticket_end(facts, ticket);
    }

    // Its work is over and the key is not back, though nothing else explains why.
    void watch_ticket_end(const LoanFacts& facts, const Ticket* ticket) {
        if (ticket == nullptr) return;
        const auto end = end_of_work(*ticket);
        if (!end || in_.now < *end + in_.rules.closed_grace_ms) return;
        const std::string& holder = facts.loan->holder;
        for (const Ticket* other : in_.others) {
            const bool his =
                std::find(other->crew.begin(), other->crew.end(), holder) != other->crew.end();
            const bool there = std::find(facts.key->opens.begin(), facts.key->opens.end(),
                                         other->unit) != facts.key->opens.end();
            if (other != ticket && is_at_work(other->state) && his && there) return;
        }
        add("ticket_closed_key_out", facts, 3, *end + in_.rules.closed_grace_ms);
    }

    void watch_fact(const KeyFact& fact) {
        if (!in_.rules.alerts.contains(to_string(fact.kind))) return;
        const FactRule* rule = rule_of(fact.kind);
        if (!rule->by_ack && fact.over_at) return;
        if (fact.kind == KeyFactKind::log_gap && in_.now < fact.at + kGapGraceMs) return;
        if (fact.kind == KeyFactKind::after_hours_access && is_explained(fact)) return;
        if (waits_for_badge(fact)) return;
        KeyCondition one;
        one.code = to_string(fact.kind);
        one.subject = fact.subject;
        one.severity = rule->severity;
        if (fact.kind == KeyFactKind::door_held && in_.now >= fact.at + kDoorHeldMs)
            one.severity = 3;
        one.by_ack = rule->by_ack;
        one.goes_on = goes_on(fact);
        one.fact = format(fact.event);
        one.key = fact.key;
        one.cabinet = fact.cabinet == kDeskSource ? "" : fact.cabinet;
        one.person = fact.person;
        one.candidates = fact.candidates;
        one.from = fact.from;
        one.through = fact.through;
        one.at = fact.at;
        found_.push_back(std::move(one));
    }

    // A shift is there at any hour, and an emergency is written down within a quarter of one.
    bool is_explained(const KeyFact& fact) const {
        if (in_.now < fact.at + kLinkGraceMs || in_.on_duty.contains(fact.person)) return true;
        return std::any_of(in_.tickets.begin(), in_.tickets.end(), [&](const auto& one) {
            const Ticket& ticket = *one.second;
            return ticket.urgency == TicketUrgency::urgent && is_sent(ticket, fact.at, fact.person);
        });
    }

    // Work that goes on without a pause, though nobody has been in for a day.
    void watch_keys_back(const std::string& number, UtcMs since) {
        const auto found = in_.tickets.find(number);
        if (found == in_.tickets.end() || found->second->state != TicketState::working) return;
        if (in_.now < since + in_.rules.back_ticket_open_ms) return;
        KeyCondition one;
        one.code = "key_back_ticket_open";
        one.subject = one.ticket = number;
        one.unit = found->second->unit;
        one.at = since + in_.rules.back_ticket_open_ms;
        found_.push_back(std::move(one));
    }

    void watch_cabinet(const CabinetWatch& cabinet) {
        const auto add_one = [&](const char* code, int severity, UtcMs at) {
            KeyCondition one;
            one.code = code;
            one.subject = one.cabinet = cabinet.cabinet;
            one.severity = severity;
            one.at = at;
            found_.push_back(std::move(one));
        };
        if (cabinet.offline_since && in_.now >= *cabinet.offline_since + in_.rules.offline_ms)
            add_one("cabinet_offline", in_.now >= *cabinet.offline_since + kHourMs ? 3 : 2,
                    *cabinet.offline_since);
        const auto& open = cabinet.door_open_since;
        if (open && in_.now >= *open + in_.rules.door_held_ms)
            add_one("door_held", in_.now >= *open + kDoorHeldMs ? 3 : 2, *open);
        if (cabinet.skewed) add_one("clock_skew", 2, in_.now);
    }

    void watch_move(const MoveIn& move) {
        if ((move.recorded && move.holder) || in_.now < move.at + kMoveInMs) return;
        KeyCondition one;
        one.code = "movein_not_entered";
        one.subject = one.unit = move.unit;
        one.severity = 2;
        one.at = move.at;
        found_.push_back(std::move(one));
    }

    const KeyWatchInput& in_;
    std::vector<KeyCondition> found_;
};

struct Saying {
    const char *code, *english, *chinese;
};
constexpr Saying kSayings[] = {
    {"key_out_no_ticket", "the key is out and no ticket explains it", "钥匙已领出，无对应派工单"},
    {"key_overdue", "the key is not back in time", "钥匙超时未还"},
    {"key_past_curfew", "the key is not back at the end of the day", "钥匙当日未归还"},
    {"ticket_closed_key_out", "the work is done and the key is not back", "工单已完工，钥匙未归还"},
    {"no_loan_key_out", "a key that is never lent is out", "禁止外借的钥匙被取出"},
    {"cabinet_forced", "the cabinet was opened by nobody who may", "钥匙柜被强行打开"},
    {"key_moved_no_auth", "a key moved and nobody had signed in", "无人登录时钥匙被移动"},
    {"cabinet_offline", "the cabinet does not answer", "钥匙柜离线"},
    {"door_held", "the door stands open", "柜门未关"},
    {"unknown_card", "an unknown card was shown", "未登记的卡刷卡"},
    {"credential_attack", "many attempts were denied", "多次刷卡被拒"},
    {"duress", "somebody asks for help", "胁迫报警"},
    {"tamper", "the housing was opened", "柜体被拆动"},
    {"slot_state_jump", "a slot changed and nobody saw it", "挂位状态突变"},
    {"ambiguous_holder", "two people could have taken it", "领用人无法确定"},
    {"wrong_slot", "the key hangs in another slot", "钥匙挂错位"},
    {"unknown_tag", "a tag that nobody registered", "未登记的钥匙牌"},
    {"returned_by_other", "another one brought it back", "钥匙由他人代还"},
    {"second_missing", "it takes two people, and one was there", "双人领用缺第二人"},
    {"leaver_holds_key", "who holds it has left", "离职人员持有钥匙"},
    {"entrusted_no_contact", "the owner was not spoken to", "委托钥匙未联系业主"},
    {"stock_mismatch", "the count differs from the book", "盘点不符"},
    {"log_gap", "events of the cabinet are missing", "钥匙柜记录缺口"},
    {"log_overwritten", "the cabinet has lost events", "钥匙柜记录被覆盖"},
    {"log_restarted", "the cabinet counts anew: another board, lost memory, or the last number",
     "钥匙柜记录重新编号（换板、丢失记忆或编号用尽）"},
    {"clock_skew", "the cabinet's clock is wrong", "钥匙柜时钟偏差"},
    {"ticket_mismatch", "the ticket named does not fit", "所报派工单不符"},
    {"movein_not_entered", "moved in a day ago, and the record or the holder is not entered",
     "入住已满24小时，交接记录或户主尚未录入"},
    {"after_hours_access", "the cabinet was opened while the office was shut", "非工作时间开柜"},
    {"unit_entered_twice", "an entrusted key is out again and again without another ticket",
     "委托钥匙七天内多次领用，无对应派工单"},
    {"key_back_ticket_open", "the key is back and the ticket goes on", "钥匙已还，工单未完"},
};

const char* state_word(std::string_view state, bool chinese) {
    if (state == "escalated") return chinese ? "升级：" : "escalated: ";
    if (state == "reminded") return chinese ? "再次提醒：" : "reminder: ";
    if (state == "acknowledged") return chinese ? "已登记处理：" : "acknowledged: ";
    if (state == "eased") return chinese ? "降级：" : "eased: ";
    if (state == "cleared") return chinese ? "已解除：" : "cleared: ";
    return "";
}

}  // namespace

std::vector<KeyCondition> key_conditions(const KeyWatchInput& input) {
    return Watch(input).run();
}

bool asks_acknowledgement(KeyFactKind kind) {
    return rule_of(kind)->by_ack;
}

std::string key_sentence(const KeyCondition& condition, const char* state, const std::string& where,
                         const Zone& zone, bool chinese) {
    const auto* saying = std::find_if(std::begin(kSayings), std::end(kSayings),
                                      [&](const auto& s) { return condition.code == s.code; });
    const bool known = saying != std::end(kSayings);
    std::string text = chinese ? "【" : "[";
    text += state_word(state, chinese);
    // What is said before the curfew is a warning.
    if (condition.code == "key_past_curfew" && condition.severity == 1)
        text += chinese ? "钥匙即将到当日归还时间" : "the key is due back at the end of the day";
    else
        text += known ? (chinese ? saying->chinese : saying->english) : condition.code;
    text += chinese ? "】" : "] ";
    text += where;
    if (!condition.ticket.empty()) text += (chinese ? "，派工单 " : ", ticket ") + condition.ticket;
    if (condition.due_at) {
        const std::string due = format_iso8601(*condition.due_at, zone).substr(0, 16);
        text += (chinese ? "，应还 " : ", due ") + due.substr(0, 10) + " " + due.substr(11);
    }
    if (condition.unsure)
        text += chinese ? "（最后所知，钥匙柜离线或记录不全）"
                        : " (last known; the cabinet is offline or its log has a gap)";
    return text + (chinese ? "。" : ".");
}

}  // namespace gatehouse
