// A serial adapter that is pulled and comes back under another number: the bus finds it by the
// stable name, which is a link that points elsewhere then.
#include <filesystem>

#include "tests/drivers/fake_bus.hpp"
#include "tests/drivers/peer.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::modbus;
using namespace gatehouse::modbus::fake;

namespace {

// An SDM120 whose registers all hold the same float.
Peer::Answer meter(std::uint16_t high_word) {
    return [=](const Peer::Asked& asked) -> std::vector<Peer::Piece> {
        Bytes pdu = registers_pdu(asked.address, asked.function, asked.count, 0);
        for (std::size_t i = 3; i + 3 < pdu.size() + 1 && i + 1 < pdu.size(); i += 4) {
            pdu[i] = static_cast<std::uint8_t>(high_word >> 8);
            pdu[i + 1] = static_cast<std::uint8_t>(high_word & 0xFF);
        }
        return {{rtu(pdu)}};
    };
}

}  // namespace

TEST_CASE("an adapter that was unplugged and renumbered comes back by its stable path") {
    SteadyClock clock;
    FixedRandom random;
    Collector sink;
    std::string folder =
        (std::filesystem::temp_directory_path() / "gatehouse-replug-XXXXXX").string();
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    const std::filesystem::path stable = std::filesystem::path(folder) / "b1";
    auto first = std::make_unique<Peer>(FrameKind::rtu, meter(0x4120));  // 10.0
    std::filesystem::create_symlink(first->open_terminal(), stable);
    BusService service(clock, random, sink, 1);
    BusPlan plan;
    plan.id = "b1";
    plan.settings.transport = Transport::rtu;
    plan.settings.device = stable.string();
    plan.poll_interval_ms = 100;
    plan.response_timeout_ms = 300;
    plan.meters = {{"m1", 1, 0, profile("eastron-sdm120")}};
    service.configure({plan});
    REQUIRE(sink.wait([&] { return sink.samples.size() >= 2; }));
    first.reset();  // pulled out
    REQUIRE(sink.wait(
        [&] { return !sink.statuses.empty() && sink.statuses.back().phase == BusPhase::offline; }));
    std::filesystem::remove(stable);
    Peer second(FrameKind::rtu, meter(0x41A0));  // 20.0
    std::filesystem::create_symlink(second.open_terminal(), stable);
    REQUIRE(sink.wait([&] { return format_rational(sink.samples.back().register_value) == "20"; }));
    CHECK(service.status().at(0).phase == BusPhase::online);
    service.stop();
    std::filesystem::remove_all(folder);
}
