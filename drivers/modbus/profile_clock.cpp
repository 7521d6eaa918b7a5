// The meter's calendar in its registers, and how a line is set up, as text.
#include <charconv>

#include "drivers/modbus/profile.hpp"

namespace gatehouse::modbus {
namespace {

enum Index : std::size_t { kYear, kMonth, kDay, kHour, kMinute, kSecond };

int from_bcd(int value) {
    int number = 0;
    int place = 1;
    for (int shift = 0; shift < 16; shift += 4, place *= 10) {
        const int digit = (value >> shift) & 0xF;
        if (digit > 9) return -1;
        number += digit * place;
    }
    return number;
}

int to_bcd(int value) {
    int digits = 0;
    for (int shift = 0; shift < 16; shift += 4, value /= 10) digits |= (value % 10) << shift;
    return digits;
}

int days_in(int year, int month) {
    constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : kDays[month - 1];
}

bool is_calendar(const MeterClock& clock) {
    if (clock.year < 1 || clock.year > 9'999 || clock.month < 1 || clock.month > 12) return false;
    return clock.day >= 1 && clock.day <= days_in(clock.year, clock.month) && clock.hour >= 0 &&
           clock.hour <= 23 && clock.minute >= 0 && clock.minute <= 59 && clock.second >= 0 &&
           clock.second <= 59;
}

std::string two(int number) {
    std::string text = std::to_string(number);
    return text.size() < 2 ? "0" + text : text;
}

bool valid_baud(int baud) {
    for (const int known : {300, 600, 1'200, 2'400, 4'800, 9'600, 19'200, 38'400, 57'600, 115'200})
        if (baud == known) return true;
    return false;
}

}  // namespace

std::string to_string(const MeterClock& clock) {
    std::string year = std::to_string(clock.year);
    while (year.size() < 4) year.insert(year.begin(), '0');
    return year + "-" + two(clock.month) + "-" + two(clock.day) + " " + two(clock.hour) + ":" +
           two(clock.minute) + ":" + two(clock.second);
}

std::optional<MeterClock> decode_clock(const ClockLayout& layout,
                                       const std::vector<std::uint16_t>& words) {
    std::array<int, 6> numbers{};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const auto& part = layout.parts[i];
        if (!part) continue;
        const auto at = static_cast<std::size_t>(part->at);
        if (at >= words.size()) return std::nullopt;
        int value = (words[at] >> part->shift) & ((1 << part->bits) - 1);
        if (layout.bcd) value = from_bcd(value);
        if (value < 0) return std::nullopt;
        numbers[i] = value / part->divide;
        if (numbers[i] < 100) numbers[i] += part->add;
    }
    const MeterClock clock{numbers[kYear], numbers[kMonth],  numbers[kDay],
                           numbers[kHour], numbers[kMinute], numbers[kSecond]};
    if (!is_calendar(clock)) return std::nullopt;
    return clock;
}

std::vector<std::uint16_t> encode_clock(const ClockLayout& layout, const MeterClock& clock) {
    std::vector<std::uint16_t> words(static_cast<std::size_t>(layout.span.count), 0);
    const std::array<int, 6> numbers{clock.year, clock.month,  clock.day,
                                     clock.hour, clock.minute, clock.second};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const auto& part = layout.parts[i];
        if (!part || static_cast<std::size_t>(part->at) >= words.size()) continue;
        int value = (numbers[i] - part->add) * part->divide;
        if (layout.bcd) value = to_bcd(value);
        const int mask = (1 << part->bits) - 1;
        std::uint16_t& word = words[static_cast<std::size_t>(part->at)];
        word = static_cast<std::uint16_t>(word | ((value & mask) << part->shift));
    }
    return words;
}

std::vector<RegisterWrite> clock_writes(const ClockLayout& layout, const MeterClock& clock) {
    std::vector<RegisterWrite> writes;
    if (!layout.write) return writes;
    const std::vector<std::uint16_t> words = encode_clock(layout, clock);
    if (layout.write->function == 16) {
        writes.push_back({16, layout.write->first, words});
        return writes;
    }
    for (std::size_t i = 0; i < words.size(); ++i) {
        // A register that holds no part (a day of the week) is left as it is.
        bool held = false;
        for (const auto& part : layout.parts)
            held = held || (part && part->at == static_cast<int>(i));
        if (held) writes.push_back({6, layout.write->first + static_cast<int>(i), {words[i]}});
    }
    return writes;
}

std::string to_string(const Framing& framing) {
    return std::to_string(framing.baud) + " " + std::to_string(framing.data_bits) + framing.parity +
           std::to_string(framing.stop_bits);
}

std::optional<Framing> parse_framing(std::string_view text) {
    Framing framing;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), framing.baud);
    if (error != std::errc{} || !valid_baud(framing.baud)) return std::nullopt;
    const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
    if (rest.size() != 4 || rest[0] != ' ') return std::nullopt;
    if (rest[1] != '8' && rest[1] != '7') return std::nullopt;
    if (rest[2] != 'N' && rest[2] != 'E' && rest[2] != 'O') return std::nullopt;
    if (rest[3] != '1' && rest[3] != '2') return std::nullopt;
    framing.data_bits = rest[1] - '0';
    framing.parity = rest[2];
    framing.stop_bits = rest[3] - '0';
    return framing;
}

}  // namespace gatehouse::modbus
