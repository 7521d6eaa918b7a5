// Setting a meter's clock: read, written, read back; what the meter shows afterwards decides. And
// nothing is written but what the profile describes.
#include "drivers/modbus/clock_job.hpp"

#include <algorithm>
#include <map>

#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::modbus;

namespace {

std::shared_ptr<const Profile> profile(const std::string& id) {
    static const ProfileTable table = load_profiles({GATEHOUSE_METERS});
    return table.find(id);
}

constexpr MeterClock kNow{2026, 11, 26, 1, 2, 3};
constexpr MeterClock kBefore{2026, 11, 25, 23, 0, 0};

struct Device {
    bool takes_writes = true;
    PollResult write_result = PollResult::ok;
    PollResult read_result = PollResult::ok;
    int fails_reads = 0;  // the first so many
    std::vector<std::uint16_t> words;
    int first = 0;
    std::vector<WriteRequest> written;
    int reads = 0;

    Reply answer(const JobExchange& exchange) {
        Reply reply;
        reply.result = PollResult::ok;
        reply.request = {1};
        if (exchange.write) {
            written.push_back(*exchange.write);
            reply.result = write_result;
            reply.detail = write_result == PollResult::ok ? "" : "no reply in time";
            if (!takes_writes) return reply;
            for (std::size_t i = 0; i < exchange.write->words.size(); ++i) {
                const auto at = static_cast<std::size_t>(exchange.write->first - first) + i;
                if (at < words.size()) words[at] = exchange.write->words[i];
            }
            return reply;
        }
        if (reads++ < fails_reads) {
            reply.result = PollResult::timeout;
            reply.detail = "no reply in time";
            return reply;
        }
        reply.result = read_result;
        reply.words = words;
        return reply;
    }
};

ClockOutcome set(Device& device, const ClockLayout& layout) {
    ClockOutcome outcome;
    int told = 0;
    ClockJob job(
        7, layout, 500, [] { return kNow; },
        [&](ClockOutcome result) {
            outcome = std::move(result);
            ++told;
        });
    int exchanges = 0;
    while (const auto exchange = job.next()) {
        REQUIRE(++exchanges < 30);
        REQUIRE(exchange->request.address == 7);
        job.ended(*exchange, device.answer(*exchange));
    }
    job.finished("");
    REQUIRE(told == 1);
    return outcome;
}

Device device_of(const ClockLayout& layout) {
    Device device;
    device.words = encode_clock(layout, kBefore);
    device.first = layout.span.first;
    return device;
}

}  // namespace

TEST_CASE("every profile's own way of setting a clock is written and read back") {
    const ProfileTable table = load_profiles({GATEHOUSE_METERS});
    int tried = 0;
    for (const auto& [id, known] : table.profiles) {
        if (!known->clock || !known->clock->write) continue;
        // Where it is written elsewhere than it is read, a simple memory shows nothing.
        if (known->clock->write->first != known->clock->span.first) continue;
        INFO(id);
        ++tried;
        Device device = device_of(*known->clock);
        const ClockOutcome outcome = set(device, *known->clock);
        CHECK(outcome.done);
        CHECK(outcome.reason.empty());
        REQUIRE(outcome.before);
        REQUIRE(outcome.after);
        CHECK(outcome.set_to == kNow);
        for (const WriteRequest& write : device.written) {
            CHECK((write.function == 6 || write.function == 16));
            CHECK(write.first >= known->clock->write->first);
            CHECK(write.first + static_cast<int>(write.words.size()) <=
                  known->clock->write->first + known->clock->span.count);
        }
    }
    CHECK(tried > 0);
}

TEST_CASE("what the meter shows afterwards decides") {
    const ClockLayout layout = *profile("chint-dtsu666")->clock;
    struct Row {
        const char* name;
        bool takes;
        PollResult write, read;
        int fails_reads;
        bool done;
        const char* reason;
    };
    const Row rows[] = {
        {"as it should", true, PollResult::ok, PollResult::ok, 0, true, ""},
        {"the write is not answered, but taken", true, PollResult::timeout, PollResult::ok, 0, true,
         ""},
        {"answered and not taken", false, PollResult::ok, PollResult::ok, 0, false,
         "after the write"},
        {"refused", false, PollResult::exception, PollResult::ok, 0, false, "no reply in time"},
        {"two readings are lost", true, PollResult::ok, PollResult::ok, 2, true, ""},
        {"it cannot be read at all", true, PollResult::ok, PollResult::ok, 30, false,
         "cannot be read"},
    };
    for (const Row& row : rows) {
        INFO(row.name);
        Device device = device_of(layout);
        device.takes_writes = row.takes;
        device.write_result = row.write;
        device.read_result = row.read;
        device.fails_reads = row.fails_reads;
        const ClockOutcome outcome = set(device, layout);
        INFO(outcome.reason);
        CHECK(outcome.done == row.done);
        CHECK(outcome.reason.find(row.reason) != std::string::npos);
        // What was never read is never written.
        if (row.fails_reads > 2) CHECK(device.written.empty());
    }
}

TEST_CASE("without a described write nothing goes out, and a bus that ends is told") {
    ClockLayout layout = *profile("chint-dtsu666")->clock;
    layout.write.reset();
    Device device = device_of(layout);
    const ClockOutcome outcome = set(device, layout);
    CHECK_FALSE(outcome.done);
    CHECK(device.written.empty());
    CHECK(outcome.reason.find("does not describe") != std::string::npos);

    std::string reason;
    ClockJob job(
        1, layout, 500, [] { return kNow; },
        [&](const ClockOutcome& ended) { reason = ended.reason; });
    REQUIRE(job.next());
    job.finished("the daemon stops or the bus was changed");
    CHECK(reason == "the daemon stops or the bus was changed");
}
