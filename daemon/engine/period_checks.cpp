#include "daemon/engine/period_checks.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace gatehouse {
namespace {

constexpr std::size_t kQuarantinePage = 1'000;
constexpr std::array kKinds{PeriodCheck::Kind::unread, PeriodCheck::Kind::gap,
                            PeriodCheck::Kind::estimated, PeriodCheck::Kind::quarantined,
                            PeriodCheck::Kind::unposted};

std::string sentence(const PeriodCheck& check, const Zone& zone, bool chinese) {
    const std::string days = std::to_string(check.days);
    const std::string since = check.since ? format_iso8601(*check.since, zone) : "";
    switch (check.kind) {
        case PeriodCheck::Kind::unread:
            if (since.empty())
                return chinese ? "从未抄到；请检查接线与地址，或人工抄表后再月结"
                               : "never read; check wiring and address, or read the dial by eye "
                                 "before closing";
            return chinese ? "月末未抄到，最近一次保存的读数 " + since +
                                 "；请恢复通讯或人工抄表，否则用量计入更正"
                           : "not read at the end, newest figure kept " + since +
                                 "; bring it back or read the dial by eye, else its use becomes a "
                                 "correction";
        case PeriodCheck::Kind::gap:
            return chinese ? days + " 天没有零点读数；月末读数有效，用量不受影响，请查明原因"
                           : days +
                                 " days have no freeze; the use of the month is not touched, "
                                 "find out why";
        case PeriodCheck::Kind::estimated:
            return chinese ? days + " 天的零点读数为估算；跨价格或阶梯时请核对"
                           : days +
                                 " days have an estimated freeze; look where a price or tier "
                                 "changed";
        case PeriodCheck::Kind::quarantined:
            return chinese ? "有待核读数（" + since + "）；请核实通过或判为无效后再月结"
                           : "a reading waits for staff (" + since +
                                 "); release or reject it before closing";
        case PeriodCheck::Kind::unposted:
            return chinese ? "尚有 " + days + " 天未扣费；校准时钟后几分钟内自动完成"
                           : days +
                                 " days are not posted; they are within minutes of a trusted "
                                 "clock";
    }
    return {};
}

std::int64_t local_day(UtcMs at, const Zone& zone) {
    return days_since_epoch(zone.local(at).date);
}

// Days of the month on which the meter should have a freeze.
int expected_days(const PeriodMeter& meter, const PeriodBounds& bounds, const Zone& zone) {
    std::int64_t first = days_since_epoch(bounds.first);
    if (meter.from) first = std::max(first, local_day(*meter.from, zone));
    return static_cast<int>(std::max<std::int64_t>(days_since_epoch(bounds.last) - first + 1, 0));
}

void check_meter(std::vector<PeriodCheck>& checks, PeriodCheck base, const PeriodMeter& meter,
                 const std::map<std::string, UtcMs>& kept, const PeriodBounds& bounds,
                 const Zone& zone) {
    const std::int64_t last = days_since_epoch(bounds.last);
    const PeriodFigure* end = meter.rows.empty() ? nullptr : &meter.rows.back().end;
    const bool unread = end == nullptr || end->day < last;
    int missing = expected_days(meter, bounds, zone) - meter.days;
    if (unread) {
        PeriodCheck check = base;
        check.kind = PeriodCheck::Kind::unread;
        if (end != nullptr) check.since = end->at;
        // A row that is no freeze may be newer, in another epoch as well.
        if (const auto found = kept.find(meter.meter); found != kept.end())
            check.since = std::max(check.since.value_or(found->second), found->second);
        checks.push_back(std::move(check));
        // The days without a freeze at the end are told by that.
        missing -= static_cast<int>(
            last - std::max(end == nullptr ? 0 : end->day, days_since_epoch(bounds.first) - 1));
    }
    if (missing > 0) {
        PeriodCheck check = base;
        check.kind = PeriodCheck::Kind::gap;
        check.days = missing;
        checks.push_back(std::move(check));
    }
    if (meter.estimated > 0) {
        base.kind = PeriodCheck::Kind::estimated;
        base.days = meter.estimated;
        checks.push_back(std::move(base));
    }
}

}  // namespace

std::optional<PeriodBounds> bounds_of(LocalDate month, UtcMs now, const Zone& zone) {
    PeriodBounds bounds;
    bounds.month = month_scope(month);
    bounds.first = month;
    const std::int64_t end = days_since_epoch(next_month(month)) - 1;
    const std::int64_t yesterday = local_day(now, zone) - 1;
    bounds.last = date_from_days(std::min(end, yesterday));
    if (bounds.last < bounds.first) return std::nullopt;
    bounds.from = zone.midnight(bounds.first);
    bounds.to = zone.midnight(date_from_days(days_since_epoch(bounds.last) + 1));
    return bounds;
}

