// The scan without a bus: a world of devices that answer from the vectors inside the profiles, and
// the step machine that has to find out who is there. No time passes but the one that is counted.
#include "drivers/modbus/scan.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::modbus;

namespace {

const ProfileTable& table() {
    static const ProfileTable all = load_profiles({GATEHOUSE_METERS});
    return all;
}

constexpr std::int64_t kTurnaroundUs = 20'000;

// A device with the words of its profile's first vector; what is not there it refuses.
struct Thing {
    std::string profile;
    std::map<std::pair<RegisterTable, int>, std::uint16_t> words;
    std::int64_t turnaround_us = kTurnaroundUs;
    std::set<RegisterTable> deaf;  // to these it does not even refuse
    int baud = 9'600;
    bool any_baud = false;
};
Thing thing(const std::string& profile) {
    const auto known = table().find(profile);
    REQUIRE(known);
    Thing made;
    made.profile = profile;
    made.words = known->tests.front().words;
    return made;
}

class World {
  public:
    std::multimap<int, Thing> things;  // by address; two with one address collide
    enum class Collision {
        damaged,
        where_they_differ,
        in_turn,
        one_after_the_other
    } collision = Collision::damaged;
    bool gateway = false;      // says 0x0B for whoever is silent
    bool any_address = false;  // the first thing answers to all
    int damage_every = 0;      // of all replies on the line
    int lost_at = 0;           // the connection is gone from that question on
    int asked = 0;
    std::int64_t time_us = 0;
    std::set<int> addresses;

    ScanHeard answer(const ScanAsk& ask, const ScanPlan& plan) {
        ++asked;
        addresses.insert(ask.request.address);
        ScanHeard heard;
        heard.reply = reply_to(ask, plan, heard.after);
        heard.reply.busy_us = heard.reply.turnaround_us + 15'000;
        if (heard.reply.result == PollResult::timeout) {
            heard.reply.busy_us = ask.request.timeout_ms * 1'000 + 15'000;
            owed_[{ask.request.address, ask.request.span.count}] = time_us + 30'000'000;
        }
        if (heard.reply.result == PollResult::ok) {
            // A device answers in order: nothing older than this reply is still to come.
            std::erase_if(
                owed_, [&](const auto& debt) { return debt.first.first == ask.request.address; });
        }
        time_us += heard.reply.busy_us + ask.listen_ms * 1'000;
        return heard;
    }

