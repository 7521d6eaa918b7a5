#include "daemon/engine/row_documents.hpp"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "daemon/core/ledger.hpp"
#include "daemon/core/money.hpp"
#include "daemon/core/settlement.hpp"
#include "daemon/core/units.hpp"
#include "daemon/engine/json_writer.hpp"

namespace gatehouse {

namespace {

std::optional<std::string> time_text(const std::optional<UtcMs>& at, const Zone& zone) {
    if (!at) return std::nullopt;
    return format_iso8601(*at, zone);
}

// A time of a run whose clock was never trusted is shown, and said to be so.
void time_field(JsonWriter& json, std::string_view name, const RunTimes::Time& time,
                const Zone& zone) {
    json.field(name, format_iso8601(time.at, zone));
    if (!time.trusted) json.field("time_untrusted", true);
}

// The body of an event is stored as text and was written by the engine; an empty one is none.
void raw_object(JsonWriter& json, std::string_view name, const std::string& text) {
    json.key(name);
    if (text.empty()) {
        json.null();
    } else {
        json.raw(text);
    }
}

std::string quality_of(ReadingQuality quality) {
    return to_string(quality);
}

void why_reading(JsonWriter& json, const StoredReading& reading, const Zone& zone) {
    json.begin_object().key("seq");
    // The last sample counts before it gets a row; its words stand here all the same.
    reading.row.seq == 0 ? json.null() : json.value(reading.row.seq);
    json.field("meter", reading.row.meter)
        .field("register", format(reading.row.register_value))
        .field("multiplier", reading.multiplier)
        .field("total", format(reading.row.total))
        .field("raw", raw_words(reading.row.raw))
        .field("at", format_iso8601(reading.at.at, zone))
        .field("quality", quality_of(reading.row.quality))
        .field_if("supersedes", reading.row.supersedes)
        .end_object();
}

// A part names the readings beside it: what stands now where it was posted between.
std::uint64_t named(std::uint64_t posted, const StoredReading& stands) {
    return posted == 0 || stands.row.seq == 0 ? posted : stands.row.seq;
}

// A price that came late has edges where no reading stands.
void why_edges(JsonWriter& json, const WhyPart& part, const Zone& zone) {
    if (part.edges.empty()) return;
    json.key("edges").begin_array();
    for (const EdgeFigureRow& edge : part.edges)
        json.begin_object()
            .field("at", format_iso8601(edge.at, zone))
            .field("total", format(edge.total))
            .field("quality", quality_of(ReadingQuality::estimated))
            .end_object();
    json.end_array();
}

// Each reading once, in the order in which the consumption went from one to the next.
void why_readings(JsonWriter& json, const WhyLine& line, const Zone& zone) {
    json.key("readings").begin_array();
    std::optional<std::uint64_t> last;
    for (const WhyPart& part : line.parts) {
        for (const StoredReading* reading : {&part.from, &part.to}) {
            if (reading->row.meter.empty() || reading->row.seq == last) continue;
            why_reading(json, *reading, zone);
            last = reading->row.seq;
        }
    }
    json.end_array();
    json.key("parts").begin_array();
    for (const WhyPart& part : line.parts) {
        const std::uint64_t to = named(part.part.to, part.to);
        json.begin_object()
            .field("meter", part.part.meter)
            .field("from", named(part.part.from, part.from))
            .key("to");
        to == 0 ? json.null() : json.value(to);
        json.field("quantity", format(part.part.quantity));
        why_edges(json, part, zone);
        json.end_object();
    }
    json.end_array();
}

// Price times quantity before it is rounded to whole fen: 1e-8 times 1e-3.
std::optional<std::string> exact_product(const Line& line) {
    const Int128 product = Int128{line.price.count} * line.quantity.count;
    if (product > INT64_MAX) return std::nullopt;
    return format_decimal_trimmed(static_cast<std::int64_t>(product), 11, 2);
}

void tariff_fields(JsonWriter& json, const LineKey& key, const Registry& registry) {
    json.field("tariff", key.tariff);
    for (const Tariff& tariff : registry.tariffs) {
        if (tariff.tariff != key.tariff) continue;
        json.field_if("source", tariff.source);
    }
}

void why_line(JsonWriter& json, const WhyLine& line, const Registry& registry, const Zone& zone) {
    json.begin_object();
    if (line.id != 0) json.field("line", line.id);
    json.field("month", line.key.scope).field("service", to_string(line.key.service));
    tariff_fields(json, line.key, registry);
    json.field("version", format_date(line.key.version))
        .field_if("season", line.key.season)
        .field_if("band", line.key.band);
    if (line.key.tier != 0) json.field("tier", line.key.tier);
    json.field("quantity", format(line.line.quantity))
        .field("price", format(line.line.price))
        .field_if("exact", is_minimum(line.key) ? std::nullopt : exact_product(line.line))
        .field("target", format(target(line.line)))
        .field("posted", format(line.line.posted));
    why_readings(json, line, zone);
    json.end_object();
}

// The reading where a pending part ends, as its row says or, before it has one, as the sample did.
StoredReading end_of(const PendingPart& part, std::optional<StoredReading> stored) {
    if (stored) return *std::move(stored);
    StoredReading end;
    end.row.seq = part.to;
    end.row.meter = part.meter;
    end.row.register_value = part.register_value;
    end.row.total = part.total;
    end.row.raw = part.raw;
    end.multiplier = part.multiplier;
    end.at.at = part.at;
    return end;
}

auto order_of(const WhyLine& line) {
    return std::tie(line.key.scope, line.key);
}

}  // namespace

bool add_pending(WhyMaterial& material, const AccountView& account, std::string_view month,
                 const std::function<std::optional<StoredReading>(std::uint64_t)>& reading) {
    if (account.pending == nullptr) return true;
    for (const PendingPart& part : *account.pending) {
        if (!month.empty() && part.line.scope != month) continue;
        auto line = std::find_if(material.lines.begin(), material.lines.end(),
                                 [&](const WhyLine& one) { return one.key == part.line; });
        if (line == material.lines.end()) {
            line = material.lines.insert(
                line, WhyLine{0, part.line, Line{part.before.price, Milli{}, Fen{}}, {}});
        }
        if (line->line.quantity != part.before.quantity || line->line.posted != part.before.posted)
            return false;
        line->line.quantity += part.quantity;
        // What a minimum gives way rests on other lines, and on no reading of its own.
        if (part.meter.empty()) continue;
        WhyPart why;
        why.part = {part.meter, part.from, part.to, part.quantity};
        why.from = reading(part.from).value_or(StoredReading{});
        why.to = end_of(part, part.to == 0 ? std::nullopt : reading(part.to));
        line->parts.push_back(std::move(why));
    }
    std::stable_sort(material.lines.begin(), material.lines.end(),
                     [](const WhyLine& a, const WhyLine& b) { return order_of(a) < order_of(b); });
    return true;
}

std::string raw_words(const std::vector<std::uint16_t>& words) {
    static constexpr char kHex[] = "0123456789abcdef";
    std::string text;
    for (const std::uint16_t word : words) {
        if (!text.empty()) text += ' ';
        for (unsigned shift = 16; shift > 0; shift -= 4) {
            text += kHex[(static_cast<unsigned>(word) >> (shift - 4)) & 0xFU];
        }
    }
    return text;
}

std::string event_json(const StoredEvent& event, const Zone& zone) {
    JsonWriter json;
    json.begin_object().field("seq", event.seq).field("kind", event.kind);
    time_field(json, "at", event.at, zone);
    json.field("run", event.run);
    raw_object(json, "subject", event.subject);
    raw_object(json, "body", event.body);
    json.field("h", event.h).field_if("removed", event.removed).end_object();
    return json.take();
}

std::string reading_json(const StoredReading& reading, const Zone& zone) {
    const ReadingRow& row = reading.row;
    JsonWriter json;
    json.begin_object()
        .field("seq", row.seq)
        .field("kind", to_string(row.kind))
        .field("meter", row.meter)
        .field("unit", reading.unit)
        .field_if("account", row.account)
        .field("role", to_string(reading.role))
        .field("service", to_string(reading.service))
        .field("register", format(row.register_value))
        .field("multiplier", reading.multiplier)
        .field("total", format(row.total))
        .field("quality", quality_of(row.quality));
    time_field(json, "at", reading.at, zone);
    json.field("received_at", format_iso8601(reading.received_at.at, zone))
        .field("epoch", row.epoch)
        .field_if("serial", reading.serial)
        .field_if("supersedes", row.supersedes)
        .field("raw", raw_words(row.raw))
        .end_object();
    return json.take();
}

std::string entry_json(const StoredEntry& stored, const Zone& zone) {
    const Entry& entry = stored.entry;
    JsonWriter json;
    json.begin_object()
        .field("seq", stored.seq)
        .field("entry", entry.entry)
        .field("kind", to_string(entry.kind))
        .field("account", entry.account)
        .field("amount", format(entry.amount))
        .field("balance_after", format(stored.balance_after))
        .field("cause", entry.cause)
        .field("month", entry.month);
    if (stored.line != 0) json.field("line", stored.line);
    json.field_if("receipt", entry.receipt)
        .field_if("by", entry.by)
        .field_if("second", entry.second)
        .field_if("reverses", entry.reverses);
    if (entry.kind == EntryKind::transfer)
        json.field(entry.amount.count < 0 ? "to" : "from",
                   book::holder_of(entry.legs.at(1).account));
    // What two people signed: whether they were logged in, or it is their word alone.
    if (!entry.second.empty()) json.field("authenticated", stored.vouched);
    json.field_if("method", stored.method)
        .field_if("reference", stored.reference)
        .field_if(entry.kind == EntryKind::topup ? "note" : "reason", stored.note)
        .field_if("received_at", time_text(stored.received_at, zone));
    if (stored.event != 0) json.field("event", stored.event);
    time_field(json, "at", stored.at, zone);
    // An event tells of the entry before its place in the chain is known.
    json.field_if("h", stored.h).end_object();
    return json.take();
}

std::string why_json(const AccountView& account, const WhyMaterial& material,
                     std::string_view month, std::string_view currency, const Registry& registry,
                     const Zone& zone) {
    JsonWriter json;
    json.begin_object()
        .field("schema", 1)
        .field("account", account.account)
        .field("unit", account.unit)
        .field("unit_label", account.unit_label)
        .field("currency", currency);
    json.field_if("month", month);
    json.key("lines").begin_array();
    for (const WhyLine& line : material.lines) why_line(json, line, registry, zone);
    json.end_array();
    json.key("entries").begin_array();
    for (const StoredEntry& entry : material.entries) json.raw(entry_json(entry, zone));
    json.end_array();
    const Fen unposted = account.ledger - account.balance;
    json.field("ledger", format(material.ledger))
        .field("unposted", format(unposted))
        .field("balance", format(material.ledger - unposted))
        .field("as_of", time_text(account.as_of, zone))
        .end_object();
    return json.take();
}

std::string quarantine_json(const QuarantineRow& row, const RunTimes::Time& at, const Zone& zone) {
    JsonWriter json;
    json.begin_object()
        .field("id", std::to_string(row.id))
        .field("meter", row.meter)
        .field_if("account", row.account)
        .field("register", format(row.register_value))
        .field("total", format(row.total));
    time_field(json, "at", at, zone);
    json.field("raw", raw_words(row.raw))
        .field("reason", row.reason)
        .field("held", format(row.held))
        .field_if(row.reason == "multiplier_changed" ? "ratio" : "serial", row.serial)
        .end_object();
    return json.take();
}

std::string access_json(const AccessRow& row, const Zone& zone) {
    JsonWriter json;
    json.begin_object()
        .field("id", std::to_string(row.id))
        .field("staff", row.staff)
        .field("unit", row.unit)
        .field("reason", row.reason)
        .field("hours", row.hours)
        .field("state", to_string(row.state))
        .field("asked_at", format_iso8601(row.asked_at, zone))
        .field_if("answered_by", row.answered_by)
        .field_if("answer", row.answer)
        .field_if("expires_at", time_text(row.expires_at, zone))
        .end_object();
    return json.take();
}

std::string token_json(const TokenRow& token, const Zone& zone) {
    JsonWriter json;
    json.begin_object().field("id", token.id).field("name", token.name);
    json.key("scopes").begin_array();
    for (const auto& scope : token.scopes) json.value(scope);
    json.end_array().key("addresses").begin_array();
    for (const auto& address : token.addresses) json.value(address);
    json.end_array();
    json.field("created_at", format_iso8601(token.created_at, zone))
        .field("expires_at", time_text(token.expires_at, zone))
        .field("revoked_at", time_text(token.revoked_at, zone))
        .field("last_used_at", time_text(token.last_used_at, zone))
        .end_object();
    return json.take();
}

}  // namespace gatehouse
