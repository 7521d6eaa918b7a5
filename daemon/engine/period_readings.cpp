// The file of a month's readings: one row a meter and epoch, and what all of them used.
#include "daemon/engine/period_files.hpp"

namespace gatehouse::period_files {

namespace {

void figure_fields(JsonWriter& json, const char* what, const PeriodFigure& figure,
                   const Zone& zone) {
    const std::string name = what;
    json.field(name + "_at",
               figure.at ? std::optional(format_iso8601(*figure.at, zone)) : std::nullopt)
        .field(name + "_register", format(figure.register_value))
        .field(name + "_total", format(figure.total));
    if (figure.reading != 0) json.field(name + "_seq", figure.reading);
}

// An opening register is of its own date, and not of the first poll that agreed with it.
PeriodFigure dated_start(const Meter& meter, PeriodFigure start, const Zone& zone) {
    if (start.reading != 0 || !meter.opening_register || !meter.opening_at) return start;
    const auto face = parse_rational(*meter.opening_register);
    const auto opening = face ? round_to_milli(*face) : std::nullopt;
    const auto at = parse_iso8601(*meter.opening_at, zone);
    const bool before = !start.at || !at || *at < *start.at;
    if (opening && *opening == start.register_value && before) start.at = at;
    return start;
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

}  // namespace

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
            // What meters.csv says is of the meter that hangs there now.
            .field_if("serial", row.serial.empty() && !row.ended ? meter.serial : row.serial)
            .field("multiplier", row.multiplier);
        const bool first = row.start.at == read.from;
        figure_fields(json, "start",
                      first ? dated_start(meter, row.start, *frame_.zone) : row.start,
                      *frame_.zone);
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

}  // namespace gatehouse::period_files