  private:
    // The bus does not ask again what could be answered by a late reply to the same question.
    bool owes(const ScanAsk& ask) const {
        const auto found = owed_.find({ask.request.address, ask.request.span.count});
        return found != owed_.end() && found->second > time_us;
    }
    Reply reply_to(const ScanAsk& ask, const ScanPlan& plan, Heard& after) {
        Reply reply;
        if (lost_at > 0 && asked >= lost_at) {
            reply.result = PollResult::not_connected;
            reply.detail = reply.lost = "connection lost: broken pipe";
            return reply;
        }
        if (!plan.transaction_numbers && owes(ask)) {
            reply.result = PollResult::busy;
            return reply;
        }
        if (late_ && late_->first != ask.request.address) {
            reply.result = PollResult::foreign_frame;
            reply.response = {static_cast<std::uint8_t>(late_->first), 3, 2, 0, 0, 0, 0};
            late_.reset();
            return reply;
        }
        std::vector<const Thing*> here;
        const int address = any_address ? things.begin()->first : ask.request.address;
        const auto range = things.equal_range(address);
        for (auto it = range.first; it != range.second; ++it) {
            const Thing& one = it->second;
            if (!one.any_baud && plan.lines[ask.line].baud != one.baud) continue;
            if (one.deaf.count(ask.request.span.table) == 0) here.push_back(&one);
        }
        if (here.empty()) {
            reply.result = gateway ? PollResult::gateway_target : PollResult::timeout;
            return reply;
        }
        if (damage_every > 0 && asked % damage_every == 0) {
            reply.result = PollResult::crc;
            return reply;
        }
        return of_things(ask, here, after);
    }
    Reply of_things(const ScanAsk& ask, const std::vector<const Thing*>& here, Heard& after) {
        const Thing* one = here.front();
        if (here.size() > 1) {
            if (collision == Collision::where_they_differ) {
                for (int i = 0; i < ask.request.span.count; ++i) {
                    const std::pair at{ask.request.span.table, ask.request.span.first + i};
                    const auto word = [&](const Thing& of) {
                        const auto found = of.words.find(at);
                        return found == of.words.end() ? -1 : int{found->second};
                    };
                    if (word(*here[0]) == word(*here[1])) continue;
                    Reply reply;
                    reply.result = PollResult::crc;
                    return reply;
                }
            }
            if (collision == Collision::damaged) {
                Reply reply;
                reply.result = asked % 3 == 0 ? PollResult::foreign_frame : PollResult::crc;
                return reply;
            }
            if (collision == Collision::in_turn)
                one = here[static_cast<std::size_t>(asked) / 2 % 2];
            if (collision == Collision::one_after_the_other && ask.listen_ms > 0) after.bytes = 9;
        }
        Reply reply;
        reply.turnaround_us = one->turnaround_us;
        if (one->turnaround_us > ask.request.timeout_ms * 1'000) {
            late_ = {ask.request.address, 0};
            reply.result = PollResult::timeout;
            return reply;
        }
        for (int i = 0; i < ask.request.span.count; ++i) {
            const auto word = one->words.find({ask.request.span.table, ask.request.span.first + i});
            if (word == one->words.end()) {
                reply.words.clear();
                reply.result = PollResult::exception;
                reply.exception = 2;
                return reply;
            }
            reply.words.push_back(word->second);
        }
        reply.result = PollResult::ok;
        return reply;
    }
    std::map<std::pair<int, int>, std::int64_t> owed_;
    std::optional<std::pair<int, int>> late_;
};

ScanPlan plan_of(Transport transport) {
    BusSettings settings;
    settings.transport = transport;
    ScanPlan plan;
    plan.lines = scan_lines(settings, table());
    plan.stream = transport != Transport::rtu;
    plan.transaction_numbers = transport == Transport::tcp;
    return plan;
}

ScanReport scan(World& world, const ScanPlan& plan) {
    ScanMachine machine(plan, table());
    while (const auto ask = machine.next()) {
        REQUIRE(machine.next()->request.address == ask->request.address);
        REQUIRE(ask->request.address >= plan.from);
        REQUIRE(ask->request.address <= plan.to);
        REQUIRE(ask->request.timeout_ms > 0);
        REQUIRE(ask->request.timeout_ms <= plan.response_timeout_ms);
        machine.heard(world.answer(*ask, plan));
        REQUIRE(machine.progress().left_us >= 0);
    }
    CHECK(machine.progress().left_us == 0);
    return machine.report();
}

const FoundDevice* device(const ScanReport& report, int address) {
    for (const FoundDevice& found : report.devices) {
        if (found.address == address) return &found;
    }
    return nullptr;
}

bool has_note(const ScanReport& report, const std::string& part) {
    return std::any_of(report.notes.begin(), report.notes.end(), [&](const std::string& note) {
        return note.find(part) != std::string::npos;
    });
}

// Whether the profile is among those that a person would be offered first.
bool offers(const FoundDevice& found, const std::string& profile) {
    return std::any_of(
        found.candidates.begin(), found.candidates.end(), [&](const Candidate& candidate) {
            return candidate.profile->id == profile &&
                   candidate.fingerprint.match == found.candidates.front().fingerprint.match;
        });
}

}  // namespace

TEST_CASE("electricity and water meters are found and named on every transport") {
    for (const Transport transport : {Transport::tcp, Transport::rtu_over_tcp, Transport::rtu}) {
        World world;
        world.gateway = transport == Transport::tcp;
        const std::map<int, std::string> placed{{1, "eastron-sdm120"},
                                                {2, "abb-b23"},
                                                {17, "arad-octave"},
                                                {40, "wirenboard-mwac2"},
                                                {247, "eastron-sdm630"}};
        for (const auto& [address, profile] : placed) world.things.emplace(address, thing(profile));
        ScanPlan plan = plan_of(transport);
        plan.lines.resize(1);
        const std::int64_t estimate_us = ScanMachine(plan, table()).progress().left_us;
        const ScanReport report = scan(world, plan);
        // The time that is left is a guess, not a fancy.
        if (transport == Transport::rtu) {
            CHECK(estimate_us > world.time_us / 2);
            CHECK(estimate_us < world.time_us * 2);
        }
        CHECK(report.failure.empty());
        REQUIRE(report.devices.size() == placed.size());
        for (const auto& [address, profile] : placed) {
            INFO(profile << " at " << address);
            const FoundDevice* found = device(report, address);
            REQUIRE(found != nullptr);
            CHECK(found->readable);
            CHECK(offers(*found, profile));
            CHECK(found->duplicate.verdict == DuplicateVerdict::none);
        }
        // Everybody is asked, dead addresses twice, and little else.
        CHECK(world.addresses.size() == 247);
        CHECK(world.asked < 2 * 247 + 5 * (kScanQuestionsMax + 10));
        if (transport == Transport::rtu) CHECK(world.time_us < 150'000'000);
    }
}

