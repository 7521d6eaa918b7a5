#include "daemon/engine/period_documents.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "daemon/engine/documents.hpp"
#include "daemon/engine/sealed_text.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kPartBytes = 256 * 1024;

struct PeriodFrame {
    std::string site_id, currency;
    PeriodBounds bounds;
    PeriodRow row;                     // of the month that closes
    std::uint64_t previous_entry = 0;  // last_entry of the month closed before; 0: none
    const Zone* zone = nullptr;
};

// One file in the making: its head, one row after the other, its foot.
class FileWriter {
  public:
    FileWriter(const char* name, const PeriodFrame& frame) : name_(name) {
        JsonWriter head;
        head.begin_object()
            .field("schema", 1)
            .field("file", name)
            .field("site", frame.site_id)
            .field("period", frame.bounds.month)
            .field("from", format_iso8601(frame.bounds.from, *frame.zone))
            .field("to", format_iso8601(frame.bounds.to, *frame.zone))
            .field("currency", frame.currency)
            .field("last_entry", frame.row.last_entry)
            .field("last_reading", frame.row.last_reading);
        text_.append(head.take());
    }
    void begin_items() { text_.append(",\"items\":["); }
    void item(JsonWriter& json) {
        text_.append(count_++ == 0 ? "\n" : ",\n");
        text_.append(json.take());
    }
    void end_items() { text_.append("\n]"); }
    // A member of the file itself, whose value is JSON.
    void member(const char* name, JsonWriter& value) {
        text_.append(",\"");
        text_.append(name);
        text_.append("\":");
        text_.append(value.take());
    }
    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] PeriodFile finish() {
        text_.append("}\n");
        return text_.finish(name_);
    }

  private:
    const char* name_;
    SealedText text_;
    std::size_t count_ = 0;
};

struct UseTotals {
    Milli unit, main, public_use, check;
    std::size_t meters = 0, unread = 0, estimated = 0;
};

struct ChargeTotals {
    std::size_t rows = 0;
    Milli quantity;
    Fen amount;
};

struct Names {
    std::unordered_map<std::string, const Unit*> units;
    std::unordered_map<std::string, const Account*> accounts;
    std::unordered_map<std::string, Service> tariffs;
    explicit Names(const Registry& registry) {
        for (const Unit& unit : registry.units) units[unit.unit] = &unit;
        for (const Account& account : registry.accounts) accounts[account.account] = &account;
        for (const Tariff& tariff : registry.tariffs) tariffs[tariff.tariff] = tariff.service;
    }
    [[nodiscard]] const Account* account(const std::string& id) const {
        const auto found = accounts.find(id);
        return found == accounts.end() ? nullptr : found->second;
    }
    [[nodiscard]] const Unit* unit(const std::string& id) const {
        const auto found = units.find(id);
        return found == units.end() ? nullptr : found->second;
    }
};

void unit_fields(JsonWriter& json, const Names& names, const std::string& id) {
    json.field_if("unit", id);
    const Unit* unit = names.unit(id);
    if (unit == nullptr) return;
    json.field("unit_label", unit->label.empty() ? unit->unit : unit->label)
        .field_if("building", unit->building)
        .field_if("entrance", unit->entrance)
        .field("use", to_string(unit->use));
}

class Files {
  public:
    Files(const PeriodFrame& frame, const PeriodFacts& facts,
          const std::vector<PeriodCheck>& checks, StoreReader& reader)
        : frame_(frame),
          facts_(facts),
          checks_(checks),
          reader_(reader),
          registry_(*facts.snapshot->registry),
          names_(registry_),
          before_month_(reader.last_entry_before(frame.bounds.month)) {}

    std::vector<PeriodFile> write() {
        std::vector<PeriodFile> files;
        files.push_back(readings());
        files.push_back(charges());
        files.push_back(ledger());
        files.push_back(summary(files));
        return files;
    }

  private:
    PeriodFile readings();
    void reading_rows(FileWriter& file, const Meter& meter, const PeriodMeter& read,
                      const std::string& payer);
    void count_use(const Meter& meter, const PeriodMeter& read);
    PeriodFile charges();
    void line_row(FileWriter& file, const PeriodLine& line);
    void entry_row(FileWriter& file, const StoredEntry& entry);
    PeriodFile ledger();
    PeriodFile summary(const std::vector<PeriodFile>& files);
    void use_totals(JsonWriter& json);
    void add_charge(Service service, const std::string& tariff, const char* kind, Milli quantity,
                    Fen amount);
    [[nodiscard]] bool belongs(const StoredEntry& entry) const;
    [[nodiscard]] Service service_of(const StoredEntry& entry) const;

