#include "daemon/mqtt/discovery.hpp"

#include "daemon/core/key_event.hpp"
#include "daemon/engine/json_writer.hpp"

namespace gatehouse::mqtt {
namespace {

constexpr std::string_view kConfig = "/config";

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

std::string device_prefix(const Settings& settings) {
    const bool announces = !settings.homeassistant_prefix.empty();
    return (announces ? settings.homeassistant_prefix : settings.homeassistant_old_prefix) +
           "/device/";
}

// Entity ids are lower case with '_' alone.
std::string slug(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            out += c;
        } else if (c >= 'A' && c <= 'Z') {
            out += static_cast<char>(c + 32);
        } else {
            out += '_';
        }
    }
    return out;
}

std::string named(const std::string& label, const std::string& id) {
    return label.empty() || label == id ? id : label + " " + id;
}

// One device with its parts, written in the order in which Home Assistant documents them.
class Device {
  public:
    Device(const Settings& settings, std::string object, const std::string& name)
        : settings_(settings), object_(std::move(object)) {
        json_.begin_object().key("device").begin_object().key("identifiers").begin_array();
        json_.value("gatehouse_" + object_).end_array().field("name", name);
        json_.field("manufacturer", "Gatehouse").field_if("sw_version", settings.version);
    }

    JsonWriter& about() { return json_; }
    // Ends what stands in `device`; `availability` besides that of the gateway, empty: none, and
    // how it is read where it says more than online or offline.
    void origin(const std::string& state_topic, const std::string& availability,
                const std::string& availability_template = "") {
        json_.end_object().key("origin").begin_object().field("name", "Gatehouse");
        json_.field_if("sw_version", settings_.version).end_object();
        json_.field("state_topic", full_topic(settings_, state_topic)).field("qos", 1);
        json_.key("availability").begin_array().begin_object();
        json_.field("topic", full_topic(settings_, "status")).end_object();
        if (!availability.empty())
            json_.begin_object()
                .field("topic", full_topic(settings_, availability))
                .field_if("value_template", availability_template)
                .end_object();
        json_.end_array().field("availability_mode", "all").key("components").begin_object();
    }
    // Begins a part; what it has beyond that is written to the writer, then end().
    JsonWriter& part(const std::string& key, const char* platform, const char* name,
                     const std::string& value) {
        return plain_part(key, platform, name).field("value_template", "{{ " + value + " }}");
    }
    JsonWriter& plain_part(const std::string& key, const char* platform, const char* name) {
        json_.key(key).begin_object().field("platform", platform);
        return json_.field("unique_id", "gatehouse_" + object_ + "_" + key)
            .field("default_entity_id", std::string(platform) + "." + slug(object_ + "_" + key))
            .field("name", name);
    }
    // A part with nothing but its platform is one that was and is no more.
    void no_part(const std::string& key, const char* platform) {
        json_.key(key).begin_object().field("platform", platform).end_object();
    }
    void diagnostic() { json_.field("entity_category", "diagnostic"); }
    void end() { json_.end_object(); }
    Message take() {
        json_.end_object().end_object();
        return {.topic = device_prefix(settings_) + object_ + std::string(kConfig),
                .payload = json_.take(),
                .qos = 1,
                .retained = true};
    }

  private:
    const Settings& settings_;
    std::string object_;
    JsonWriter json_;
};

// A figure that is not always known. Home Assistant keeps what it knew where a template renders
// empty, and an old figure would pass for a new one; 'None' makes the state unknown.
std::string optional_value(const std::string& field) {
    const std::string value = "value_json." + field;
    return value + " if " + value + " is defined and " + value + " is not none else 'None'";
}

// What says nothing of the matter renders empty, and Home Assistant keeps what it knew.
std::string on_or_off(const std::string& on, const std::string& off) {
    return "'ON' if " + on + " else 'OFF' if " + off + " else ''";
}

std::string slot_part(int slot) {
    return "slot_" + std::to_string(slot);
}

std::string on_where(const std::string& condition) {
    return "'ON' if " + condition + " else 'OFF'";
}

}  // namespace

std::string gateway_object(const Settings& settings) {
    return settings.site_id + "_gateway";
}

std::string meter_object(const Settings& settings, const std::string& meter) {
    return object_id(settings, "meter", meter);
}