TEST_CASE("who is deaf to the first question, or slow, is found by the second round") {
    World world;
    Thing input_only = thing("arad-octave");
    input_only.deaf = {RegisterTable::holding};
    world.things.emplace(5, input_only);
    Thing slow = thing("eastron-sdm630");
    slow.turnaround_us = 230'000;
    world.things.emplace(9, slow);
    ScanPlan plan = plan_of(Transport::rtu);
    plan.lines.resize(1);
    plan.to = 30;
    const ScanReport report = scan(world, plan);
    REQUIRE(report.devices.size() == 2);
    CHECK(offers(*device(report, 5), "arad-octave"));
    CHECK(offers(*device(report, 9), "eastron-sdm630"));
    CHECK(device(report, 9)->turnaround_us == 230'000);
}

TEST_CASE("two devices with one address are told from a bad cable") {
    const auto with_serial = [](Thing made, std::uint16_t serial) {
        made.words[{RegisterTable::holding, 0xFC01}] = serial;
        made.words[{RegisterTable::input, 0x0049}] = serial;
        return made;
    };
    struct Row {
        const char* name;
        World::Collision collision;
        int damage_every;
        DuplicateVerdict verdict;
        const char* why;
    };
    const Row rows[] = {
        {"damaged", World::Collision::damaged, 0, DuplicateVerdict::possible,
         "while the rest of the line is clean"},
        {"where they differ", World::Collision::where_they_differ, 0, DuplicateVerdict::possible,
         "damaged each time and others never"},
        {"in turn", World::Collision::in_turn, 0, DuplicateVerdict::certain,
         "different serial numbers"},
        {"second reply", World::Collision::one_after_the_other, 0, DuplicateVerdict::certain,
         "a second reply followed"},
        {"bad cable", World::Collision::damaged, 3, DuplicateVerdict::none, "mend the cable"},
    };
    for (const Row& row : rows) {
        INFO(row.name);
        World world;
        world.collision = row.collision;
        world.damage_every = row.damage_every;
        world.things.emplace(3, thing("eastron-sdm120"));
        world.things.emplace(7, with_serial(thing("eastron-sdm120"), 1));
        world.things.emplace(7, with_serial(thing("eastron-sdm120"), 2));
        world.things.emplace(8, thing("eastron-sdm630"));
        ScanPlan plan = plan_of(Transport::rtu);
        plan.lines.resize(1);
        plan.to = 20;
        const ScanReport report = scan(world, plan);
        const FoundDevice* found = device(report, 7);
        REQUIRE(found != nullptr);
        INFO(found->duplicate.why);
        CHECK(std::string(to_string(found->duplicate.verdict)) == to_string(row.verdict));
        CHECK(found->duplicate.why.find(row.why) != std::string::npos);
        CHECK(device(report, 3)->duplicate.verdict == DuplicateVerdict::none);
        CHECK(device(report, 8)->duplicate.verdict == DuplicateVerdict::none);
    }
}

TEST_CASE("the judgement of a duplicate, as a table") {
    struct Row {
        DuplicateFacts facts;
        DuplicateVerdict verdict;
    };
    const auto facts = [](const std::function<void(DuplicateFacts&)>& change) {
        DuplicateFacts made;
        made.asked = 20;
        made.line_asked = 100;
        change(made);
        return made;
    };
    using F = DuplicateFacts;
    const Row rows[] = {
        {facts([](F&) {}), DuplicateVerdict::none},
        {facts([](F& f) { f.damaged = 1; }), DuplicateVerdict::none},
        {facts([](F& f) { f.damaged = 4; }), DuplicateVerdict::none},
        {facts([](F& f) { f.damaged = 5; }), DuplicateVerdict::possible},
        {facts([](F& f) { f.damaged = 5, f.line_damaged = 6; }), DuplicateVerdict::none},
        {facts([](F& f) { f.damaged = 5, f.line_damaged = 5; }), DuplicateVerdict::possible},
        {facts([](F& f) { f.serials = {"1"}; }), DuplicateVerdict::none},
        {facts([](F& f) {
             f.serials = {"1", "2"};
         }),
         DuplicateVerdict::certain},
        {facts([](F& f) { f.second_replies = 1; }), DuplicateVerdict::possible},
        {facts([](F& f) { f.second_replies = 2; }), DuplicateVerdict::certain},
        {facts([](F& f) { f.falls = 1; }), DuplicateVerdict::possible},
        {facts([](F& f) { f.stubborn = 1; }), DuplicateVerdict::none},
        {facts([](F& f) { f.stubborn = 2; }), DuplicateVerdict::possible},
        {facts([](F& f) { f.stubborn = 2, f.line_damaged = 6; }), DuplicateVerdict::none},
        {facts([](F& f) { f.falls = 2; }), DuplicateVerdict::certain},
        {facts([](F& f) { f.silent = 8; }), DuplicateVerdict::none},
        {facts([](F& f) { f.silent = 8, f.through_gateway = true; }), DuplicateVerdict::possible},
        {facts([](F& f) { f.silent = 20, f.through_gateway = true; }), DuplicateVerdict::none},
    };
    int row_number = 0;
    for (const Row& row : rows) {
        INFO("row " << row_number++);
        const DuplicateJudgement judged = judge_duplicate(row.facts);
        CHECK(std::string(to_string(judged.verdict)) == to_string(row.verdict));
        if (row.verdict != DuplicateVerdict::none) CHECK_FALSE(judged.why.empty());
    }
}

TEST_CASE("a device at another speed is found at that speed") {
    World world;
    world.things.emplace(4, thing("eastron-sdm120"));
    Thing factory = thing("eastron-sdm120");
    factory.baud = 2'400;
    world.things.emplace(1, factory);
    ScanPlan plan = plan_of(Transport::rtu);
    plan.to = 10;
    REQUIRE(plan.lines.size() > 5);
    REQUIRE(plan.lines[0] == LineSettings{9'600, Parity::none, 1, 8});
    REQUIRE(plan.lines[1].baud != 9'600);
    const ScanReport report = scan(world, plan);
    const FoundDevice* own = device(report, 4);
    REQUIRE(own != nullptr);
    CHECK(own->line == 0);
    const FoundDevice* other = device(report, 1);
    REQUIRE(other != nullptr);
    CHECK(plan.lines[other->line].baud == 2'400);
    CHECK(offers(*other, "eastron-sdm120"));
}

TEST_CASE("where the line's settings have no effect the others are not tried") {
    World world;
    Thing everywhere = thing("eastron-sdm120");
    everywhere.any_baud = true;
    world.things.emplace(4, everywhere);
    ScanPlan plan = plan_of(Transport::rtu);
    plan.to = 10;
    const ScanReport report = scan(world, plan);
    CHECK(report.devices.size() == 1);
    CHECK(has_note(report, "have no effect here"));
    CHECK(world.asked < 100);
}

TEST_CASE("behind a gateway only its own settings are tried") {
    BusSettings settings;
    settings.transport = Transport::rtu_over_tcp;
    CHECK(scan_lines(settings, table()).size() == 1);
}

TEST_CASE("the registry is compared with what answers") {
    World world;
    world.things.emplace(1, thing("eastron-sdm120"));
    world.things.emplace(2, thing("abb-b23"));
    ScanPlan plan = plan_of(Transport::rtu);
    plan.lines.resize(1);
    plan.to = 10;
    plan.known = {{"right", 1, 0, "eastron-sdm120"},
                  {"wrong", 2, 0, "arad-octave"},
                  {"gone", 9, 0, "eastron-sdm120"},
                  {"elsewhere", 99, 0, "eastron-sdm120"}};
    const ScanReport report = scan(world, plan);
    CHECK(device(report, 1)->meters == std::vector<std::string>{"right"});
    CHECK(device(report, 1)->note.empty());
    CHECK(device(report, 2)->note.find("wrong") != std::string::npos);
    REQUIRE(report.silent.size() == 1);
    CHECK(report.silent.front().id == "gone");
}

TEST_CASE("a device that does not look at the address is shown once") {
    World world;
    world.any_address = true;
    world.things.emplace(1, thing("eastron-sdm630"));
    ScanPlan plan = plan_of(Transport::tcp);
    plan.known = {{"m", 77, 0, "eastron-sdm630"}};
    const ScanReport report = scan(world, plan);
    REQUIRE(report.devices.size() == 1);
    CHECK(report.devices.front().address == 77);
    CHECK(has_note(report, "does not look at the address"));
}

TEST_CASE("a connection that stays lost ends the scan with its reason") {
    World world;
    world.lost_at = 40;
    world.things.emplace(3, thing("eastron-sdm120"));
    const ScanReport report = scan(world, plan_of(Transport::rtu));
    CHECK(report.failure == "connection lost: broken pipe");
    CHECK(report.devices.size() == 1);
    CHECK(world.asked == 42);
}

TEST_CASE("a line full of noise ends at the limit of questions") {
    World world;
    for (int address = 1; address <= 247; ++address) {
        for (int twice = 0; twice < 2; ++twice) {
            Thing one = thing("eastron-sdm120");
            one.any_baud = true;
            world.things.emplace(address, one);
        }
    }
    const ScanReport report = scan(world, plan_of(Transport::rtu));
    CHECK(report.failure.find("ended after") != std::string::npos);
    CHECK(world.asked == static_cast<int>(kScanAsksMax));
}