    const PeriodFrame& frame_;
    const PeriodFacts& facts_;
    const std::vector<PeriodCheck>& checks_;
    StoreReader& reader_;
    const Registry& registry_;
    Names names_;
    // What a month used is booked in it or later, and months of entries never fall.
    const std::uint64_t before_month_;
    std::map<Service, UseTotals> use_;
    std::map<std::tuple<Service, std::string, std::string>, ChargeTotals> charges_;
    std::map<std::string, std::pair<std::size_t, Fen>> kinds_;  // of entries
    std::map<std::string, std::size_t> rows_;                   // by file
    Fen charged_, booked_later_, of_earlier_, booked_;
    Fen moved_;  // by all entries of the month
};

void figure_fields(JsonWriter& json, const char* what, const PeriodFigure& figure,
                   const Zone& zone) {
    const std::string name = what;
    json.field(name + "_at",
               figure.at ? std::optional(format_iso8601(*figure.at, zone)) : std::nullopt)
        .field(name + "_register", format(figure.register_value))
        .field(name + "_total", format(figure.total));
    if (figure.reading != 0) json.field(name + "_seq", figure.reading);
}

void Files::reading_rows(FileWriter& file, const Meter& meter, const PeriodMeter& read,
                         const std::string& payer) {
    const auto head = [&](const std::string& account) {
        JsonWriter json;
        json.begin_object().field("no", file.count() + 1).field("meter", meter.meter);
        unit_fields(json, names_, meter.unit);
        json.field_if("location", meter.location)
            .field("service", to_string(meter.service))
            .field("role", to_string(meter.role))
            .field_if("parent", meter.parent)
            .field_if("nameplate", meter.nameplate)
            .field_if("account", account);
        return json;
    };
    if (read.rows.empty()) {
        JsonWriter json = head(payer);
        json.field_if("serial", meter.serial)
            .field("multiplier", meter.multiplier)
            .field("quantity", std::optional<std::string>())
            .field("quality", "unread")
            .end_object();
        file.item(json);
        return;
    }
    for (const PeriodMeter::Row& row : read.rows) {
        const bool ended = &row != &read.rows.back();
        const bool unread = !ended && row.end.day < days_since_epoch(frame_.bounds.last);
        JsonWriter json = head(row.end.account.empty() ? payer : row.end.account);
        json.field("epoch", row.epoch)
            .field_if("serial", row.serial.empty() ? meter.serial : row.serial)
            .field("multiplier", row.multiplier);
        figure_fields(json, "start", row.start, *frame_.zone);
        figure_fields(json, "end", row.end, *frame_.zone);
        json.field("quantity", format(row.end.total - row.start.total))
            .field("unit_of_measure", unit_of_measure(meter.service))
            .field("quality", ended    ? "replaced"
                              : unread ? "unread"
                                       : to_string(row.end.quality))
            .end_object();
        file.item(json);
    }
}

void Files::count_use(const Meter& meter, const PeriodMeter& read) {
    UseTotals& totals = use_[meter.service];
    ++totals.meters;
    const PeriodFigure* end = read.rows.empty() ? nullptr : &read.rows.back().end;
    if (end == nullptr || end->day < days_since_epoch(frame_.bounds.last)) ++totals.unread;
    if (end == nullptr) return;
    if (end->quality == ReadingQuality::estimated) ++totals.estimated;
    const Milli used = end->total - read.rows.front().start.total;
    switch (meter.role) {
        case MeterRole::unit:
            totals.unit += used;
            break;
        case MeterRole::main:
            totals.main += used;
            break;
        case MeterRole::public_:
            totals.public_use += used;
            break;
        case MeterRole::check:
            totals.check += used;
            break;
    }
}

PeriodFile Files::readings() {
    FileWriter file("readings", frame_);
    file.begin_items();
    std::unordered_map<std::string, const PeriodMeter*> read;
    for (const PeriodMeter& meter : facts_.meters) read[meter.meter] = &meter;
    for (std::size_t i = 0; i < registry_.meters.size(); ++i) {
        const Meter& meter = registry_.meters[i];
        const auto found = read.find(meter.meter);
        if (found == read.end()) continue;
        const std::string payer =
            i < facts_.snapshot->meters.size() ? facts_.snapshot->meters[i].account : "";
        if (!takes_part(meter, *found->second, names_.account(payer), frame_.bounds)) continue;
        reading_rows(file, meter, *found->second, payer);
        count_use(meter, *found->second);
    }
    file.end_items();
    JsonWriter totals;
    use_totals(totals);
    file.member("totals", totals);
    rows_["readings"] = file.count();
    return file.finish();
}

