#include "daemon/mqtt/link.hpp"

#include <mqtt/async_client.h>

#include <array>
#include <chrono>
#include <fstream>
#include <mutex>
#include <utility>

#include "daemon/core/assert.hpp"

namespace gatehouse::mqtt {
namespace {

// What Paho's C library calls -12 and -10; its header is not ours to include (style.md 5.3).
constexpr int kMaxBufferedMessages = -12;
constexpr int kNoMoreMessageIds = -10;
constexpr std::size_t kPasswordMax = 64 * 1024;
constexpr std::size_t kTlsLinesMax = 4096;
// After this many failed attempts in a row the library's client object is made anew, because
// clients that failed for days were seen never to connect again (paho.mqtt.cpp 542).
constexpr int kAttemptsPerClient = 30;

std::string address(const Settings& settings) {
    const bool ipv6 = settings.host.find(':') != std::string::npos && settings.host.front() != '[';
    const std::string host = ipv6 ? "[" + settings.host + "]" : settings.host;
    return host + ":" + std::to_string(settings.port);
}

// MQTT 3.1.1's refusals, then what the library says of everything else.
std::string reason_text(const Settings& settings, int code, const std::string& detail) {
    constexpr std::array kRefusals{"accepted",
                                   "the broker refuses MQTT 3.1.1",
                                   "the broker refuses the client id",
                                   "the broker is not available",
                                   "wrong user name or password",
                                   "not authorised"};
    if (code >= 1 && code < static_cast<int>(kRefusals.size())) {
        return address(settings) + " refuses: " + kRefusals[static_cast<std::size_t>(code)];
    }
    std::string text = "no connection to " + address(settings);
    if (settings.tls) text += " with TLS";
    return text + (detail.empty() ? std::string() : " (" + detail + ")");
}

struct Password {
    std::string text;
    std::string error;
};

Password read_password(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return {{}, "password_file " + file + " cannot be read; check that it exists"};
    std::string text(kPasswordMax + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (text.size() > kPasswordMax) return {{}, "password_file " + file + " is over 64 KiB"};
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return {std::move(text), {}};
}

}  // namespace

std::string full_topic(const Settings& settings, const std::string& rest) {
    return settings.topic_root + "/" + settings.site_id + "/" + rest;
}

struct Link::Impl {
    Impl(const Settings& settings_, std::function<void(Notice)> on_notice_)
        : settings(settings_),
          on_notice(std::move(on_notice_)),
          on_connect(*this, Notice::Kind::connected, Notice::Kind::connect_failed),
          on_publish(*this, Notice::Kind::delivered, Notice::Kind::failed),
          on_disconnect(*this, Notice::Kind::disconnected, Notice::Kind::disconnected) {}

    // Runs on Paho's threads: turns the end of an operation into a notice and touches nothing else.
    class Listener final : public ::mqtt::iaction_listener {
      public:
        Listener(Impl& owner, Notice::Kind good, Notice::Kind bad)
            : owner_(owner), good_(good), bad_(bad) {}
        void on_success(const ::mqtt::token& done) override {
            owner_.on_notice({good_, context(done), {}});
        }
        void on_failure(const ::mqtt::token& done) override {
            std::string text;
            if (bad_ == Notice::Kind::connect_failed) {
                text = reason_text(owner_.settings, done.get_return_code(), owner_.tls_reason());
            }
            owner_.on_notice({bad_, context(done), std::move(text)});
        }

      private:
        static std::uint64_t context(const ::mqtt::token& done) {
            return reinterpret_cast<std::uintptr_t>(done.get_user_context());
        }
        Impl& owner_;
        Notice::Kind good_;
        Notice::Kind bad_;
    };

    void make_client() {
        const std::string scheme = settings.tls ? "ssl://" : "tcp://";
        // Two arguments: no persistence, nothing buffered while disconnected.
        client =
            std::make_unique<::mqtt::async_client>(scheme + address(settings), settings.client_id);
        client->set_connection_lost_handler([this](const std::string& cause) {
            std::string text = "connection to " + address(settings) + " lost";
            if (!cause.empty()) text += ": " + cause;
            on_notice({Notice::Kind::lost, 0, std::move(text)});
        });
        client->set_message_callback([this](const ::mqtt::const_message_ptr& message) {
            on_notice({Notice::Kind::heard, 0, message->to_string(), message->get_topic()});
        });
    }

