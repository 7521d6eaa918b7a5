// A board whose 32 bits come to their end: its numbers begin again, its log goes on, and each of
// its events is told once, whatever breaks between window, commit and acknowledgement.
#include <random>

#include "tests/integration/cabinet/fixture.hpp"

using namespace gatehouse;
using namespace gatehouse::cabinet;

namespace {

constexpr std::int64_t kSeqs = std::int64_t{1} << 32;

simulator::CabinetSpec near_its_end(std::int64_t left, std::size_t log_size = 1'000) {
    simulator::CabinetSpec spec = board_of(8, log_size);
    spec.first_seq = kSeqs - left;
    return spec;
}

void flood(simulator::Cabinet& cabinet, std::int64_t events, std::int64_t now_ms) {
    REQUIRE(cabinet.act("flood " + std::to_string(events), now_ms).empty());
}

// Numbers in the order in which they were kept, as ones that go on.
std::vector<std::int64_t> in_line(const Books& books) {
    std::vector<std::int64_t> seqs = books.seqs("kc-01");
    for (std::int64_t& seq : seqs)
        if (seq < kSeqs / 2) seq += kSeqs;
    return seqs;
}

std::vector<std::int64_t> range(std::int64_t from, std::int64_t through) {
    std::vector<std::int64_t> all;
    for (std::int64_t seq = from; seq <= through; ++seq) all.push_back(seq);
    return all;
}

}  // namespace

TEST_CASE("numbers that begin again: inside a window, between two, and in an empty log") {
    const std::int64_t left = GENERATE(1, 3, 7, 8, 20);
    INFO(left);
    simulator::Cabinet cabinet(near_its_end(left), 1, Life::kEpochMs);
    std::int64_t now = 1'000;
    const bool kill = GENERATE(false, true);
    const bool waits = GENERATE(false, true);
    Books books;
    auto life = std::make_unique<Life>(cabinet, Life::kcm(1), now);
    const auto sink = [&](const KeyPush& push) {
        for (const KeyEvent& event : push.events) {
            if (event.id.source != "kc-01") continue;
            // One push is of one numbering, and says how far that one counts.
            CHECK(event.id.seq <= push.newest);
            CHECK(event.id.seq < kSeqs);
            CHECK(*push.newest - event.id.seq < 100);
            CHECK(event.type == KeyEventType::tamper);
        }
        books.keep(push);
        return true;
    };
    life->sink = sink;
    for (int round = 0; round < 4; ++round) {
        flood(cabinet, 9, now);
        if (waits) life->run_for(5'000);
        if (kill) life = std::make_unique<Life>(cabinet, Life::kcm(2 + round), now);
        life->sink = sink;
    }
    life->run_for(10'000);
    CHECK(cabinet.acked() == cabinet.newest());
    CHECK(in_line(books) == range(kSeqs - left, kSeqs - left + 35));
    CHECK(books.last(KeyEventType::log_overwritten) == nullptr);
}

TEST_CASE("kills while the numbers begin again: each event once, in order") {
    const unsigned seed = std::random_device()();
    WARN("seed " << seed);
    std::mt19937 dice(seed);
    for (int round = 0; round < 30; ++round) {
        simulator::Cabinet cabinet(near_its_end(30), 1, Life::kEpochMs);
        std::int64_t now = 1'000, runs = 0;
        Books books;
        while (cabinet.newest() < kSeqs + 30) {
            Life life(cabinet, Life::kcm(++runs), now);
            bool killed = false;
            const auto kill = [&] { return killed = dice() % 4 == 0; };
            life.sink = [&](const KeyPush& push) {
                if (kill()) return false;
                books.keep(push);
                (void)kill();
                return true;
            };
            life.before = [&](const PollerAction&) { return killed || dice() % 9 != 0 || !kill(); };
            while (!killed) {
                (void)life.step();
                if (dice() % 6 == 0) flood(cabinet, static_cast<std::int64_t>(1 + dice() % 9), now);
            }
        }
        Life last(cabinet, Life::kcm(++runs), now);
        last.sink = [&](const KeyPush& push) {
            books.keep(push);
            return true;
        };
        last.run_for(600'000);
        CHECK(cabinet.acked() == cabinet.newest());
        CHECK(in_line(books) == range(kSeqs - 30, cabinet.newest()));
    }
}

TEST_CASE("what is overwritten across the last number: the log goes on behind it") {
    simulator::Cabinet cabinet(near_its_end(10, 10), 1, Life::kEpochMs);
    std::int64_t now = 1'000;
    Books books;
    Life life(cabinet, Life::kcm(1), now);
    life.sink = [&](const KeyPush& push) {
        books.keep(push);
        return true;
    };
    flood(cabinet, 4, now);
    life.run_for(5'000);
    flood(cabinet, 40, now);  // to number 33, of which 24 to 33 are left
    life.run_for(10'000);
    CHECK(cabinet.acked() == cabinet.newest());
    const KeyEvent* loss = books.last(KeyEventType::log_overwritten);
    REQUIRE(loss != nullptr);
    CHECK(loss->from == 0);
    CHECK(loss->through == 23);
    CHECK(books.seqs("kc-01").back() == 33);
}

TEST_CASE("a board that loses its memory near the last number is none whose numbers went on") {
    simulator::Cabinet cabinet(near_its_end(3'000'000), 1, Life::kEpochMs);
    std::int64_t now = 1'000;
    std::vector<std::int64_t> seqs;
    Life life(cabinet, Life::kcm(1), now);
    life.sink = [&](const KeyPush& push) {
        for (const KeyEvent& event : push.events)
            if (event.id.source == "kc-01") seqs.push_back(event.id.seq);
        return true;
    };
    flood(cabinet, 9, now);
    life.run_for(5'000);
    REQUIRE(cabinet.act("swap", now).empty());
    flood(cabinet, 3, now);
    seqs.clear();
    life.run_for(10'000);
    CHECK(seqs == range(1, 4));
    CHECK(cabinet.acked() == 4);
}
