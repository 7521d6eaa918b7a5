// Frames of Modbus as bytes: what a request looks like, and what a reply says. For the requests
// that libmodbus sends raw, for what is heard on a quiet line, and for people who look at bytes.
// No input or output. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "drivers/modbus/link.hpp"

namespace gatehouse::modbus {

using Bytes = std::vector<std::uint8_t>;
enum class FrameKind { rtu, tcp };

[[nodiscard]] bool is_bits(RegisterTable table);
// Of the values in a reply, without its head and checksum.
[[nodiscard]] std::size_t data_bytes(const RegisterSpan& span);
// Address, function, first register and count; no checksum, no header.
[[nodiscard]] Bytes request_pdu(const Request& request);
void append_crc(Bytes& frame);
[[nodiscard]] Bytes tcp_frame(std::uint16_t transaction, const Bytes& pdu);

void set_exception(Reply& reply, int code);
// Fills result, words and detail from a whole frame whose checksum, if it has one, was right. What
// is no reply to this request is a foreign frame.
void take_reply(const Request& request, const Bytes& frame, FrameKind framing, Reply& reply);
// Whether the bytes hold a whole RTU frame that answers `owed`, its refusal included.
[[nodiscard]] bool holds_reply(const Bytes& heard, const Request& owed);

}  // namespace gatehouse::modbus