const char* to_string(PeriodCheck::Kind kind) {
    switch (kind) {
        case PeriodCheck::Kind::unread:
            return "unread";
        case PeriodCheck::Kind::gap:
            return "gap";
        case PeriodCheck::Kind::estimated:
            return "estimated";
        case PeriodCheck::Kind::quarantined:
            return "quarantined";
        case PeriodCheck::Kind::unposted:
            return "unposted";
    }
    return "";
}

bool takes_part(const Meter& meter, const PeriodMeter& read, const Account* payer,
                const PeriodBounds& bounds) {
    if (read.rows.empty() && meter.status != MeterStatus::active) return false;
    if (read.from && *read.from >= bounds.to) return false;
    return payer == nullptr || !payer->live_from || *payer->live_from <= bounds.last;
}

PeriodFacts read_facts(StoreReader& reader, const Snapshot& snapshot, const PeriodBounds& bounds,
                       std::uint64_t last_reading) {
    PeriodFacts facts;
    facts.snapshot = &snapshot;
    facts.meters =
        reader.period_meters(days_since_epoch(bounds.first), days_since_epoch(bounds.last),
                             bounds.from, bounds.to, last_reading);
    facts.kept = reader.newest_kept(bounds.to, last_reading);
    for (std::int64_t after = 0;;) {
        std::vector<QuarantineRow> rows =
            reader.quarantine(QuarantineRow::State::open, after, kQuarantinePage);
        const bool more = rows.size() == kQuarantinePage;
        for (QuarantineRow& row : rows) {
            after = row.id;
            facts.quarantined_at.push_back(reader.time(row.at).at);
            facts.quarantine.push_back(std::move(row));
        }
        if (!more) return facts;
    }
}

std::vector<PeriodCheck> checklist(const PeriodFacts& facts, const PeriodBounds& bounds,
                                   const Zone& zone, bool chinese) {
    std::vector<PeriodCheck> checks;
    const Snapshot& snapshot = *facts.snapshot;
    std::unordered_map<std::string, std::size_t> index;
    for (std::size_t i = 0; i < snapshot.meters.size(); ++i) index[snapshot.meters[i].meter()] = i;
    std::unordered_map<std::string, const Account*> accounts;
    for (const Account& account : snapshot.registry->accounts) accounts[account.account] = &account;
    const auto base_of = [&](std::size_t i) {
        PeriodCheck base;
        base.meter = snapshot.meters[i].meter();
        base.account = snapshot.meters[i].account;
        base.unit = snapshot.meters[i].unit();
        base.unit_label = snapshot.meters[i].unit_label;
        return base;
    };
    for (const PeriodMeter& meter : facts.meters) {
        const auto found = index.find(meter.meter);
        if (found == index.end()) continue;
        const std::size_t i = found->second;
        const auto payer = accounts.find(snapshot.meters[i].account);
        if (!takes_part(snapshot.registry->meters[i], meter,
                        payer == accounts.end() ? nullptr : payer->second, bounds))
            continue;
        check_meter(checks, base_of(i), meter, facts.kept, bounds, zone);
    }
    // What waits today may be of a day that has not ended.
    const UtcMs end = zone.midnight(next_month(bounds.first));
    for (std::size_t i = 0; i < facts.quarantine.size(); ++i) {
        const auto found = index.find(facts.quarantine[i].meter);
        if (found == index.end() || facts.quarantined_at[i] >= end) continue;
        PeriodCheck check = base_of(found->second);
        check.kind = PeriodCheck::Kind::quarantined;
        check.since = facts.quarantined_at[i];
        checks.push_back(std::move(check));
    }
    for (std::size_t i = 0; i < snapshot.accounts.size(); ++i) {
        const AccountView& account = snapshot.accounts[i];
        if (!account.posted_through || *account.posted_through >= bounds.last) continue;
        PeriodCheck check;
        check.kind = PeriodCheck::Kind::unposted;
        check.account = account.account;
        check.unit = account.unit;
        check.unit_label = account.unit_label;
        check.days = static_cast<int>(days_since_epoch(bounds.last) -
                                      days_since_epoch(*account.posted_through));
        checks.push_back(std::move(check));
    }
    for (PeriodCheck& check : checks) check.text = sentence(check, zone, chinese);
    return checks;
}

void checklist_json(JsonWriter& json, const std::vector<PeriodCheck>& checks, const Zone& zone) {
    json.begin_object().key("counts").begin_object();
    for (const PeriodCheck::Kind kind : kKinds)
        json.field(to_string(kind),
                   std::count_if(checks.begin(), checks.end(),
                                 [&](const PeriodCheck& check) { return check.kind == kind; }));
    json.end_object().key("items").begin_array();
    for (const PeriodCheck& check : checks) {
        json.begin_object()
            .field("kind", to_string(check.kind))
            .field_if("meter", check.meter)
            .field_if("account", check.account)
            .field_if("unit", check.unit)
            .field_if("unit_label", check.unit_label);
        if (check.days > 0) json.field("days", check.days);
        if (check.since) json.field("since", format_iso8601(*check.since, zone));
        json.field("text", check.text).end_object();
    }
    json.end_array().end_object();
}

}  // namespace gatehouse