std::string account_object(const Settings& settings, const std::string& account) {
    return object_id(settings, "account", account);
}

std::string cabinet_object(const Settings& settings, const std::string& cabinet) {
    return object_id(settings, "cabinet", cabinet);
}

Message gateway_discovery(const Settings& settings, const Snapshot& snapshot) {
    Device device(settings, gateway_object(settings), "Gatehouse " + settings.site_id);
    device.origin("bridge/health", "");
    device.part("backlog", "sensor", "Backlog", "value_json.backlog")
        .field("state_class", "measurement");
    device.diagnostic();
    device.end();
    device.part("accounts_low", "sensor", "Accounts low", "value_json.accounts_low")
        .field("state_class", "measurement");
    device.end();
    device.part("disk_free", "sensor", "Disk free", optional_value("disk_free_bytes"))
        .field("device_class", "data_size")
        .field("unit_of_measurement", "B")
        .field("state_class", "measurement");
    device.diagnostic();
    device.end();
    device.part("store", "binary_sensor", "Store", on_where("value_json.store != 'ok'"))
        .field("device_class", "problem");
    device.diagnostic();
    device.end();
    device.part("clock", "binary_sensor", "Clock", on_where("value_json.clock != 'trusted'"))
        .field("device_class", "problem")
        .field("state_topic", full_topic(settings, "bridge/info"));
    device.diagnostic();
    device.end();
    for (const BusStatus& bus : snapshot.buses) {
        const std::string name = "Bus " + bus.bus;
        device
            .part("bus_" + slug(bus.bus), "binary_sensor", name.c_str(),
                  on_where("value_json.buses | selectattr('bus', 'eq', '" + bus.bus +
                           "') | selectattr('state', 'eq', 'online') | list | count > 0"))
            .field("device_class", "connectivity");
        device.diagnostic();
        device.end();
    }
    return device.take();
}

Message meter_discovery(const Settings& settings, const MeterView& meter) {
    const std::string base = "meter/" + meter.meter();
    const bool water = meter.service() == Service::water;
    Device device(settings, meter_object(settings, meter.meter()),
                  named(meter.unit_label, meter.meter()));
    device.about()
        .field_if("model", meter.row->profile)
        .field_if("serial_number", meter.serial)
        .field("via_device", "gatehouse_" + gateway_object(settings));
    device.origin(base + "/state", base + "/availability");
    // The billing total never falls and passes over a replacement, which the register does not.
    device.part("total", "sensor", water ? "Water" : "Electricity", optional_value("total"))
        .field("device_class", water ? "water" : "energy")
        .field("unit_of_measurement", water ? "m³" : "kWh")
        .field("state_class", "total_increasing")
        .field("suggested_display_precision", 2);
    device.end();
    if (water ? meter.flow_millilitre_per_hour.has_value() : meter.power_milliwatt.has_value()) {
        device
            .part(water ? "flow" : "power", "sensor", water ? "Flow" : "Power",
                  optional_value(water ? "flow" : "power"))
            .field("device_class", water ? "volume_flow_rate" : "power")
            .field("unit_of_measurement", water ? "m³/h" : "W")
            .field("state_class", "measurement");
        device.end();
    }
    device.part("register", "sensor", "Register", optional_value("register"))
        .field("enabled_by_default", false);
    device.diagnostic();
    device.end();
    device.part("read_at", "sensor", "Last read", optional_value("read_at"))
        .field("device_class", "timestamp");
    device.diagnostic();
    device.end();
    device.part("held", "binary_sensor", "Reading held", on_where("value_json.quality == 'held'"))
        .field("device_class", "problem")
        .field("json_attributes_topic", full_topic(settings, base + "/state"));
    device.end();
    return device.take();
}

