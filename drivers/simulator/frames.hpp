// Modbus frames by hand, seen from the meter: requests out of a stream of bytes, replies as bytes.
// It can also build frames that no meter should send. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace gatehouse::simulator {

using Bytes = std::vector<std::uint8_t>;

struct RequestFrame {
    int unit = 0;
    Bytes pdu;                      // function code and what follows, without the checksum
    std::uint16_t transaction = 0;  // TCP
    std::size_t size = 0;           // bytes that it took off the stream
};
// What the head of a stream is. `broken`: no request can come of it, whatever follows.
struct Parsed {
    enum class State { incomplete, complete, broken } state = State::incomplete;
    RequestFrame frame;
};
[[nodiscard]] Parsed parse_rtu(std::span<const std::uint8_t> stream);
[[nodiscard]] Parsed parse_tcp(std::span<const std::uint8_t> stream);

[[nodiscard]] std::uint16_t crc16(std::span<const std::uint8_t> bytes);
[[nodiscard]] Bytes rtu_frame(int unit, const Bytes& pdu);
[[nodiscard]] Bytes tcp_frame(std::uint16_t transaction, int unit, const Bytes& pdu);
[[nodiscard]] Bytes exception_pdu(int function, int code);
void turn_bit(Bytes& frame, std::uint64_t which);  // one of the frame's bits

}  // namespace gatehouse::simulator
