#include "daemon/engine/documents.hpp"

#include <optional>

#include "daemon/core/units.hpp"
#include "daemon/engine/json_writer.hpp"

namespace gatehouse {

namespace {

const char* quality_word(Quality quality) {
    switch (quality) {
        case Quality::confirmed:
            return "confirmed";
        case Quality::held:
            return "held";
        case Quality::meter_offline:
            return "meter_offline";
    }
    return "confirmed";
}

template <class T>
std::optional<std::string> decimal(const std::optional<T>& amount) {
    if (!amount) return std::nullopt;
    return format(*amount);
}

std::optional<std::string> time_text(const std::optional<UtcMs>& at, const Zone& zone) {
    if (!at) return std::nullopt;
    return format_iso8601(*at, zone);
}

void meter_state_fields(JsonWriter& json, const MeterView& meter, const Zone& zone) {
    json.field("schema", 1)
        .field("meter", meter.meter())
        .field("unit", meter.unit())
        .field("unit_label", meter.unit_label)
        .field("service", to_string(meter.service()))
        .field("total", decimal(meter.total))
        .field("unit_of_measure", unit_of_measure(meter.service()))
        .field("register", decimal(meter.register_value));
    if (meter.power_milliwatt) json.field("power", format_power_w(*meter.power_milliwatt));
    if (meter.flow_millilitre_per_hour) {
        json.field("flow", format_flow_m3_per_hour(*meter.flow_millilitre_per_hour));
    }
    json.field("quality", quality_word(meter.quality))
        .field("read_at", time_text(meter.read_at, zone));
}

void account_balance_fields(JsonWriter& json, const AccountView& account, std::string_view currency,
                            const Zone& zone) {
    json.field("schema", 1)
        .field("account", account.account)
        .field("unit", account.unit)
        .field("unit_label", account.unit_label)
        .field("service", to_string(account.service))
        .field("ledger", format(account.ledger))
        .field("balance", format(account.balance))
        .field("provisional", format(account.provisional))
        .field("currency", currency)
        .field("days_left", account.days_left)
        .field("level", account.level)
        .field("quality", quality_word(account.quality))
        .field("as_of", time_text(account.as_of, zone))
        .field("ledger_seq", account.ledger_seq);
}

void threshold_fields(JsonWriter& json, const ThresholdsView& thresholds) {
    json.key("thresholds")
        .begin_object()
        .field("low_balance", format(thresholds.low_balance))
        .field("low_days", thresholds.low_days)
        .field("critical_balance", format(thresholds.critical_balance))
        .field("critical_days", thresholds.critical_days)
        .field("clear_margin", format(thresholds.clear_margin))
        .field("amount_max_days", thresholds.amount_max_days)
        .field("overdraft", format(thresholds.overdraft))
        .field("hoarding_cap", decimal(thresholds.hoarding_cap))
        .end_object();
}

}  // namespace

const char* unit_of_measure(Service service) {
    return service == Service::electricity ? "kWh" : "m3";
}

std::string format_power_w(std::int64_t milliwatt) {
    return format_decimal_trimmed(milliwatt, 3, 0);
}

std::string format_flow_m3_per_hour(std::int64_t millilitre_per_hour) {
    return format_decimal_trimmed(millilitre_per_hour, 6, 0);
}

const char* availability(const MeterView& meter) {
    return meter.online ? "online" : "offline";
}

std::string meter_state_json(const MeterView& meter, const Zone& zone) {
    JsonWriter json;
    json.begin_object();
    meter_state_fields(json, meter, zone);
    json.end_object();
    return json.take();
}

std::string account_balance_json(const AccountView& account, std::string_view currency,
                                 const Zone& zone) {
    JsonWriter json;
    json.begin_object();
    account_balance_fields(json, account, currency, zone);
    json.end_object();
    return json.take();
}

std::string meter_json(const MeterView& meter, const Zone& zone) {
    JsonWriter json;
    json.begin_object();
    meter_state_fields(json, meter, zone);
    json.field("availability", availability(meter))
        .field("reason", meter.reason)
        .field("role", to_string(meter.row->role))
        .field_if("account", meter.account)
        .field_if("bus", meter.bus())
        .field_if("address", meter.row->address)
        .field_if("channel", meter.row->channel)
        .field_if("profile", meter.row->profile)
        .field_if("serial", meter.serial)
        .field_if("nameplate", meter.row->nameplate)
        .field_if("location", meter.row->location)
        .field("multiplier", meter.row->multiplier)
        .field("by_eye", meter.by_eye)
        .field("enabled", meter.enabled)
        .field("stuck", meter.stuck)
        .field_if("own_prepayment", meter.own_prepayment)
        .field("hold", meter.hold)
        .field("rejected", meter.rejected)
        .field("duplicates", meter.duplicates)
        .key("flags")
        .begin_array();
    for (const std::string& flag : meter.flags) json.value(flag);
    json.end_array()
        .field("epoch", meter.epoch)
        .field("last_poll_at", time_text(meter.last_poll_at, zone));
    if (meter.clock_drift_s) {
        json.key("clock")
            .begin_object()
            .field("drift_s", *meter.clock_drift_s)
            .field("read_at", time_text(meter.clock_read_at, zone))
            .end_object();
    }
    json.end_object();
    return json.take();
}

std::string account_json(const AccountView& account, std::string_view currency, const Zone& zone) {
    JsonWriter json;
    json.begin_object();
    account_balance_fields(json, account, currency, zone);
    json.key("tariff").begin_array();
    for (const auto& tariff : account.tariffs) json.value(tariff);
    json.end_array();
    threshold_fields(json, account.thresholds);
    json.field("billing", to_string(account.billing))
        .field_if("holder", account.holder)
        .field("trial", account.trial);
    if (account.preview) json.field("preview", format(*account.preview));
    json.field("open", account.open)
        .field_if("closed", time_text(account.closed_at, zone))
        .field_if("not_yet", account.not_yet)
        .end_object();
    return json.take();
}

std::string unit_json(const Unit& unit) {
    JsonWriter json;
    json.begin_object()
        .field("unit", unit.unit)
        .field("label", unit.label)
        .field_if("building", unit.building)
        .field_if("entrance", unit.entrance)
        .field_if("floor", unit.floor)
        .field("use", to_string(unit.use))
        .field("status", to_string(unit.status))
        .field_if("persons", unit.persons)
        .field_if("walk_order", unit.walk_order)
        .field_if("collector", unit.collector)
        .field_if("contact", unit.care.empty() ? "" : "phone");
    if (unit.area_centi) json.field("area", format_decimal_trimmed(*unit.area_centi, 2, 0));
    json.end_object();
    return json.take();
}

}  // namespace gatehouse
