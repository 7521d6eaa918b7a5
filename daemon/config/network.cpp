#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "daemon/config/key_pair.hpp"
#include "daemon/config/reader.hpp"
#include "daemon/config/url.hpp"

namespace gatehouse::config {

using toml_reader::Section;

namespace {

constexpr std::size_t kTopicMax = 128;
constexpr std::size_t kClientIdMax = 128;
constexpr std::size_t kSocketPathMax = 107;  // sun_path holds 108 bytes with its end

// A prefix of topics: levels between single slashes, nothing that a subscriber reads as a wildcard.
void check_topic(Section& section, std::string_view key, const std::string& topic) {
    const auto is_bad = [](char c) {
        return c == '+' || c == '#' || c == ' ' || static_cast<unsigned char>(c) > 0x7E;
    };
    const bool good = !topic.empty() && topic.size() <= kTopicMax && topic.front() != '$' &&
                      topic.front() != '/' && topic.back() != '/' &&
                      topic.find("//") == std::string::npos &&
                      std::none_of(topic.begin(), topic.end(), is_bad);
    if (!good) {
        section.problem(key, section.path(key) + " is '" + topic +
                                 "'; it must be 1 to 128 ASCII characters without blank, '+' or "
                                 "'#', not begin with '$', and have no empty level");
    }
}

void read_mqtt_url(Section& section, MqttSettings& mqtt) {
    const auto url = section.required_text("url");
    if (!url) {
        return;
    }
    mqtt.url = *url;
    mqtt.tls = url->starts_with("mqtts://");
    if (!mqtt.tls && !url->starts_with("mqtt://")) {
        section.problem(
            "url", "mqtt.url is '" + *url + "'; it must begin with mqtt:// or, for TLS, mqtts://");
        return;
    }
    const std::string rest = url->substr(url->find("://") + 3);
    if (rest.find('@') != std::string::npos) {
        section.problem("url",
                        "mqtt.url holds a user name; write it as username, with "
                        "password_file");
        return;
    }
    std::string problem;
    const auto address = parse_host_port(rest, mqtt.tls ? 8883 : 1883, problem);
    if (!address) {
        section.problem("url", "mqtt.url: " + problem);
        return;
    }
    mqtt.host = address->host;
    mqtt.port = address->port;
}

// Both or neither: one alone is an option that does nothing.
void check_pair(Section& section, std::string_view one, bool has_one, std::string_view other,
                bool has_other) {
    if (has_one != has_other) {
        const auto given = has_one ? one : other;
        const auto wanted = has_one ? other : one;
        section.problem(given,
                        section.path(given) + " needs " + std::string(wanted) + " beside it");
    }
}

void read_client_id(Section& section, MqttSettings& mqtt, const Config& config) {
    mqtt.client_id = section.text("client_id").value_or("gatehouse-" + config.site.id);
    const bool printable = std::all_of(mqtt.client_id.begin(), mqtt.client_id.end(), [](char c) {
        return c > ' ' && static_cast<unsigned char>(c) < 0x7F;
    });
    if (mqtt.client_id.empty() || mqtt.client_id.size() > kClientIdMax || !printable) {
        section.problem("client_id", "mqtt.client_id is '" + mqtt.client_id +
                                         "'; it must be 1 to 128 printable ASCII characters "
                                         "without blanks");
    }
}

std::string text_of(const std::string& path, const Reading& reading) {
    if (reading.check != FileCheck::readable || path.empty()) return "";
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

bool is_file(const std::string& path) {
    std::error_code error;
    return std::filesystem::is_regular_file(path, error);
}

// What OpenSSL would refuse when the connection is made is said where it was written.
void check_pem(Section& section, std::string_view key, const std::string& path,
               std::string_view what, const Reading& reading) {
    if (reading.check != FileCheck::readable || !is_file(path)) return;
    const std::string text = text_of(path, reading);
    const std::size_t begin = text.find("-----BEGIN ");
    const std::size_t named = text.find(std::string(what) + "-----", begin);
    if (begin != std::string::npos && named != std::string::npos) return;
    section.problem(key, section.path(key) + ": '" + path + "' holds no " + std::string(what) +
                             " in PEM (a line -----BEGIN ... " + std::string(what) +
                             "-----); convert it with openssl, or name another file");
}

void check_key_fits(Section& section, std::string_view key, const std::string& certificate_file,
                    const std::string& key_file, const Reading& reading) {
    if (reading.check != FileCheck::readable || !is_file(certificate_file) || !is_file(key_file))
        return;
    if (may_belong_together(certificate_file, key_file)) return;
    section.problem(key, section.path(key) + ": '" + key_file +
                             "' is not the key of the certificate in '" + certificate_file +
                             "'; name the two that were made together");
}

void check_password(Section& section, const MqttSettings& mqtt, const Reading& reading) {
    if (reading.check != FileCheck::readable || !is_file(mqtt.password_file)) return;
    const std::string text = text_of(mqtt.password_file, reading);
    if (text.find_first_not_of(" \t\r\n") != std::string::npos) return;
    section.problem("password_file", section.path("password_file") + ": '" + mqtt.password_file +
                                         "' is empty; write the broker's password into it");
}

void read_tls(Section& section, MqttSettings& mqtt, Reading& reading) {
    mqtt.ca_file = file_path(section, "ca_file", reading);
    mqtt.cert_file = file_path(section, "cert_file", reading);
    mqtt.key_file = file_path(section, "key_file", reading);
    check_pem(section, "ca_file", mqtt.ca_file, "CERTIFICATE", reading);
    check_pem(section, "cert_file", mqtt.cert_file, "CERTIFICATE", reading);
    check_pem(section, "key_file", mqtt.key_file, "PRIVATE KEY", reading);
    check_key_fits(section, "key_file", mqtt.cert_file, mqtt.key_file, reading);
    check_pair(section, "cert_file", !mqtt.cert_file.empty(), "key_file", !mqtt.key_file.empty());
    for (const char* key : {"ca_file", "cert_file", "key_file"}) {
        const auto value = section.raw()[key].value<std::string>();
        if (value && !value->empty() && !mqtt.tls && !mqtt.url.empty()) {
            section.problem(key, section.path(key) + " needs TLS; write mqtts:// in mqtt.url");
        }
    }
}

void check_listen(Section& section, const HttpSettings& http) {
    if (http.listen.empty()) {
        for (const char* key : {"tls_cert_file", "tls_key_file"}) {
            if (section.has(key)) {
                section.problem(key, section.path(key) + " is of no use without http.listen");
            }
        }
        return;
    }
    if (!is_ip_address(http.listen_host) && http.listen_host != "localhost") {
        section.problem("listen", "http.listen: '" + http.listen_host +
                                      "' must be an address of this machine, such as 127.0.0.1");
    } else if (!is_loopback(http.listen_host) && http.tls_cert_file.empty() &&
               http.tls_key_file.empty()) {
        section.problem("listen", "http.listen is '" + http.listen +
                                      "', other than loopback: tls_cert_file and tls_key_file "
                                      "are required");
    }
}

}  // namespace

void read_mqtt(Section& root, Reading& reading) {
    const auto* table = root.table("mqtt");
    if (table == nullptr) {
        return;
    }
    Section section(*table, "mqtt", root.at("mqtt"), reading.report);
    MqttSettings mqtt;
    read_mqtt_url(section, mqtt);
    mqtt.topic_root = section.text("topic_root").value_or(mqtt.topic_root);
    check_topic(section, "topic_root", mqtt.topic_root);
    read_client_id(section, mqtt, reading.config);
    mqtt.username = section.text("username").value_or("");
    mqtt.password_file = file_path(section, "password_file", reading);
    check_pair(section, "username", !mqtt.username.empty(), "password_file",
               !mqtt.password_file.empty());
    check_password(section, mqtt, reading);
    read_tls(section, mqtt, reading);
    mqtt.homeassistant = section.boolean("homeassistant").value_or(false);
    mqtt.homeassistant_prefix =
        section.text("homeassistant_prefix").value_or(mqtt.homeassistant_prefix);
    check_topic(section, "homeassistant_prefix", mqtt.homeassistant_prefix);
    section.finish();
    reading.config.mqtt = std::move(mqtt);
}

void read_http(Section& root, Reading& reading) {
    const auto* table = root.table("http");
    if (table == nullptr) {
        return;
    }
    Section section(*table, "http", root.at("http"), reading.report);
    HttpSettings& http = reading.config.http;
    http.tls_cert_file = file_path(section, "tls_cert_file", reading);
    http.tls_key_file = file_path(section, "tls_key_file", reading);
    check_pair(section, "tls_cert_file", !http.tls_cert_file.empty(), "tls_key_file",
               !http.tls_key_file.empty());
    check_pem(section, "tls_cert_file", http.tls_cert_file, "CERTIFICATE", reading);
    check_pem(section, "tls_key_file", http.tls_key_file, "PRIVATE KEY", reading);
    check_key_fits(section, "tls_key_file", http.tls_cert_file, http.tls_key_file, reading);
    const auto listen = section.text("listen");
    if (listen && !listen->empty()) {
        std::string problem;
        if (const auto address = parse_host_port(*listen, 0, problem)) {
            http.listen = *listen;
            http.listen_host = address->host;
            http.listen_port = address->port;
            check_listen(section, http);
        } else {
            section.problem("listen", "http.listen: " + problem);
        }
    } else if (!section.has("listen") || listen) {
        check_listen(section, http);
    }
    if (const auto socket = section.text("socket")) {
        http.socket = *socket;
        if (socket->empty() || socket->front() != '/' || socket->size() > kSocketPathMax) {
            section.problem("socket", "http.socket is '" + *socket +
                                          "'; it must be a whole path of at most 107 bytes");
        }
    }
    http.metrics_meters = section.boolean("metrics_meters").value_or(false);
    section.finish();
}

}  // namespace gatehouse::config
