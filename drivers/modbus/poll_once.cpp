// The dry run: every meter of a bus once, without a worker.
#include <algorithm>
#include <set>
#include <utility>

#include "drivers/modbus/bus_worker.hpp"

namespace gatehouse::modbus {
namespace {

constexpr std::int64_t kConnectMs = 3'000;

// Reads the meter's blocks; false where the station did not answer and may still do so.
bool read_meter(const MeterPlan& meter, const BusPlan& plan, Link& link, ReadResult& result) {
    RegisterImage image;
    bool answered = true;
    for (const RegisterSpan& span : plan_meter(meter).full) {
        const Request request{meter.address, span, plan.response_timeout_ms};
        const Reply reply = link.exchange(request);
        result.exchanges.push_back(trace_of(span, reply));
        if (reply.result == PollResult::ok) {
            image.set(span, reply.words);
            continue;
        }
        if (reply.result == PollResult::exception || reply.result == PollResult::busy) continue;
        result.result = reply.result;
        result.detail = reply.detail;
        (void)link.listen(plan.response_timeout_ms, request);
        answered = false;
        break;
    }
    result.values = read_values(meter, image);
    return answered;
}

void pad(std::string& line, std::size_t width) {
    line.resize(std::max(line.size() + 1, width), ' ');
}

}  // namespace

std::vector<ReadResult> poll_once(const BusPlan& plan, const Clock& clock,
                                  const LinkFactory& links) {
    std::vector<ReadResult> results;
    const std::unique_ptr<Link> link = links(plan.settings);
    const std::string reason = link->connect(kConnectMs);
    std::set<int> silent;  // a late reply of these could be taken for another meter's
    for (const MeterPlan& meter : plan.meters) {
        if (!meter.profile) continue;
        ReadResult result;
        result.meter = meter.id;
        result.bus = plan.id;
        result.profile = meter.profile->id;
        result.at = {0, clock.mono_ms(), clock.wall_ms()};
        if (!reason.empty()) {
            result.result = PollResult::not_connected;
            result.detail = reason;
        } else if (silent.count(meter.address) != 0) {
            result.result = PollResult::timeout;
            result.detail = "not asked: its address was silent just before";
        } else if (!read_meter(meter, plan, *link, result)) {
            silent.insert(meter.address);
        }
        results.push_back(std::move(result));
    }
    link->close();
    return results;
}

std::string to_text(const std::vector<ReadResult>& results) {
    std::string text;
    for (const ReadResult& result : results) {
        std::string line = result.meter;
        pad(line, 20);
        line += result.profile;
        pad(line, 44);
        line += result.result == PollResult::ok
                    ? "ok"
                    : std::string(gatehouse::to_string(result.result)) + ": " + result.detail;
        text += line + "\n";
        if (result.result == PollResult::not_connected) continue;
        for (const ReadValue& value : result.values) {
            std::string row = "  ";
            row += to_string(value.measurement);
            pad(row, 20);
            row += value.result == PollResult::ok
                       ? value.value + (value.unit.empty() ? "" : " " + value.unit)
                       : std::string("- (") + gatehouse::to_string(value.result) + ")";
            pad(row, 44);
            text += row + value.steps + "\n";
        }
    }
    return text;
}

}  // namespace gatehouse::modbus