// What the main meters counted above their sub-meters, in hundredths of a percent, half up.
std::optional<std::string> loss_percent(const UseTotals& totals) {
    if (totals.main.count <= 0) return std::nullopt;
    const Milli lost = totals.main - totals.unit - totals.public_use;
    const Int128 scaled = Int128{lost.count} * 20'000 + totals.main.count;
    Int128 hundredths = scaled / (Int128{totals.main.count} * 2);
    if (scaled < 0 && scaled % (Int128{totals.main.count} * 2) != 0) --hundredths;
    return format_decimal(static_cast<std::int64_t>(hundredths), 2);
}

void Files::use_totals(JsonWriter& json) {
    json.begin_object();
    for (const auto& [service, totals] : use_) {
        json.key(to_string(service))
            .begin_object()
            .field("unit_of_measure", unit_of_measure(service))
            .field("meters", totals.meters)
            .field("unread", totals.unread)
            .field("estimated", totals.estimated)
            .field("unit", format(totals.unit))
            .field("public", format(totals.public_use))
            .field("main", format(totals.main))
            .field("check", format(totals.check));
        if (totals.main.count > 0)
            json.field("difference", format(totals.main - totals.unit - totals.public_use));
        json.field_if("loss_percent", loss_percent(totals)).end_object();
    }
    json.end_object();
}

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
        .field("estimated", line.estimated)
        .field("line", line.id)
        .end_object();
    file.item(json);
    // A tier beside bands is an adder on what the bands counted already, and a minimum is money.
    const bool counts = !is_minimum(key) && (key.tier == 0 || key.band.empty());
    add_charge(key.service, key.tariff, kind, counts ? line.line.quantity : Milli{},
               line.line.posted);
}

// `fee:<tariff>/<name>/<month or day>`: a fee's consumption month stands in its cause.
std::string fee_month(const Entry& entry) {
    const std::size_t slash = entry.cause.rfind('/');
    return slash == std::string::npos ? entry.month : entry.cause.substr(slash + 1, 7);
}

std::string fee_tariff(const Entry& entry) {
    const std::size_t begin = entry.cause.find(':') + 1;
    return entry.cause.substr(begin, entry.cause.find('/') - begin);
}

// A fee that was taken back is charged no more; the reversal of a payment charges nothing.
bool undoes_fee(const Entry& entry) {
    return entry.kind == EntryKind::reversal &&
           std::any_of(entry.legs.begin(), entry.legs.end(),
                       [](const Leg& leg) { return leg.account == book::kFees; });
}

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
        const auto found = names_.tariffs.find(fee_tariff(entry));
        if (found != names_.tariffs.end()) return found->second;
    }
    for (const Leg& leg : entry.legs)
        if (leg.account == book::kRevenueWater) return Service::water;
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
    json.field("service", to_string(service)).field_if("tariff", tariff);
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

bool charges_something(const Entry& entry) {
    return entry.kind == EntryKind::charge || entry.kind == EntryKind::correction ||
           entry.kind == EntryKind::price_settlement || entry.kind == EntryKind::fee ||
           entry.kind == EntryKind::adjustment || undoes_fee(entry);
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
        JsonWriter json;
        json.begin_object()
            .field("seq", stored.seq)
            .field("entry", entry.entry)
            .field("at", format_iso8601(stored.at.at, *frame_.zone));
        if (!stored.at.trusted) json.field("time_untrusted", true);
        json.field("kind", to_string(entry.kind)).field_if("account", entry.account);
        if (const Account* account = names_.account(entry.account))
            json.field_if("unit", account->unit);
        json.field("amount", format(entry.amount)).field("cause", entry.cause);
        if (entry.line) json.field("refers_to", entry.line->scope);
        if (stored.line != 0) json.field("line", stored.line);
        json.field_if("receipt", entry.receipt)
            .field_if("method", stored.method)
            .field_if("by", entry.by)
            .field_if("second", entry.second)
            .field_if("reverses", entry.reverses)
            .key("legs")
            .begin_array();
        for (const Leg& leg : entry.legs) {
            json.begin_object()
                .field("account", leg.account)
                .field("amount", format(leg.amount))
                .end_object();
            if (!book::holder_of(leg.account).empty()) moved_ += leg.amount;
        }
        json.end_array().end_object();
        file.item(json);
        auto& [count, sum] = kinds_[to_string(entry.kind)];
        ++count;
        sum += entry.amount;
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
    PeriodFrame frame;
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
    return Files(frame, facts, checks, reader).write();
}

}  // namespace gatehouse