Message account_discovery(const Settings& settings, const AccountView& account) {
    const std::string topic = "account/" + account.account + "/balance";
    Device device(settings, account_object(settings, account.account),
                  named(account.unit_label, account.account));
    device.about().field("via_device", "gatehouse_" + gateway_object(settings));
    device.origin(topic, "");
    // Of money Home Assistant allows no other state class.
    device.part("balance", "sensor", "Balance", "value_json.balance")
        .field("device_class", "monetary")
        .field("unit_of_measurement", settings.currency)
        .field("state_class", "total")
        .field("suggested_display_precision", 2);
    device.end();
    device.part("days_left", "sensor", "Days left", optional_value("days_left"))
        .field("device_class", "duration")
        .field("unit_of_measurement", "d")
        .field("state_class", "measurement");
    device.end();
    device.part("low", "binary_sensor", "Low credit", on_where("value_json.level > 0"))
        .field("device_class", "problem")
        .field("json_attributes_topic", full_topic(settings, topic));
    device.end();
    device.part("as_of", "sensor", "As of", optional_value("as_of"))
        .field("device_class", "timestamp");
    device.diagnostic();
    device.end();
    return device.take();
}

Message cabinet_discovery(const Settings& settings, const CabinetView& cabinet,
                          const std::vector<int>& slots, const std::vector<int>& gone) {
    const std::string base = "cabinet/" + cabinet.cabinet;
    const std::string events = full_topic(settings, base + "/event");
    Device device(settings, cabinet_object(settings, cabinet.cabinet),
                  "Key cabinet " + cabinet.cabinet);
    device.about()
        .field_if("model", cabinet.profile)
        .field("via_device", "gatehouse_" + gateway_object(settings));
    device.origin(base + "/state", base + "/state",
                  "{{ 'online' if value_json.online else 'offline' }}");
    // Its payload names the type in event_type; one that is not listed is refused there.
    JsonWriter& event = device.plain_part("event", "event", "Event");
    event.field("state_topic", events).key("event_types").begin_array();
    for (int type = 0; type <= static_cast<int>(KeyEventType::key_extended); ++type)
        event.value(to_string(static_cast<KeyEventType>(type)));
    event.value("log.filled").end_array();
    device.end();
    // A cabinet of more doors numbers them; they are in its events.
    const std::string here = " and value_json.door | default(1) == 1";
    device
        .part("door", "binary_sensor", "Door",
              on_or_off("value_json.event_type == 'door.opened'" + here,
                        "value_json.event_type == 'door.closed'" + here))
        .field("device_class", "door")
        .field("state_topic", events);
    device.end();
    const std::string tamper = "value_json.event_type == 'tamper' and value_json.ends is ";
    device
        .part("tamper", "binary_sensor", "Tamper",
              on_or_off(tamper + "undefined", tamper + "defined"))
        .field("device_class", "tamper")
        .field("state_topic", events);
    device.end();
    device.part("out", "sensor", "Keys out", "value_json.out").field("state_class", "measurement");
    device.end();
    for (const int slot : slots) {
        const std::string name = "Slot " + std::to_string(slot);
        const std::string occupied =
            "value_json.slots['" + std::to_string(slot) + "'].occupied == ";
        device
            .part(slot_part(slot), "binary_sensor", name.c_str(),
                  on_or_off(occupied + "true", occupied + "false"))
            .field("device_class", "occupancy");
        device.end();
    }
    for (const int slot : gone) device.no_part(slot_part(slot), "binary_sensor");
    device.part("last_event_at", "sensor", "Last event", optional_value("last_event_at"))
        .field("device_class", "timestamp");
    device.diagnostic();
    device.end();
    return device.take();
}

Message device_removal(const Settings& settings, const std::string& object) {
    return {.topic = device_prefix(settings) + object + std::string(kConfig),
            .payload = {},
            .qos = 1,
            .retained = true};
}

std::string birth_topic(const Settings& settings) {
    return settings.homeassistant_prefix + "/status";
}

std::string announced_filter(const Settings& settings) {
    return device_prefix(settings) + "+" + std::string(kConfig);
}

std::optional<std::string> own_object(const Settings& settings, std::string_view topic) {
    const std::string prefix = device_prefix(settings);
    if (!topic.starts_with(prefix) || !topic.ends_with(kConfig)) return std::nullopt;
    topic.remove_prefix(prefix.size());
    topic.remove_suffix(kConfig.size());
    // Another site may be called as this one and more, so the kind is looked at as well.
    for (const char* kind : {"_gateway", "_meter_", "_account_", "_cabinet_"})
        if (topic.starts_with(settings.site_id + kind)) return std::string(topic);
    return std::nullopt;
}

}  // namespace gatehouse::mqtt
