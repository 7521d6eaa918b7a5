// What the HTTP tests share: a server over a real store with a scripted engine, meters and status
// behind its seams, and a client that sends bytes as they stand.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "daemon/http/server.hpp"
#include "tests/integration/store/store_house.hpp"

namespace gatehouse::testing {

// Riverside stands in UTC+8 all year.
class EightHoursEast : public Zone {
  public:
    [[nodiscard]] LocalTime local(UtcMs at) const override;
    [[nodiscard]] UtcMs midnight(LocalDate date) const override;
};

class RealClock : public Clock {
  public:
    [[nodiscard]] MonoMs mono_ms() const override;
    [[nodiscard]] UtcMs wall_ms() const override { return kMorning; }
};

// Answers from the script at once, or keeps what it is asked until release().
class ScriptedEngine : public http::EnginePort {
  public:
    [[nodiscard]] bool submit(Command command, ReplyHandler handler) override;
    [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const override;

    std::function<Reply(const Command&)> script;
    void set(Snapshot snapshot);
    void hold();                        // from now on keep
    void release();                     // answer what was kept, and answer at once again
    void refuse(bool full);             // the queue is full
    void wait_for_held(std::size_t n);  // until n are kept; throws after 20 s
    template <class Kind>
    [[nodiscard]] std::vector<Kind> seen() const {
        const std::lock_guard lock(mutex_);
        std::vector<Kind> result;
        for (const Command& command : commands_) {
            if (const auto* one = std::get_if<Kind>(&command)) result.push_back(*one);
        }
        return result;
    }

  private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Command> commands_;
    std::vector<std::pair<Command, ReplyHandler>> held_;
    std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<Snapshot>();
    bool hold_ = false, full_ = false;
};

class ScriptedMeters : public http::MeterReader {
  public:
    [[nodiscard]] bool read_now(const std::string& meter, Handler handler,
                                std::string& why) override;
    std::optional<http::MeterReadOutcome> outcome;  // absent: refused
};

// Keeps one scan, and what it was asked for.
class ScriptedCommissioning : public http::Commissioning {
  public:
    [[nodiscard]] Started start_scan(const http::ScanRequest& request, std::string& why) override {
        asked.push_back(request);
        why = "as the script wants";
        if (answer == Started::yes) {
            view.bus = request.bus;
            began = true;
        }
        return answer;
    }
    [[nodiscard]] std::optional<http::ScanView> scan(const std::string& bus) override {
        if (!began || bus != view.bus) return std::nullopt;
        return view;
    }
    bool cancel_scan(const std::string&) override {
        view.state = "cancelled";
        return true;
    }
    [[nodiscard]] bool can_set_clock(const std::string&, std::string& why) override {
        if (!setting) why = "its profile knows no clock";
        return setting.has_value();
    }
    [[nodiscard]] bool set_clock(const std::string&, std::int64_t offset_ms, ClockHandler handler,
                                 std::string& why) override {
        offset = offset_ms;
        why = "another job runs";
        if (busy) return false;
        handler(*setting);
        return true;
    }
    [[nodiscard]] bool can_set_cabinet_clock(const std::string&, std::string& why) override {
        if (!cabinet_setting) why = "it has no clock that could be set";
        return cabinet_setting.has_value();
    }
    [[nodiscard]] bool set_cabinet_clock(const std::string&, std::int64_t offset_ms,
                                         CabinetClockHandler handler, std::string& why) override {
        offset = offset_ms;
        why = "its clock is being set already";
        if (busy) return false;
        handler(*cabinet_setting);
        return true;
    }
    std::optional<http::CabinetClockSetting> cabinet_setting;  // absent: no clock
    std::optional<http::ClockSetting> setting;                 // absent: no clock
    std::int64_t offset = 0;
    bool busy = false;
    Started answer = Started::yes;
    bool began = false;
    http::ScanView view;
    std::vector<http::ScanRequest> asked;
};

class ScriptedStatus : public http::StatusSource {
  public:
    [[nodiscard]] std::vector<BusStatus> buses() const override { return all; }
    [[nodiscard]] BusDiagnosis diagnosis(const BusStatus& bus) const override {
        return diagnose(bus, RecentCounts().since(bus));
    }
    [[nodiscard]] http::MqttStatus mqtt() const override { return broker; }
    [[nodiscard]] http::ProcessStatus process() const override { return self; }
    std::vector<BusStatus> all;
    http::MqttStatus broker;
    http::ProcessStatus self;
};

struct Got {
    int status = 0;  // 0: the connection ended without an answer
    std::string head, body;
    [[nodiscard]] std::string header(const std::string& name) const;
};

// A connection that sends what it is told and nothing else.
class Wire {
  public:
    explicit Wire(const std::string& socket_path);
    explicit Wire(int port);
    Wire(Wire&& other) noexcept
        : fd_(std::exchange(other.fd_, -1)), rest_(std::move(other.rest_)) {}
    Wire(const Wire&) = delete;
    ~Wire();
    void send(const std::string& bytes);  // what the peer no longer takes is dropped
    [[nodiscard]] Got receive(bool head_only = false);
    // Of a chunked body, after receive(true); empty: the last one. False: it ended without that.
    [[nodiscard]] bool receive_chunk(std::string& chunk);
    [[nodiscard]] bool ended();  // waits until the peer has closed; false after 20 s

