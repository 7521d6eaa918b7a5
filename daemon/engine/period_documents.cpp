#include "daemon/engine/period_documents.hpp"

#include <algorithm>

#include "daemon/engine/period_files.hpp"

namespace gatehouse {

namespace period_files {

void Files::add_charge(Service service, const std::string& tariff, const char* kind, Milli quantity,
                       Fen amount) {
    ChargeTotals& totals = charges_[{service, tariff, kind}];
    ++totals.rows;
    totals.quantity += quantity;
    totals.amount += amount;
    charged_ += amount;
}

void Files::line_row(FileWriter& file, const PeriodLine& line) {
    if (line.line.quantity.count == 0 && line.line.posted.count == 0) return;
    const LineKey& key = line.key;
    const Account* account = names_.account(line.account);
    const char* kind = is_minimum(key) ? "minimum" : "line";
    JsonWriter json;
    json.begin_object()
        .field("no", file.count() + 1)
        .field("period", key.scope)
        .field("kind", kind)
        .field("account", line.account);
    if (account != nullptr) {
        unit_fields(json, names_, account->unit);
        json.field("billing", to_string(account->billing));
    }
    json.field("service", to_string(key.service))
        .field("tariff", key.tariff)
        .field("version", format_date(key.version))
        .field_if("season", key.season)
        .field_if("band", is_minimum(key) ? "" : key.band);
    if (key.tier != 0) json.field("tier", key.tier);
    if (!is_minimum(key)) {
        json.key("meters").begin_array();
        for (const std::string& meter : line.meters) json.value(meter);
        json.end_array()
            .field("quantity", format(line.line.quantity))
            .field("price", format(line.line.price));
    }
    json.field("target", format(target(line.line)))
        .field("amount", format(line.line.posted))
        .field("estimated", line.estimated);
    if (line.face)
        json.field("start", format(line.face->start))
            .field("end", format(line.face->end))
            .field("multiplier", line.face->multiplier);
    json.field("line", line.id).end_object();
    file.item(json);
    // A tier beside bands is an adder on what the bands counted already, and a minimum is money.
    const bool counts = !is_minimum(key) && (key.tier == 0 || key.band.empty());
    add_charge(key.service, key.tariff, kind, counts ? line.line.quantity : Milli{},
               line.line.posted);
}

namespace {

// `fee:<tariff>/<name>/<month or day>`, `pool:<pool>/<month>`: a fee's consumption month stands in
// its cause.
std::string fee_month(const Entry& entry) {
    const std::size_t slash = entry.cause.rfind('/');
    return slash == std::string::npos ? entry.month : entry.cause.substr(slash + 1, 7);
}

bool is_pool(const Entry& entry) {
    return entry.cause.starts_with("pool:");
}

// The tariff of a fee, the pool of a share of one.
std::string fee_tariff(const Entry& entry) {
    const std::size_t begin = entry.cause.find(':') + 1;
    return entry.cause.substr(begin, entry.cause.find('/') - begin);
}

// A fee that was taken back is charged no more; the reversal of a payment charges nothing.
bool undoes_fee(const Entry& entry) {
    return entry.kind == EntryKind::reversal &&
           std::any_of(entry.legs.begin(), entry.legs.end(), [](const Leg& leg) {
               return leg.account == book::kFees || leg.account.starts_with("pool:");
           });
}

}  // namespace

// Each entry that charges stands in the file of one month: that of its consumption, or, where it
// was sealed before, the one that was open then.
bool Files::belongs(const StoredEntry& stored) const {
    const Entry& entry = stored.entry;
    const std::string& month = frame_.bounds.month;
    switch (entry.kind) {
        case EntryKind::charge:
        case EntryKind::correction:
        case EntryKind::price_settlement:
            // Fees that a late version settled have no line, and stand where they were booked.
            if (!entry.line) return entry.month == month;
            // The month's own lines are rows already.
            return entry.line->scope < month && stored.seq > frame_.previous_entry;
        case EntryKind::fee: {
            const std::string of = fee_month(entry);
            return of == month || (of < month && stored.seq > frame_.previous_entry);
        }
        case EntryKind::adjustment:
            return entry.month == month;
        case EntryKind::reversal:
            return undoes_fee(entry) && entry.month == month;
        default:
            return false;
    }
}

Service Files::service_of(const StoredEntry& stored) const {
    const Entry& entry = stored.entry;
    if (entry.line) return entry.line->service;
    if (entry.kind == EntryKind::fee) {
        const auto& known = is_pool(entry) ? names_.pools : names_.tariffs;
        const auto found = known.find(fee_tariff(entry));
        if (found != known.end()) return found->second;
    }
    for (const Leg& leg : entry.legs) {
        if (leg.account == book::kRevenueWater) return Service::water;
        if (!leg.account.starts_with("pool:")) continue;
        const auto pool = names_.pools.find(leg.account.substr(std::string("pool:").size()));
        if (pool != names_.pools.end()) return pool->second;
    }
    return Service::electricity;
}

void Files::entry_row(FileWriter& file, const StoredEntry& stored) {
    const Entry& entry = stored.entry;
    const Account* account = names_.account(entry.account);
    const Service service = service_of(stored);
    const std::string tariff = entry.line                     ? entry.line->tariff
                               : entry.kind == EntryKind::fee ? fee_tariff(entry)
                                                              : std::string();
    const std::string of = entry.line                     ? entry.line->scope
                           : entry.kind == EntryKind::fee ? fee_month(entry)
                                                          : entry.month;
    JsonWriter json;
    json.begin_object()
        .field("no", file.count() + 1)
        .field("period", frame_.bounds.month)
        .field("kind", to_string(entry.kind))
        .field("account", entry.account);
    if (account != nullptr) {
        unit_fields(json, names_, account->unit);
        json.field("billing", to_string(account->billing));
    }
    json.field("service", to_string(service)).field_if(is_pool(entry) ? "pool" : "tariff", tariff);
    if (entry.line)
        json.field("version", format_date(entry.line->version))
            .field_if("season", entry.line->season)
            .field_if("band", entry.line->band);
    if (entry.line && entry.line->tier != 0) json.field("tier", entry.line->tier);
    json.field("amount", format(-entry.amount)).field("estimated", false);
    if (of != frame_.bounds.month) json.field("refers_to", of);
    if (stored.line != 0) json.field("line", stored.line);
    json.field("cause", entry.cause).field("entry", entry.entry).field("seq", stored.seq);
    json.end_object();
    file.item(json);
    add_charge(service, tariff, to_string(entry.kind), {}, -entry.amount);
}

PeriodFile Files::charges() {
    FileWriter file("charges", frame_);
    // Files that were sealed before lines had registers are read without their columns.
    JsonWriter faces;
    faces.value(true);
    file.member("faces", faces);
    file.begin_items();
    reader_.period_lines([&](const PeriodLine& line) { line_row(file, line); });
    reader_.entries_between(before_month_, frame_.row.last_entry, [&](const StoredEntry& stored) {
        if (belongs(stored)) entry_row(file, stored);
    });
    file.end_items();
    JsonWriter totals;
    totals.begin_object().field("amount", format(charged_)).field("rows", file.count());
    totals.end_object();
    file.member("totals", totals);
    rows_["charges"] = file.count();
    return file.finish();
}

static bool charges_something(const Entry& entry) {
    return entry.kind == EntryKind::charge || entry.kind == EntryKind::correction ||
           entry.kind == EntryKind::price_settlement || entry.kind == EntryKind::fee ||
           entry.kind == EntryKind::adjustment || undoes_fee(entry);
}

void Files::write_entry(FileWriter& file, const StoredEntry& stored, const Leg& side) {
    const Entry& entry = stored.entry;
    const std::string holder(book::holder_of(side.account));
    const std::string account = holder.empty() ? entry.account : holder;
    JsonWriter json;
    json.begin_object()
        .field("seq", stored.seq)
        .field("entry", entry.entry)
        .field("at", format_iso8601(stored.at.at, *frame_.zone));
    if (!stored.at.trusted) json.field("time_untrusted", true);
    json.field("kind", to_string(entry.kind)).field_if("account", account);
    if (const Account* row = names_.account(account)) json.field_if("unit", row->unit);
    json.field("amount", format(side.amount)).field("cause", entry.cause);
    if (entry.line) json.field("refers_to", entry.line->scope);
    if (stored.line != 0) json.field("line", stored.line);
    json.field_if("receipt", entry.receipt)
        .field_if("method", stored.method)
        .field_if("by", entry.by)
        .field_if("second", entry.second)
        .field_if("reverses", entry.reverses)
        .key("legs")
        .begin_array();
    // The legs balance once an entry; another household's row of it only has its side.
    const bool own = holder.empty() || holder == entry.account;
    for (const Leg& leg : own ? entry.legs : std::vector<Leg>())
        json.begin_object()
            .field("account", leg.account)
            .field("amount", format(leg.amount))
            .end_object();
    json.end_array().end_object();
    file.item(json);
}

PeriodFile Files::ledger() {
    FileWriter file("ledger", frame_);
    file.begin_items();
    const std::string& month = frame_.bounds.month;
    reader_.entries_between(before_month_, frame_.row.last_entry, [&](const StoredEntry& stored) {
        const Entry& entry = stored.entry;
        const bool in_charges = charges_something(entry) &&
                                (belongs(stored) || (entry.line && entry.line->scope == month));
        if (in_charges && entry.month > month) booked_later_ -= entry.amount;
        if (entry.month != month) return;
        if (charges_something(entry)) {
            booked_ -= entry.amount;
            if (!in_charges) of_earlier_ -= entry.amount;
        }
        // A transfer moves two households' money, and each of them has its row.
        std::vector<Leg> households;
        for (const Leg& leg : entry.legs)
            if (!book::holder_of(leg.account).empty()) households.push_back(leg);
        if (households.empty()) households.push_back({"", entry.amount});
        for (const Leg& leg : households) {
            if (!leg.account.empty()) moved_ += leg.amount;
            write_entry(file, stored, leg);
            auto& [count, sum] = kinds_[to_string(entry.kind)];
            ++count;
            sum += leg.amount;
        }
    });
    file.end_items();
    rows_["ledger"] = file.count();
    return file.finish();
}

PeriodFile Files::summary(const std::vector<PeriodFile>& files) {
    FileWriter file("summary", frame_);
    JsonWriter by;
    by.value(frame_.row.by);
    file.member("closed_by", by);
    const Fen closing = reader_.households_at_end(frame_.bounds.month, before_month_);
    JsonWriter ledger;
    ledger.begin_object().field("opening", format(closing - moved_)).key("kinds").begin_object();
    for (const auto& [kind, what] : kinds_)
        ledger.key(kind)
            .begin_object()
            .field("count", what.first)
            .field("amount", format(what.second))
            .end_object();
    ledger.end_object()
        .field("moved", format(moved_))
        .field("closing", format(closing))
        // Under names that no kind of entry has: as rows of one table they would have the same key.
        .field("opening_balance", format(closing - moved_))
        .field("closing_balance", format(closing))
        .field("entries", rows_["ledger"])
        .end_object();
    file.member("ledger", ledger);
    JsonWriter charges;
    charges.begin_object().key("items").begin_array();
    for (const auto& [what, totals] : charges_) {
        const auto& [service, tariff, kind] = what;
        charges.begin_object()
            .field("service", to_string(service))
            .field_if("tariff", tariff)
            .field("kind", kind)
            .field("rows", totals.rows)
            .field("quantity", format(totals.quantity))
            .field("amount", format(totals.amount))
            .end_object();
    }
    // The last day of a month is booked on the first of the next, so that what a month used and
    // what was booked in it differ by that.
    charges.end_array()
        .field("total", format(charged_))
        .field("booked_later", format(booked_later_))
        .field("of_earlier_periods", format(of_earlier_))
        .field("booked_in_period", format(booked_))
        .end_object();
    file.member("charges", charges);
    JsonWriter readings;
    use_totals(readings);
    file.member("readings", readings);
    JsonWriter checks;
    checklist_json(checks, checks_, *frame_.zone);
    file.member("checklist", checks);
    JsonWriter parts;
    parts.begin_object();
    for (const PeriodFile& one : files)
        parts.key(one.name)
            .begin_object()
            .field("sha256", one.sha256)
            .field("bytes", one.bytes)
            .field("rows", rows_[one.name])
            .end_object();
    parts.end_object();
    file.member("files", parts);
    return file.finish();
}

}  // namespace period_files

namespace {

constexpr std::size_t kPartBytes = 256 * 1024;

}  // namespace

std::vector<Command> sealing(const std::string& actor, const std::string& month,
                             const std::string& by, std::vector<PeriodFile> files) {
    std::vector<Command> commands;
    for (PeriodFile& file : files) {
        int n = 0;
        for (std::size_t at = 0; at < file.deflated.size(); at += kPartBytes)
            commands.emplace_back(
                KeepPeriodPart{month, file.name, n++, file.deflated.substr(at, kPartBytes)});
        file.deflated.clear();
    }
    commands.emplace_back(SealPeriod{actor, month, by, std::move(files)});
    return commands;
}

std::vector<PeriodFile> write_period(LocalDate month, const PeriodSite& site,
                                     const Snapshot& snapshot, StoreReader& reader) {
    period_files::PeriodFrame frame;
    frame.site_id = site.site_id;
    frame.currency = site.currency;
    frame.zone = site.zone;
    frame.bounds = *bounds_of(month, site.zone->midnight(next_month(month)), *site.zone);
    for (const StoredPeriod& period : reader.periods()) {
        if (period.row.month < frame.bounds.month) frame.previous_entry = period.row.last_entry;
        if (period.row.month == frame.bounds.month) frame.row = period.row;
    }
    GH_ASSERT(!frame.row.month.empty() && frame.row.state == PeriodRow::State::closing);
    const PeriodFacts facts = read_facts(reader, snapshot, frame.bounds, frame.row.last_reading);
    const std::vector<PeriodCheck> checks =
        checklist(facts, frame.bounds, *site.zone, site.chinese);
    return period_files::Files(frame, facts, checks, reader).write();
}

}  // namespace gatehouse
