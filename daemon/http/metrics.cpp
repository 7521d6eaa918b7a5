// /metrics in the Prometheus text format. No label names a unit, an account or a household: what
// leaves the house here is the state of machines. Series of single meters only where the
// configuration asks for them.
#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/core/key_watch.hpp"
#include "daemon/core/notice.hpp"
#include "daemon/core/units.hpp"
#include "daemon/http/params.hpp"

namespace gatehouse::http {

namespace {

class Metrics {
  public:
    void family(std::string_view name, const char* type, const char* help) {
        name_ = "gatehouse_" + std::string(name);
        text_ += "# HELP " + name_ + " " + help + "\n# TYPE " + name_ + " " + type + "\n";
    }
    template <class Number>
    void value(Number number) {
        text_ += name_ + " " + std::to_string(number) + "\n";
    }
    // labels: `bus="b1",result="ok"`; made by label().
    void value(const std::string& labels, const std::string& number) {
        text_ += name_ + "{" + labels + "} " + number + "\n";
    }
    // Of a histogram: what follows its name.
    void part(const std::string& whole) { text_ += name_ + whole + "\n"; }
    template <class Number>
    void part(const std::string& end, Number number) {
        text_ += name_ + end + " " + std::to_string(number) + "\n";
    }
    template <class Number>
    void only(std::string_view name, const char* type, const char* help, Number number) {
        family(name, type, help);
        value(number);
    }
    [[nodiscard]] std::string take() { return std::move(text_); }