  private:
    void set_timeout();
    bool more();
    int fd_ = -1;
    std::string rest_;
};

// As cheap as a hash may be, and no limit of requests but where a test asks for one.
[[nodiscard]] inline http::Limits quick_limits() {
    http::Limits limits;
    limits.hash = {19UL * 1024 * 1024, 0, 16};
    limits.rate_a_second = 0;
    limits.logins_a_second = 0;
    return limits;
}

class LockedRandom : public Random {
  public:
    void fill(void* bytes, std::size_t count) override {
        const std::lock_guard lock(mutex_);
        auto* at = static_cast<unsigned char*>(bytes);
        for (std::size_t i = 0; i < count; ++i) at[i] = static_cast<unsigned char>(engine_());
    }

  private:
    std::mutex mutex_;
    std::mt19937_64 engine_{20261126};
};

struct HouseOptions {
    http::Limits limits = quick_limits();
    bool metrics_meters = false;
    int homes = 3;
    std::string tls_cert_file, tls_key_file;
};

class HttpHouse {
  public:
    explicit HttpHouse(HouseOptions options = {});
    ~HttpHouse();

    Got ask(const std::string& method, const std::string& target, const std::string& body = {},
            const std::string& headers = {});  // over the socket
    Got ask_tcp(const std::string& token, const std::string& method, const std::string& target,
                const std::string& body = {}, const std::string& headers = {});
    // A token with these scopes, as the header's value; the event log moves with it.
    std::string add_token(const std::string& id, const std::vector<std::string>& scopes,
                          std::optional<UtcMs> expires = {});
    void revoke_token(const std::string& id);
    void many_readings(int n);  // of e-0
    void happen(int n);         // n events, committed, shown and told
    // The staff r-<role> of every role has this one.
    static constexpr const char* kPassword = "three quiet words";
    void give_password(const std::string& staff);
    // Logs in; the value of the cookie, "" where it was refused.
    std::string log_in(const std::string& staff, const std::string& password = kPassword);
    Got ask_as(const std::string& cookie, const std::string& method, const std::string& target,
               const std::string& body = {}, const std::string& headers = {});
    std::vector<std::string> said;  // lines for the journal
    [[nodiscard]] Snapshot& world() { return world_; }
    void show() { engine.set(world_); }  // publishes world()

    Folder folder;
    std::unique_ptr<Store> store;
    EightHoursEast zone;
    RealClock clock;
    LockedRandom random;
    ScriptedEngine engine;
    ScriptedMeters meters;
    ScriptedCommissioning commissioning;
    ScriptedStatus status;
    std::string socket_path;
    std::unique_ptr<http::Server> server;
    std::vector<std::uint64_t> readings;  // seqs of e-0

  private:
    void fill_store(const Registry& registry);
    void fill_world(const Registry& registry);
    void event(const std::string& kind);
    Snapshot world_;
    std::int64_t epoch_ = 0;
    std::map<std::string, TokenRow> tokens_;
};

[[nodiscard]] std::string request_text(const std::string& method, const std::string& target,
                                       const std::string& body, const std::string& headers);
// A member of a JSON document by JSON Pointer, as text; "(absent)" where there is none.
[[nodiscard]] std::string at(const std::string& json, const std::string& pointer);
[[nodiscard]] std::size_t count_items(const std::string& json);

}  // namespace gatehouse::testing
