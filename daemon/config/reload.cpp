#include "daemon/config/reload.hpp"

#include <algorithm>

namespace gatehouse::config {

namespace {

class Comparison {
  public:
    template <class Value>
    void live(const std::string& name, const Value& before, const Value& after) {
        if (!(before == after)) out_.changed.push_back(name);
    }
    template <class Value>
    void fixed(const std::string& name, const Value& before, const Value& after) {
        if (!(before == after)) out_.at_start.push_back(name);
    }
    [[nodiscard]] Difference take() { return std::move(out_); }

  private:
    Difference out_;
};

void compare_alerts(Comparison& out, const AlertSettings& a, const AlertSettings& b) {
    out.live("alerts.low_balance", a.base.low_balance, b.base.low_balance);
    out.live("alerts.low_days", a.base.low_days, b.base.low_days);
    out.live("alerts.critical_balance", a.base.critical_balance, b.base.critical_balance);
    out.live("alerts.critical_days", a.base.critical_days, b.base.critical_days);
    out.live("alerts.clear_margin", a.base.clear_margin, b.base.clear_margin);
    out.live("alerts.amount_max_days", a.base.amount_max_days, b.base.amount_max_days);
    out.live("alerts.quiet_hours", std::pair(a.quiet_from_minute, a.quiet_to_minute),
             std::pair(b.quiet_from_minute, b.quiet_to_minute));
    for (const auto& [name, table] : a.overrides) {
        const auto other = b.overrides.find(name);
        if (other == b.overrides.end() || !(other->second == table))
            out.live("alerts." + name, true, false);
    }
    for (const auto& [name, table] : b.overrides)
        out.live("alerts." + name, true, a.overrides.contains(name));
}

void compare_mqtt(Comparison& out, const Config& a, const Config& b) {
    out.fixed("mqtt", a.mqtt.has_value(), b.mqtt.has_value());
    if (!a.mqtt || !b.mqtt) return;
    out.fixed("mqtt.url", a.mqtt->url, b.mqtt->url);
    out.fixed("mqtt.topic_root", a.mqtt->topic_root, b.mqtt->topic_root);
    out.fixed("mqtt.client_id", a.mqtt->client_id, b.mqtt->client_id);
    out.fixed("mqtt.username", a.mqtt->username, b.mqtt->username);
    out.fixed("mqtt.password_file", a.mqtt->password_file, b.mqtt->password_file);
    out.fixed("mqtt.ca_file", a.mqtt->ca_file, b.mqtt->ca_file);
    out.fixed("mqtt.cert_file", a.mqtt->cert_file, b.mqtt->cert_file);
    out.fixed("mqtt.key_file", a.mqtt->key_file, b.mqtt->key_file);
    out.fixed("mqtt.homeassistant", a.mqtt->homeassistant, b.mqtt->homeassistant);
    out.fixed("mqtt.homeassistant_prefix", a.mqtt->homeassistant_prefix,
              b.mqtt->homeassistant_prefix);
}

// The registry names buses, so which there are is settled at the start; how each is reached is not.
void compare_buses(Comparison& out, const Config& a, const Config& b) {
    const auto ids = [](const Config& config) {
        std::vector<std::string> all;
        for (const Bus& bus : config.buses) all.push_back(bus.id);
        std::sort(all.begin(), all.end());
        return all;
    };
    out.fixed("bus (which there are)", ids(a), ids(b));
    for (const Bus& bus : a.buses) {
        const auto other = std::find_if(b.buses.begin(), b.buses.end(),
                                        [&](const Bus& one) { return one.id == bus.id; });
        if (other == b.buses.end()) continue;
        const std::string name = "bus " + bus.id + " ";
        out.live(name + "url", bus.url.text, other->url.text);
        out.live(name + "poll_interval", bus.poll_interval_ms, other->poll_interval_ms);
        out.live(name + "response_timeout", bus.response_timeout_ms, other->response_timeout_ms);
    }
    const auto cabinets = [](const Config& config) {
        std::vector<std::string> all;
        for (const Cabinet& one : config.cabinets)
            all.push_back(one.id + " " + one.url + " " + one.profile + " " +
                          std::to_string(one.poll_interval_ms.value_or(0)) + " " +
                          std::to_string(one.response_timeout_ms));
        return all;
    };
    out.fixed("cabinet", cabinets(a), cabinets(b));
    out.fixed("keys.curfew", a.keys.curfew_minute, b.keys.curfew_minute);
    out.fixed("keys.max_hold", a.keys.max_hold_ms, b.keys.max_hold_ms);
    out.fixed("keys.alerts", a.keys.alerts, b.keys.alerts);
}

}  // namespace

Difference compare(const Config& a, const Config& b) {
    Comparison out;
    out.fixed("site.id", a.site.id, b.site.id);
    out.fixed("site.name", a.site.name, b.site.name);
    out.fixed("site.timezone", a.site.timezone, b.site.timezone);
    out.fixed("site.currency", a.site.currency, b.site.currency);
    out.fixed("site.language", a.site.language, b.site.language);
    out.fixed("store.path", a.store.path, b.store.path);
    out.live("store.store_interval", a.store.store_interval_ms, b.store.store_interval_ms);
    out.fixed("time.trust", a.trust, b.trust);
    compare_mqtt(out, a, b);
    out.fixed("http.listen", a.http.listen, b.http.listen);
    out.fixed("http.socket", a.http.socket, b.http.socket);
    out.fixed("http.tls (whether)", a.http.tls_cert_file.empty(), b.http.tls_cert_file.empty());
    out.live("http.tls_cert_file", a.http.tls_cert_file, b.http.tls_cert_file);
    out.live("http.tls_key_file", a.http.tls_key_file, b.http.tls_key_file);
    out.live("http.metrics_meters", a.http.metrics_meters, b.http.metrics_meters);
    compare_alerts(out, a.alerts, b.alerts);
    out.fixed("profiles.path", a.profiles_path, b.profiles_path);
    compare_buses(out, a, b);
    return out.take();
}

}  // namespace gatehouse::config
