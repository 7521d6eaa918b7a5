#include "drivers/modbus/frame.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace gatehouse::modbus {
namespace {

constexpr std::size_t kTcpHeader = 7;

std::uint16_t crc16(const std::uint8_t* bytes, std::size_t count) {
    std::uint32_t crc = 0xFFFF;
    for (std::size_t i = 0; i < count; ++i) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc & 1U) != 0 ? (crc >> 1U) ^ 0xA001U : crc >> 1U;
        }
    }
    return static_cast<std::uint16_t>(crc);
}

constexpr std::array<const char*, 12> kExceptions{
    "unknown exception",  "illegal function",         "illegal data address",
    "illegal data value", "device failure",           "acknowledge, still working",
    "device busy",        "unknown exception",        "memory parity error",
    "unknown exception",  "gateway path unavailable", "gateway target does not answer"};

const char* exception_text(int code) {
    const auto index = static_cast<std::size_t>(code);
    return index < kExceptions.size() ? kExceptions[index] : kExceptions[0];
}

PollResult exception_result(int code) {
    switch (code) {
        case 5:
        case 6:
            return PollResult::busy;
        case 10:
            return PollResult::gateway_path;
        case 11:
            return PollResult::gateway_target;
        default:
            return PollResult::exception;
    }
}

}  // namespace

void append_crc(Bytes& frame) {
    const std::uint16_t crc = crc16(frame.data(), frame.size());
    frame.push_back(static_cast<std::uint8_t>(crc & 0xFFU));
    frame.push_back(static_cast<std::uint8_t>(crc >> 8U));
}

bool is_bits(RegisterTable table) {
    return table == RegisterTable::coils || table == RegisterTable::discrete_inputs;
}

std::size_t data_bytes(const RegisterSpan& span) {
    const auto count = static_cast<std::size_t>(span.count);
    return is_bits(span.table) ? (count + 7) / 8 : 2 * count;
}

Bytes request_pdu(const Request& request) {
    const auto high = [](int value) { return static_cast<std::uint8_t>((value >> 8) & 0xFF); };
    const auto low = [](int value) { return static_cast<std::uint8_t>(value & 0xFF); };
    return {low(request.address),     static_cast<std::uint8_t>(request.span.table),
            high(request.span.first), low(request.span.first),
            high(request.span.count), low(request.span.count)};
}

Bytes tcp_frame(std::uint16_t transaction, const Bytes& pdu) {
    constexpr std::size_t kHead = kTcpHeader - 1;  // the unit stands in the pdu
    Bytes frame(kHead + pdu.size());
    frame[0] = static_cast<std::uint8_t>(transaction >> 8U);
    frame[1] = static_cast<std::uint8_t>(transaction & 0xFFU);
    frame[5] = static_cast<std::uint8_t>(pdu.size());
    std::copy(pdu.begin(), pdu.end(), frame.begin() + kHead);
    return frame;
}

void set_exception(Reply& reply, int code) {
    reply.exception = code;
    reply.result = exception_result(code);
    reply.detail = "exception " + std::to_string(code) + ": " + exception_text(code);
}

void take_reply(const Request& request, const Bytes& frame, FrameKind framing, Reply& reply) {
    reply.response = frame;
    reply.result = PollResult::foreign_frame;
    const bool rtu = framing == FrameKind::rtu;
    const std::size_t start = rtu ? 0 : kTcpHeader - 1;
    const std::size_t tail = rtu ? 2 : 0;
    if (frame.size() < start + 3 + tail) {
        reply.detail = "the reply is too short";
        return;
    }
    if (!rtu && (frame[2] != 0 || frame[3] != 0 || frame[4] != 0 ||
                 frame.size() != kTcpHeader - 1 + std::size_t{frame[5]})) {
        reply.detail = "no Modbus TCP header, or the length in it is not the reply's";
        return;
    }
    const std::uint8_t address = frame[start];
    const std::uint8_t function = frame[start + 1];
    const auto asked = static_cast<std::uint8_t>(request.span.table);
    if (address != static_cast<std::uint8_t>(request.address)) {
        reply.detail = "address " + std::to_string(address) + " answered";
        return;
    }
    if (function == (asked | 0x80U)) {
        set_exception(reply, frame[start + 2]);
        return;
    }
    const std::size_t expected = data_bytes(request.span);
    if (function != asked || frame[start + 2] != expected ||
        frame.size() != start + 3 + expected + tail) {
        reply.detail = "a reply to another question: function " + std::to_string(function) + ", " +
                       std::to_string(frame[start + 2]) + " bytes instead of " +
                       std::to_string(expected);
        return;
    }
    const std::uint8_t* data = frame.data() + start + 3;
    for (int i = 0; i < request.span.count; ++i) {
        const auto k = static_cast<std::size_t>(i);
        if (is_bits(request.span.table)) {
            reply.words.push_back(static_cast<std::uint16_t>((data[k / 8] >> (k % 8)) & 1U));
        } else {
            reply.words.push_back(
                static_cast<std::uint16_t>((data[2 * k] << 8U) | data[2 * k + 1]));
        }
    }
    reply.result = PollResult::ok;
}

// Whether the bytes hold the whole frame that `owed` would have had, its refusal included.
bool holds_reply(const Bytes& heard, const Request& owed) {
    const auto address = static_cast<std::uint8_t>(owed.address);
    const auto function = static_cast<std::uint8_t>(owed.span.table);
    for (std::size_t i = 0; i + 5 <= heard.size(); ++i) {
        if (heard[i] != address) continue;
        std::size_t length = 0;
        if (heard[i + 1] == function && heard[i + 2] == data_bytes(owed.span)) {
            length = 5 + data_bytes(owed.span);
        } else if (heard[i + 1] == (function | 0x80U)) {
            length = 5;
        }
        // The checksum over a frame and its own checksum is 0.
        if (length > 0 && i + length <= heard.size() && crc16(heard.data() + i, length) == 0) {
            return true;
        }
    }
    return false;
}

}  // namespace gatehouse::modbus