  private:
    std::string text_, name_;
};

std::string label(std::string_view name, std::string_view value) {
    std::string text(name);
    text += "=\"";
    for (const char c : value) {
        if (c == '\\' || c == '"') text += '\\';
        if (c == '\n') {
            text += "\\n";
        } else {
            text += c;
        }
    }
    return text + '"';
}

void buses(Metrics& out, const std::vector<BusStatus>& all) {
    out.family("bus_online", "gauge", "1 while the bus is connected.");
    for (const auto& bus : all) {
        out.value(label("bus", bus.bus), bus.phase == BusPhase::online ? "1" : "0");
    }
    out.family("modbus_requests_total", "counter", "Exchanges on the wire by how they ended.");
    for (const auto& bus : all) {
        for (std::size_t i = 0; i < kPollResults; ++i) {
            out.value(label("bus", bus.bus) + "," +
                          label("result", to_string(static_cast<PollResult>(i))),
                      std::to_string(bus.exchanges[i]));
        }
    }
    out.family("bus_busy_seconds_total", "counter", "Time with an exchange on the wire.");
    for (const auto& bus : all) out.value(label("bus", bus.bus), format_decimal(bus.busy_ms, 3));
    out.family("bus_meters", "gauge", "Meters polled over the bus.");
    for (const auto& bus : all) out.value(label("bus", bus.bus), std::to_string(bus.meters));
    out.family("bus_meters_online", "gauge", "Of these, those that answer.");
    for (const auto& bus : all) {
        out.value(label("bus", bus.bus), std::to_string(bus.meters_online));
    }
}

std::string seconds(std::int64_t us) {
    return format_decimal(us, 6);
}

void speeds(Metrics& out, const std::string& labels, const std::optional<std::int64_t>& p50,
            const std::optional<std::int64_t>& p99) {
    if (p50) out.value(labels + ",quantile=\"0.5\"", seconds(*p50));
    if (p99) out.value(labels + ",quantile=\"0.99\"", seconds(*p99));
}

// Each bucket holds those of the smaller ones as well.
void response_times(Metrics& out, const std::string& labels, const ResponseTimes& times) {
    std::uint64_t within = 0;
    for (std::size_t bound = 0; bound < times.kBoundsUs.size(); ++bound) {
        within += times.counts[bound];
        const std::string edge = format_decimal_trimmed(times.kBoundsUs[bound], 6, 0);
        out.part("_bucket{" + labels + "," + label("le", edge) + "}", within);
    }
    within += times.counts.back();
    out.part("_bucket{" + labels + "," + label("le", "+Inf") + "}", within);
    out.part("_sum{" + labels + "} " + seconds(static_cast<std::int64_t>(times.sum_us)));
    out.part("_count{" + labels + "}", within);
}

void lines(Metrics& out, const Call& call, const std::vector<BusStatus>& all) {
    out.family("modbus_response_seconds", "histogram",
               "From the last byte of a question to the first of its reply.");
    for (const auto& bus : all) response_times(out, label("bus", bus.bus), bus.response_times);
    out.family("bus_fault", "gauge", "1 for what is wrong with the bus lately; none when well.");
    for (const auto& bus : all) {
        const char* fault = to_string(call.app.status.diagnosis(bus).fault);
        out.value(label("bus", bus.bus) + "," + label("fault", fault), "1");
    }
    out.family("bus_registers_set_aside", "gauge", "Blocks that meters refuse, read without.");
    for (const auto& bus : all) {
        std::size_t aside = 0;
        for (const MeterLine& line : bus.lines) aside += line.set_aside.size();
        out.value(label("bus", bus.bus), std::to_string(aside));
    }
}

std::string meter_label(const BusStatus& bus, const MeterLine& line) {
    return label("bus", bus.bus) + "," + label("meter", line.meter);
}

void meter_lines(Metrics& out, const std::vector<BusStatus>& all) {
    const auto each = [&](const auto& say) {
        for (const auto& bus : all) {
            for (const MeterLine& line : bus.lines) say(line, meter_label(bus, line));
        }
    };
    out.family("meter_requests_total", "counter", "Exchanges with the meter by how they ended.");
    each([&](const MeterLine& line, const std::string& labels) {
        for (std::size_t i = 0; i < kPollResults; ++i) {
            if (line.exchanges[i] == 0) continue;
            out.value(labels + "," + label("result", to_string(static_cast<PollResult>(i))),
                      std::to_string(line.exchanges[i]));
        }
    });
    out.family("meter_response_seconds", "summary",
               "From the last byte of a question to the first of the meter's reply.");
    each([&](const MeterLine& line, const std::string& labels) {
        speeds(out, labels, line.turnaround_p50_us, line.turnaround_p99_us);
    });
    out.family("meter_busy_seconds_total", "counter", "Time the bus spent with the meter.");
    each([&](const MeterLine& line, const std::string& labels) {
        out.value(labels, format_decimal(line.busy_ms, 3));
    });
    out.family("meter_registers_set_aside", "gauge", "Blocks that the meter refuses.");
    each([&](const MeterLine& line, const std::string& labels) {
        out.value(labels, std::to_string(line.set_aside.size()));
    });
}

void meters(Metrics& out, const Snapshot& snapshot, bool each) {
    int online = 0;
    int held = 0;
    for (std::size_t i = 0; i < snapshot.meters.size(); ++i) {
        online += snapshot.meters[i].online ? 1 : 0;
        held += snapshot.meters[i].quality == Quality::held ? 1 : 0;
    }
    out.only("meters", "gauge", "Meters of the registry.", snapshot.meters.size());
    out.only("meters_online", "gauge", "Meters that answer.", online);
    out.only("meters_held", "gauge", "Meters with a reading in quarantine.", held);
    if (!each) return;
    out.family("meter_online", "gauge", "1 while the meter answers.");
    for (std::size_t i = 0; i < snapshot.meters.size(); ++i) {
        const MeterView& meter = snapshot.meters[i];
        out.value(label("meter", meter.meter()), meter.online ? "1" : "0");
    }
    out.family("meter_clock_drift_seconds", "gauge", "Of the meter's own clock.");
    for (std::size_t i = 0; i < snapshot.meters.size(); ++i) {
        const MeterView& meter = snapshot.meters[i];
        if (!meter.clock_drift_s) continue;
        out.value(label("meter", meter.meter()), std::to_string(*meter.clock_drift_s));
    }
    out.family("meter_last_success_timestamp_seconds", "gauge", "Of the last good poll.");
    for (std::size_t i = 0; i < snapshot.meters.size(); ++i) {
        const MeterView& meter = snapshot.meters[i];
        if (!meter.last_poll_at) continue;
        out.value(label("meter", meter.meter()), format_decimal(*meter.last_poll_at, 3));
    }
}

// How long the households' money lasts, as a histogram of those for whom it is known.
void days_left(Metrics& out, const Snapshot& snapshot) {
    constexpr std::array<int, 7> kBounds{0, 1, 3, 7, 14, 30, 90};
    std::array<int, kBounds.size()> within{};
    std::int64_t sum = 0;
    int count = 0;
    for (std::size_t i = 0; i < snapshot.accounts.size(); ++i) {
        const AccountView& account = snapshot.accounts[i];
        if (!account.open || !account.days_left) continue;
        ++count;
        sum += *account.days_left;
        for (std::size_t bound = 0; bound < kBounds.size(); ++bound)
            within[bound] += *account.days_left <= kBounds[bound] ? 1 : 0;
    }
    out.family("days_left", "histogram", "Open accounts by the days that their money lasts.");
    for (std::size_t bound = 0; bound < kBounds.size(); ++bound)
        out.part("_bucket{le=\"" + std::to_string(kBounds[bound]) + "\"}", within[bound]);
    out.part("_bucket{le=\"+Inf\"}", count);
    out.part("_sum", sum);
    out.part("_count", count);
}

// Bytes that this process has had written to the disk; nothing where the system does not tell.
std::optional<std::uint64_t> written_bytes() {
    std::ifstream file("/proc/self/io");
    std::string name;
    for (std::uint64_t value = 0; file >> name >> value;)
        if (name == "write_bytes:") return value;
    return std::nullopt;
}

void books(Metrics& out, const Snapshot& snapshot) {
    out.only("samples_total", "counter", "Samples that reached the engine.",
             snapshot.samples_total);
    out.only("samples_coalesced_total", "counter", "Samples replaced while the queue was full.",
             snapshot.samples_coalesced);
    out.only("readings_stored_total", "counter", "Readings stored in this run.",
             snapshot.readings_stored);
    out.only("event_seq", "gauge", "Newest row of the event log.", snapshot.event_seq);
    out.only("reading_seq", "gauge", "Newest stored reading.", snapshot.reading_seq);
    out.only("low_credit_units", "gauge", "Open accounts at level 1 or above.",
             snapshot.accounts_low);
    std::uint64_t ledger_seq = 0;
    for (std::size_t i = 0; i < snapshot.accounts.size(); ++i)
        ledger_seq = std::max(ledger_seq, snapshot.accounts[i].ledger_seq);
    out.only("ledger_seq", "gauge", "Newest entry of a household.", ledger_seq);
    days_left(out, snapshot);
    out.only("store_ok", "gauge", "1 while commits succeed.", snapshot.store_ok ? 1 : 0);
    out.only("clock_trusted", "gauge", "1 while the clock is trusted.",
             snapshot.clock_trusted ? 1 : 0);
    // Those that are not open as well: a series that comes and goes is one that no rule can watch.
    std::map<std::string, int> kinds;
    for (const AlertKind kind :
         {AlertKind::low_balance, AlertKind::stale_balance, AlertKind::meter_offline,
          AlertKind::reading_held, AlertKind::meter_prepaid_active, AlertKind::vacant_use,
          AlertKind::leak_suspect, AlertKind::log_gap})
        kinds[to_string(kind)] = 0;
    for (const std::string& kind : key_alert_codes()) kinds[kind] = 0;
    for (const auto& alert : snapshot.open_alerts) ++kinds[alert->kind];
    out.family("alerts_open", "gauge", "Open alerts by kind.");
    for (const auto& [kind, count] : kinds) {
        out.value(label("kind", kind), std::to_string(count));
    }
}

void adapters(Metrics& out, const Call& call) {
    const Snapshot& snapshot = *call.snapshot;
    const MqttStatus mqtt = call.app.status.mqtt();
    if (mqtt.configured) {
        out.only("mqtt_connected", "gauge", "1 while connected to the broker.",
                 mqtt.connected ? 1 : 0);
        out.only("mqtt_published_total", "counter", "Messages that the broker acknowledged.",
                 mqtt.published_total);
        out.only("mqtt_reconnects_total", "counter", "Connections lost and made again.",
                 mqtt.reconnects_total);
        out.only("outbox_depth", "gauge", "Events that the broker has not acknowledged.",
                 snapshot.event_seq - std::min(snapshot.event_seq, snapshot.mqtt_cursor));
        const auto oldest = call.app.readers.take()->events_after(snapshot.mqtt_cursor, 1);
        out.only("outbox_oldest_seconds", "gauge", "How long the oldest of them has waited.",
                 oldest.empty()
                     ? 0
                     : std::max<std::int64_t>(0, snapshot.now_ms - oldest.front().at.at) / 1'000);
    }
    const Counters& counters = call.app.counters;
    out.family("http_requests_total", "counter", "Requests answered by how they ended.");
    out.value(label("result", "ok"), std::to_string(counters.requests.load()));
    out.value(label("result", "refused"), std::to_string(counters.refused.load()));
    out.value(label("result", "failed"), std::to_string(counters.failed.load()));
    out.only("http_connections", "gauge", "Open connections.", counters.open.load());
    out.only("http_connections_refused_total", "counter", "Connections beyond the limit.",
             counters.connections_refused.load());
}

}  // namespace

Response get_metrics(Call& call) {
    const ProcessStatus process = call.app.status.process();
    Metrics out;
    out.family("build_info", "gauge", "Which program this is.");
    out.value(label("version", process.version), "1");
    out.family("start_time_seconds", "gauge", "When the process started.");
    out.value(label("run", call.snapshot->run_id), format_decimal(process.started_ms, 3));
    const std::vector<BusStatus> all = call.app.status.buses();
    buses(out, all);
    lines(out, call, all);
    if (call.app.metrics_meters) meter_lines(out, all);
    meters(out, *call.snapshot, call.app.metrics_meters);
    books(out, *call.snapshot);
    adapters(out, call);
    out.only("db_bytes", "gauge", "Size of the books on disk.", process.database_bytes);
    if (const auto written = written_bytes())
        out.only("db_written_bytes_total", "counter", "Written to the disk in this run.", *written);
    out.only("disk_free_bytes", "gauge", "Free space beside them.", process.disk_free_bytes);
    return {200, out.take(), "text/plain; version=0.0.4; charset=utf-8", {}};
}

}  // namespace gatehouse::http
