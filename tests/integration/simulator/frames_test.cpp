#include "drivers/simulator/frames.hpp"

#include "tests/support/catch.hpp"

namespace gatehouse::simulator {
namespace {

TEST_CASE("an RTU request is known by its function and its checksum") {
    // Modbus over serial line: slave 17, FC 3, three registers from 107.
    const Bytes frame{0x11, 0x03, 0x00, 0x6B, 0x00, 0x03, 0x76, 0x87};
    const Parsed parsed = parse_rtu(frame);
    REQUIRE(parsed.state == Parsed::State::complete);
    CHECK(parsed.frame.unit == 17);
    CHECK(parsed.frame.pdu == Bytes{3, 0, 0x6B, 0, 3});
    CHECK(parsed.frame.size == 8);
    CHECK(rtu_frame(17, {3, 0, 0x6B, 0, 3}) == frame);
    for (std::size_t length = 0; length < frame.size(); ++length) {
        CHECK(parse_rtu(std::span(frame).first(length)).state == Parsed::State::incomplete);
    }
    Bytes damaged = frame;
    turn_bit(damaged, 35);
    CHECK(damaged != frame);
    CHECK(parse_rtu(damaged).state == Parsed::State::broken);
    CHECK(parse_rtu(Bytes{0x11, 0x99}).state == Parsed::State::broken);
}

TEST_CASE("a TCP request is known by its header") {
    const Bytes frame = tcp_frame(0x1234, 5, {4, 0, 0x48, 0, 2});
    const Parsed parsed = parse_tcp(frame);
    REQUIRE(parsed.state == Parsed::State::complete);
    CHECK(parsed.frame.transaction == 0x1234);
    CHECK(parsed.frame.unit == 5);
    CHECK(parsed.frame.pdu == Bytes{4, 0, 0x48, 0, 2});
    CHECK(parse_tcp(std::span(frame).first(9)).state == Parsed::State::incomplete);
    Bytes other_protocol = frame;
    other_protocol[2] = 1;
    CHECK(parse_tcp(other_protocol).state == Parsed::State::broken);
    Bytes too_long = frame;
    too_long[4] = 1;
    CHECK(parse_tcp(too_long).state == Parsed::State::broken);
}

}  // namespace
}  // namespace gatehouse::simulator
