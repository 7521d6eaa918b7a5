#include "drivers/simulator/frames.hpp"

namespace gatehouse::simulator {
namespace {

constexpr std::size_t kTcpHeader = 7;
constexpr std::size_t kPduMax = 253;

std::uint16_t word_at(std::span<const std::uint8_t> bytes, std::size_t at) {
    return static_cast<std::uint16_t>((bytes[at] << 8U) | bytes[at + 1]);
}

}  // namespace

std::uint16_t crc16(std::span<const std::uint8_t> bytes) {
    std::uint16_t crc = 0xFFFF;
    for (const std::uint8_t byte : bytes) {
        crc = static_cast<std::uint16_t>(crc ^ byte);
        for (int bit = 0; bit < 8; ++bit) {
            const bool odd = (crc & 1U) != 0;
            crc = static_cast<std::uint16_t>(crc >> 1U);
            if (odd) {
                crc = static_cast<std::uint16_t>(crc ^ 0xA001U);
            }
        }
    }
    return crc;
}

// RTU has no length field: the function code tells how long a request is.
Parsed parse_rtu(std::span<const std::uint8_t> stream) {
    if (stream.size() < 2) {
        return {};
    }
    std::size_t size = 0;
    const std::uint8_t function = stream[1];
    if (function >= 1 && function <= 6) {
        size = 8;
    } else if (function == 15 || function == 16) {
        if (stream.size() < 7) {
            return {};
        }
        size = 9U + stream[6];
    } else if (function == 7 || function == 11 || function == 12 || function == 17) {
        size = 4;
    } else {
        return {Parsed::State::broken, {}};
    }
    if (stream.size() < size) {
        return {};
    }
    const std::uint16_t crc = crc16(stream.first(size - 2));
    if (stream[size - 2] != (crc & 0xFFU) || stream[size - 1] != (crc >> 8U)) {
        return {Parsed::State::broken, {}};
    }
    Parsed parsed{Parsed::State::complete, {}};
    parsed.frame.unit = stream[0];
    parsed.frame.pdu.assign(stream.begin() + 1, stream.begin() + static_cast<long>(size) - 2);
    parsed.frame.size = size;
    return parsed;
}

Parsed parse_tcp(std::span<const std::uint8_t> stream) {
    if (stream.size() < kTcpHeader) {
        return {};
    }
    const std::size_t length = word_at(stream, 4);
    if (word_at(stream, 2) != 0 || length < 2 || length > kPduMax + 1) {
        return {Parsed::State::broken, {}};
    }
    const std::size_t size = kTcpHeader - 1 + length;
    if (stream.size() < size) {
        return {};
    }
    Parsed parsed{Parsed::State::complete, {}};
    parsed.frame.transaction = word_at(stream, 0);
    parsed.frame.unit = stream[6];
    parsed.frame.pdu.assign(stream.begin() + kTcpHeader, stream.begin() + static_cast<long>(size));
    parsed.frame.size = size;
    return parsed;
}

Bytes rtu_frame(int unit, const Bytes& pdu) {
    Bytes frame{static_cast<std::uint8_t>(unit)};
    frame.insert(frame.end(), pdu.begin(), pdu.end());
    const std::uint16_t crc = crc16(frame);
    frame.push_back(static_cast<std::uint8_t>(crc & 0xFFU));
    frame.push_back(static_cast<std::uint8_t>(crc >> 8U));
    return frame;
}

Bytes tcp_frame(std::uint16_t transaction, int unit, const Bytes& pdu) {
    const std::size_t length = pdu.size() + 1;
    Bytes frame{static_cast<std::uint8_t>(transaction >> 8U),
                static_cast<std::uint8_t>(transaction & 0xFFU),
                0,
                0,
                static_cast<std::uint8_t>(length >> 8U),
                static_cast<std::uint8_t>(length & 0xFFU),
                static_cast<std::uint8_t>(unit)};
    frame.insert(frame.end(), pdu.begin(), pdu.end());
    return frame;
}

Bytes exception_pdu(int function, int code) {
    return {static_cast<std::uint8_t>(function | 0x80), static_cast<std::uint8_t>(code)};
}

void turn_bit(Bytes& frame, std::uint64_t which) {
    const std::uint64_t bit = which % (frame.size() * 8);
    std::uint8_t& byte = frame[static_cast<std::size_t>(bit / 8)];
    byte = static_cast<std::uint8_t>(byte ^ (1U << (bit % 8)));
}

}  // namespace gatehouse::simulator