    ::mqtt::connect_options options(const std::string& password) {
        ::mqtt::connect_options_builder builder;
        builder.mqtt_version(MQTTVERSION_3_1_1)
            .clean_session(true)
            .automatic_reconnect(false)
            .keep_alive_interval(std::chrono::seconds(settings.keep_alive_s))
            .connect_timeout(std::chrono::milliseconds(settings.connect_timeout_ms))
            .max_inflight(static_cast<int>(settings.window + settings.state_window + 10))
            .will(::mqtt::message(full_topic(settings, "status"), "offline", 1, true));
        if (!settings.username.empty()) builder.user_name(settings.username);
        if (!settings.password_file.empty()) builder.password(password);
        if (settings.tls) {
            ::mqtt::ssl_options tls;
            if (!settings.ca_file.empty()) tls.set_trust_store(settings.ca_file);
            if (!settings.cert_file.empty()) tls.set_key_store(settings.cert_file);
            if (!settings.key_file.empty()) tls.set_private_key(settings.key_file);
            tls.set_enable_server_cert_auth(true);
            tls.set_verify(true);
            tls.set_ssl_version(MQTT_SSL_VERSION_TLS_1_2);
            tls.set_error_handler([this](const std::string& line) {
                const std::lock_guard lock(tls_mutex);
                if (tls_lines.size() < kTlsLinesMax) tls_lines += line;
            });
            builder.ssl(std::move(tls));
        }
        return builder.finalize();
    }

    // What OpenSSL said of the last attempt, as far as it tells a certificate that is refused from
    // a broker that is not there; on Paho's threads.
    std::string tls_reason() {
        if (!settings.tls) return {};
        const std::lock_guard lock(tls_mutex);
        if (tls_lines.find("certificate verify failed") != std::string::npos)
            return "the broker's certificate is refused; check ca_file and the certificate's dates";
        if (tls_lines.find("alert") != std::string::npos)
            return "the broker refuses our certificate or TLS itself; check cert_file and key_file";
        // Paho looks at the name itself, and says no more of it than of a host that is silent.
        return "nobody answers there, or the certificate names another host";
    }

    Settings settings;
    std::function<void(Notice)> on_notice;
    std::mutex tls_mutex;
    std::string tls_lines;
    Listener on_connect, on_publish, on_disconnect;
    int attempts = 0;
    // Last, so that it goes first: its callbacks use what stands above.
    std::unique_ptr<::mqtt::async_client> client;
};

Link::Link(const Settings& settings, std::function<void(Notice)> on_notice)
    : impl_(std::make_unique<Impl>(settings, std::move(on_notice))) {}

Link::~Link() = default;

std::string Link::connect() {
    std::string password;
    if (!impl_->settings.password_file.empty()) {
        Password read = read_password(impl_->settings.password_file);
        if (!read.error.empty()) return std::move(read.error);
        password = std::move(read.text);
    }
    try {
        // The caller waits between attempts, so no callback is under way here. A client that took
        // messages is not used again: what Paho had not yet sent when the connection broke it would
        // send first on the next one, before the older messages that we hand over anew.
        const bool took_messages = impl_->attempts == 0;
        if (took_messages || impl_->attempts >= kAttemptsPerClient) impl_->client.reset();
        if (!impl_->client) {
            impl_->attempts = 0;
            impl_->make_client();
        }
        ++impl_->attempts;
        {
            const std::lock_guard lock(impl_->tls_mutex);
            impl_->tls_lines.clear();
        }
        impl_->client->connect(impl_->options(password), nullptr, impl_->on_connect);
        return {};
    } catch (const std::exception& error) {
        return reason_text(impl_->settings, 0, error.what());
    }
}

Link::Handed Link::publish(const Message& message, std::uint64_t token) {
    GH_ASSERT(impl_->client != nullptr);
    try {
        impl_->client->publish(
            ::mqtt::make_message(message.topic, message.payload, message.qos, message.retained),
            reinterpret_cast<void*>(static_cast<std::uintptr_t>(token)), impl_->on_publish);
        impl_->attempts = 0;
        return Handed::yes;
    } catch (const ::mqtt::exception& error) {
        const int code = error.get_return_code();
        return code == kMaxBufferedMessages || code == kNoMoreMessageIds ? Handed::full
                                                                         : Handed::down;
    }
}

void Link::subscribe(const std::vector<std::string>& topics) {
    try {
        for (const std::string& topic : topics) impl_->client->subscribe(topic, 1);
    } catch (const ::mqtt::exception&) {
        // The connection is going, which its own notice tells.
    }
}

bool Link::disconnect(int quiesce_ms) {
    if (!impl_->client) return false;
    try {
        impl_->client->disconnect(quiesce_ms, nullptr, impl_->on_disconnect);
        return true;
    } catch (const ::mqtt::exception&) {
        return false;
    }
}

}  // namespace gatehouse::mqtt
