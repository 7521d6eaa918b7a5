#include "daemon/mqtt/discovery.hpp"

#include <string>

#include "daemon/engine/json_writer.hpp"

namespace gatehouse::mqtt {
namespace {

// Home Assistant takes letters, digits, '_' and '-' in an object id; identifiers have '.' as well.
std::string object_id(const Settings& settings, const std::string& what, const std::string& id) {
    std::string out = settings.site_id + "_" + what + "_";
    for (const char c : id) {
        if (c == '.') {
            out += "-2e-";
        } else {
            out += c;
        }
    }
    return out;
}

// Both kinds are sensors of one device a meter or account, named as people say the place.
void device(JsonWriter& json, const Settings& settings, const std::string& object,
            const std::string& name) {
    json.key("device")
        .begin_object()
        .key("identifiers")
        .begin_array()
        .value("gatehouse_" + object)
        .end_array()
        .field("name", name)
        .field("manufacturer", "Gatehouse")
        .field_if("sw_version", settings.version)
        .end_object();
}

std::string named(const std::string& label, const std::string& id) {
    return label.empty() || label == id ? id : label + " " + id;
}

Message message(const Settings& settings, const std::string& object, JsonWriter& json) {
    return {.topic = settings.homeassistant_prefix + "/sensor/" + object + "/config",
            .payload = json.take(),
            .qos = 1,
            .retained = true};
}

}  // namespace

Message meter_discovery(const Settings& settings, const MeterView& meter) {
    const std::string object = object_id(settings, "meter", meter.meter);
    const std::string base = full_topic(settings, "meter/" + meter.meter);
    const bool water = meter.service == Service::water;
    JsonWriter json;
    json.begin_object()
        .field("unique_id", "gatehouse_" + object)
        .field("object_id", object)
        .field("name", water ? "Water" : "Electricity")
        .field("state_topic", base + "/state")
        .field("value_template", "{{ value_json.total }}")
        .field("unit_of_measurement", water ? "m³" : "kWh")
        .field("device_class", water ? "water" : "energy")
        .field("state_class", "total_increasing")
        .field("availability_topic", base + "/availability");
    device(json, settings, object, named(meter.unit_label, meter.meter));
    json.end_object();
    return message(settings, object, json);
}

Message balance_discovery(const Settings& settings, const AccountView& account) {
    const std::string object = object_id(settings, "account", account.account);
    JsonWriter json;
    json.begin_object()
        .field("unique_id", "gatehouse_" + object)
        .field("object_id", object)
        .field("name", "Balance")
        .field("state_topic", full_topic(settings, "account/" + account.account + "/balance"))
        .field("value_template", "{{ value_json.balance }}")
        .field("unit_of_measurement", settings.currency)
        .field("device_class", "monetary")
        .field("state_class", "total")
        .field("availability_topic", full_topic(settings, "status"));
    device(json, settings, object, named(account.unit_label, account.account));
    json.end_object();
    return message(settings, object, json);
}

}  // namespace gatehouse::mqtt
