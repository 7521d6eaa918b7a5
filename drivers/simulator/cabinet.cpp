#include "drivers/simulator/cabinet.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <iterator>
#include <sstream>

namespace gatehouse::simulator {
namespace {

constexpr int kIllegalFunction = 1, kIllegalAddress = 2, kIllegalValue = 3;
constexpr std::size_t kRecordWords = 16, kWindowRecords = 7;
constexpr std::int64_t kHourMs = 3'600'000, kSeqs = std::int64_t{1} << 32;
// Codes of the log.
constexpr int kRemoved = 1, kReturned = 2, kUnknownTag = 4, kGranted = 16, kDenied = 17,
              kOpened = 33, kClosed = 34, kTamper = 48, kPower = 49, kBoot = 64, kClockSet = 65;
constexpr int kCard = 1, kUnknownCard = 1, kPowerLost = 1, kPowerRestored = 2;

std::uint16_t high(std::int64_t value) {
    return static_cast<std::uint16_t>((value >> 16) & 0xFFFF);
}
std::uint16_t low(std::int64_t value) {
    return static_cast<std::uint16_t>(value & 0xFFFF);
}
int word_of(const Bytes& pdu, std::size_t at) {
    return (pdu[at] << 8) | pdu[at + 1];
}

// "w34:012345678" as its number of bits and the bits; 0 where it is none.
std::uint64_t credential_of(const std::string& card) {
    const std::size_t colon = card.find(':');
    if (card.empty() || card[0] != 'w' || colon == std::string::npos) return 0;
    std::uint64_t bits = 0, value = 0;
    const auto [bits_end, bits_error] = std::from_chars(card.data() + 1, card.data() + colon, bits);
    const auto [end, error] =
        std::from_chars(card.data() + colon + 1, card.data() + card.size(), value, 16);
    if (bits_error != std::errc() || bits_end != card.data() + colon || bits < 1 || bits > 56 ||
        error != std::errc() || end != card.data() + card.size() || value >> bits != 0)
        return 0;
    return (bits << 56U) | value;
}

std::string utc_text(std::int64_t ms) {
    const std::time_t seconds = ms / 1000;
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    char text[40];
    const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    return std::string(text, size) + "." + std::to_string(1000 + ms % 1000).substr(1) + "Z";
}

std::vector<std::string> words_of(const std::string& text) {
    std::istringstream stream(text);
    return {std::istream_iterator<std::string>(stream), {}};
}

std::int64_t number_of(const std::string& text, std::int64_t wrong) {
    std::int64_t value = 0;
    const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
    const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? value : wrong;
}

}  // namespace

const char* cabinet_help() {
    return "cabinet ID badge CARD           a card that opens, such as w34:012345678\n"
           "cabinet ID deny CARD            a card that the cabinet does not know\n"
           "cabinet ID open | close         its door\n"
           "cabinet ID take SLOT [CARD]     the key leaves; of whoever badged last\n"
           "cabinet ID bring SLOT [CARD]    it comes back\n"
           "cabinet ID strange SLOT TAG     a tag that no key has hangs there\n"
           "cabinet ID visit SLOT CARD      badge, door, take or bring, door\n"
           "cabinet ID tamper on | off      its housing\n"
           "cabinet ID power off | on       it says nothing; then it starts anew\n"
           "cabinet ID swap                 another board in its place, which counts anew\n"
           "cabinet ID clock SECONDS        its clock is off by so much from now on\n"
           "cabinet ID flood N              N events in its log at once\n";
}

Cabinet::Cabinet(CabinetSpec spec, std::uint64_t seed, std::int64_t epoch_ms)
    : spec_(std::move(spec)), dice_(mix(seed, spec_.id)), epoch_ms_(epoch_ms) {
    next_seq_ = spec_.first_seq;
    acked_ = next_seq_ - 1;
    for (const auto& [slot, tag] : spec_.slots) present_[slot] = true;
    for (const CabinetAct& act : spec_.acts) due_.emplace(act.at_ms, act.what);
    if (spec_.visits_per_hour > 0) plan_visit(0);
}

std::int64_t Cabinet::device_ms(std::int64_t now_ms) const {
    return epoch_ms_ + now_ms + spec_.clock_off_ms;
}

std::int64_t Cabinet::oldest() const {
    return next_seq_ - static_cast<std::int64_t>(log_.size());
}

void Cabinet::log(int type, int place, int kind, int result, std::uint64_t credential,
                  std::uint64_t tag, std::int64_t now_ms) {
    if (!spec_.board) return;
    const std::int64_t at = device_ms(now_ms);
    Record record{high(next_seq_),
                  low(next_seq_),
                  high(at / 1'000),
                  low(at / 1'000),
                  static_cast<std::uint16_t>(at % 1'000),
                  static_cast<std::uint16_t>(type),
                  static_cast<std::uint16_t>(place),
                  static_cast<std::uint16_t>((kind << 8) | result)};
    for (const std::uint64_t quad : {credential, tag})
        for (int shift = 48; shift >= 0; shift -= 16)
            record.push_back(static_cast<std::uint16_t>((quad >> shift) & 0xFFFFU));
    log_.push_back(std::move(record));
    ++next_seq_;
    while (log_.size() > spec_.log_size) {
        log_.pop_front();
        if (oldest() > acked_ + 1) ++lost_;
    }
}

void Cabinet::tell(const char* what, int slot, const std::string& card, std::int64_t now_ms) {
    if (!on_truth_) return;
    std::string json = R"({"at":")" + utc_text(epoch_ms_ + now_ms) + R"(","cabinet":")" + spec_.id +
                       R"(","event":")" + what + '"';
    if (slot > 0) json += R"(,"slot":)" + std::to_string(slot);
    const auto person = std::find_if(spec_.people.begin(), spec_.people.end(),
                                     [&](const CabinetPerson& one) { return one.card == card; });
    if (person != spec_.people.end()) json += R"(,"person":")" + person->id + '"';
    if (!card.empty()) json += R"(,"card":")" + card + '"';
    if (spec_.board)
        json += R"(,"boot":)" + std::to_string(boot_) + R"(,"seq":)" + std::to_string(newest());
    on_truth_(json + "}");
}

std::string Cabinet::move_key(bool out, const std::vector<std::string>& words,
                              std::int64_t now_ms) {
    const int slot = static_cast<int>(number_of(words[1], 0));
    const auto found = present_.find(slot);
    if (found == present_.end()) return "the cabinet has no slot " + words[1];
    if (found->second != out) return "slot " + words[1] + (out ? " is empty" : " has its key");
    if (words.size() > 2) last_card_ = words[2];
    found->second = !out;
    bounces_until_[slot] = now_ms + spec_.bounce_ms;
    log(out ? kRemoved : kReturned, slot, last_card_.empty() ? 0 : kCard, 0,
        credential_of(last_card_), spec_.slots.at(slot), now_ms);
    tell(out ? "key.removed" : "key.returned", slot, last_card_, now_ms);
    return "";
}

std::string Cabinet::door(bool open, std::int64_t now_ms) {
    if (door_open_ == open) return open ? "the door is open" : "the door is shut";
    door_open_ = open;
    log(open ? kOpened : kClosed, 1, 0, 0, 0, 0, now_ms);
    tell(open ? "door.opened" : "door.closed", 0, "", now_ms);
    if (!open) last_card_.clear();
    return "";
}

std::string Cabinet::badge(bool granted, const std::vector<std::string>& words,
                           std::int64_t now_ms) {
    if (granted) last_card_ = words[1];
    log(granted ? kGranted : kDenied, 0, kCard, granted ? 0 : kUnknownCard, credential_of(words[1]),
        0, now_ms);
    tell(granted ? "access.granted" : "access.denied", 0, words[1], now_ms);
    return "";
}

// The board writes its last words from what its capacitors hold.
std::string Cabinet::power(bool on, std::int64_t now_ms) {
    if (powered_ == on) return on ? "it has power" : "it has no power";
    if (on) {
        ++boot_;
        log(kBoot, 0, 0, 0, 0, 0, now_ms);
    }
    log(kPower, 0, 0, on ? kPowerRestored : kPowerLost, 0, 0, now_ms);
    tell(on ? "power.restored" : "power.lost", 0, "", now_ms);
    powered_ = on;
    return "";
}

std::string Cabinet::act(const std::string& what, std::int64_t now_ms) {
    const std::vector<std::string> words = words_of(what);
    const std::string verb = words.empty() ? "" : words[0];
    const std::size_t count = words.size();
    if ((verb == "take" || verb == "bring") && (count == 2 || count == 3))
        return move_key(verb == "take", words, now_ms);
    if ((verb == "open" || verb == "close") && count == 1) return door(verb == "open", now_ms);
    if ((verb == "badge" || verb == "deny") && count == 2) {
        if (credential_of(words[1]) == 0) return "'" + words[1] + "' is no card like w34:012345678";
        return badge(verb == "badge", words, now_ms);
    }
    if (verb == "swap" && count == 1) {
        boot_ = next_seq_ = 1;
        acked_ = 0;
        lost_ = 0;
        log_.clear();
        log(kBoot, 0, 0, 0, 0, 0, now_ms);
        tell("boot", 0, "", now_ms);
        return "";
    }
    if (verb == "power" && count == 2) return power(words[1] == "on", now_ms);
    if (verb == "tamper" && count == 2) {
        housing_open_ = words[1] == "on";
        log(kTamper, 0, 0, housing_open_ ? 0 : 0x80, 0, 0, now_ms);
        tell(words[1] == "on" ? "tamper" : "tamper.end", 0, "", now_ms);
        return "";
    }
    if (verb == "strange" && count == 3) {
        std::uint64_t tag = 0;
        std::from_chars(words[2].data(), words[2].data() + words[2].size(), tag, 16);
        const int slot = static_cast<int>(number_of(words[1], 0));
        log(kUnknownTag, slot, 0, 0, 0, tag, now_ms);
        tell("key.unknown_tag", slot, "", now_ms);
        return "";
    }
    if (verb == "clock" && count == 2) {
        spec_.clock_off_ms = number_of(words[1], 0) * 1'000;
        return "";
    }
    if (verb == "flood" && count == 2) {
        for (std::int64_t i = number_of(words[1], 0); i > 0; --i) {
            log(kTamper, 0, 0, i % 2 == 0 ? 0 : 0x80, 0, 0, now_ms);
            tell("tamper", 0, "", now_ms);
        }
        return "";
    }
    if (verb == "visit" && count == 3) {
        const int slot = static_cast<int>(number_of(words[1], 0));
        if (!present_.contains(slot)) return "the cabinet has no slot " + words[1];
        const char* move = present_.at(slot) ? "take " : "bring ";
        due_.emplace(now_ms, "badge " + words[2]);
        due_.emplace(now_ms + 1'500, "open");
        due_.emplace(now_ms + 4'000, move + words[1] + " " + words[2]);
        due_.emplace(now_ms + 8'000, "close");
        return "";
    }
    return "'" + what + "' is nothing that a cabinet does; say help";
}

// About every mean time, from a half to one and a half of it: people queue before one door.
void Cabinet::plan_visit(std::int64_t from_ms) {
    const std::int64_t mean_ms = std::max<std::int64_t>(kHourMs / spec_.visits_per_hour, 10'000);
    const auto spread = static_cast<std::uint64_t>(mean_ms);
    due_.emplace(from_ms + mean_ms / 2 + static_cast<std::int64_t>(dice_.below(spread)), "");
}

void Cabinet::advance(std::int64_t now_ms) {
    while (!due_.empty() && due_.begin()->first <= now_ms) {
        const auto [at_ms, what] = *due_.begin();
        due_.erase(due_.begin());
        if (!what.empty()) {
            (void)act(what, at_ms);  // a script may be out of step with what people did
            continue;
        }
        plan_visit(at_ms);
        if (!powered_ || spec_.slots.empty() || spec_.people.empty()) continue;
        const auto& person = spec_.people[dice_.below(spec_.people.size())];
        const auto slot =
            std::next(spec_.slots.begin(), static_cast<long>(dice_.below(spec_.slots.size())));
        if (dice_.below(10) == 0)
            (void)act("deny w34:3FFFFFFFF", at_ms);
        else
            (void)act("visit " + std::to_string(slot->first) + " " + person.card, at_ms);
    }
}

bool Cabinet::contact(int slot, std::int64_t now_ms) {
    const auto found = present_.find(slot);
    if (found == present_.end()) return false;
    const auto bounces = bounces_until_.find(slot);
    if (bounces != bounces_until_.end() && now_ms < bounces->second) return dice_.below(2) == 0;
    return found->second;
}

bool Cabinet::bit_at(int address, std::int64_t now_ms, bool& value) {
    if (!spec_.board) {
        const auto input = static_cast<std::size_t>(address - spec_.first);
        if (address == spec_.door_input) {
            value = door_open_ != spec_.door_inverted;
            return true;
        }
        if (address < spec_.first || input >= spec_.inputs.size()) return false;
        value = contact(spec_.inputs[input], now_ms) != spec_.inverted[input];
        return true;
    }
    const int slots = spec_.slots.empty() ? 0 : spec_.slots.rbegin()->first;
    if (address <= slots) {
        const auto found = present_.find(address);
        value = found != present_.end() && found->second;
        return true;
    }
    value = address == 0x2002 || (address == 0x2000 && door_open_) ||
            (address == 0x2001 && housing_open_);
    return (address >= 0x1000 && address <= 0x1000 + slots) ||
           (address >= 0x2000 && address <= 0x2003);
}

Bytes Cabinet::read_bits(int first, int count, int function, std::int64_t now_ms) {
    if (count < 1 || count > 2'000) return exception_pdu(function, kIllegalValue);
    const auto size = static_cast<std::size_t>((count + 7) / 8);
    Bytes pdu{static_cast<std::uint8_t>(function), static_cast<std::uint8_t>(size)};
    pdu.resize(2 + size);
    for (int i = 0; i < count; ++i) {
        bool value = false;
        if (!bit_at(first + i, now_ms, value)) return exception_pdu(function, kIllegalAddress);
        std::uint8_t& byte = pdu[2 + static_cast<std::size_t>(i) / 8];
        if (value) byte = static_cast<std::uint8_t>(byte | (1U << (i % 8)));
    }
    return pdu;
}

bool Cabinet::word_at(int address, std::int64_t now_ms, std::uint16_t& value) const {
    const int slots = spec_.slots.empty() ? 0 : spec_.slots.rbegin()->first;
    const std::int64_t utc_s = device_ms(now_ms) / 1'000;
    const std::uint16_t head[]{0x4B43,
                               1,
                               static_cast<std::uint16_t>(slots),
                               1,
                               0,
                               high(boot_),
                               low(boot_),
                               high(utc_s),
                               low(utc_s),
                               2,
                               high(oldest()),
                               low(oldest()),
                               high(newest()),
                               low(newest()),
                               high(acked_),
                               low(acked_),
                               static_cast<std::uint16_t>(lost_)};
    if (address < static_cast<int>(std::size(head))) {
        value = head[address];
        return true;
    }
    const int in_window = address - 0x0100;
    if (in_window >= 0 && in_window < static_cast<int>(kWindowRecords * kRecordWords)) {
        const auto at = static_cast<std::size_t>(in_window);
        const std::int64_t skip = std::max<std::int64_t>(acked_ + 1 - oldest(), 0);
        const std::size_t index = static_cast<std::size_t>(skip) + at / kRecordWords;
        value = index < log_.size() ? log_[index][at % kRecordWords] : std::uint16_t{0};
        return true;
    }
    const int in_tags = address - 0x1000;
    if (in_tags < 0 || in_tags >= 4 * (slots + 1)) return false;
    const auto found = present_.find(in_tags / 4);
    const bool here = found != present_.end() && found->second;
    const std::uint64_t tag = here ? spec_.slots.at(in_tags / 4) : 0;
    value = static_cast<std::uint16_t>((tag >> (48 - 16 * (in_tags % 4))) & 0xFFFFU);
    return true;
}

Bytes Cabinet::read_registers(int first, int count, std::int64_t now_ms) {
    if (count < 1 || count > 125) return exception_pdu(4, kIllegalValue);
    Bytes pdu{4, static_cast<std::uint8_t>(2 * count)};
    for (int i = 0; i < count; ++i) {
        std::uint16_t value = 0;
        if (!word_at(first + i, now_ms, value)) return exception_pdu(4, kIllegalAddress);
        pdu.push_back(static_cast<std::uint8_t>(value >> 8U));
        pdu.push_back(static_cast<std::uint8_t>(value & 0xFFU));
    }
    return pdu;
}

Bytes Cabinet::write_registers(const Bytes& pdu, std::int64_t now_ms) {
    const int first = word_of(pdu, 1);
    const std::size_t count = (pdu.size() - 6) / 2;
    std::vector<std::int64_t> words;
    for (std::size_t i = 0; i < count; ++i) words.push_back(word_of(pdu, 6 + 2 * i));
    if (first == 0x0200 && count == 5) {
        const std::int64_t sum = (words[0] + words[1] + words[2] + words[3]) & 0xFFFF;
        const std::int64_t boot = (words[0] << 16) | words[1];
        std::int64_t seq = (words[2] << 16) | words[3];
        while (seq + kSeqs <= newest()) seq += kSeqs;
        if (sum != words[4] || boot != boot_ || seq > newest())
            return exception_pdu(16, kIllegalValue);
        if (seq > acked_) {
            acked_ = seq;
            lost_ = 0;
        }
        while (!log_.empty() && oldest() <= acked_) log_.pop_front();
    } else if (first == 0x0210 && count == 3) {
        const std::int64_t told_ms = ((words[0] << 16) | words[1]) * 1'000 + words[2];
        spec_.clock_off_ms = told_ms - epoch_ms_ - now_ms;
        log(kClockSet, 0, 0, 0, 0, 0, now_ms);
        tell("clock.set", 0, "", now_ms);
    } else {
        return exception_pdu(16, kIllegalAddress);
    }
    return {pdu.begin(), pdu.begin() + 5};
}

Bytes Cabinet::answer(const Bytes& pdu, std::int64_t now_ms) {
    advance(now_ms);
    if (!powered_ || pdu.empty()) return {};
    const int function = pdu[0];
    const bool reads = pdu.size() == 5;
    if (reads && function == (spec_.board ? 2 : spec_.function))
        return read_bits(word_of(pdu, 1), word_of(pdu, 3), function, now_ms);
    if (reads && function == 4 && spec_.board)
        return read_registers(word_of(pdu, 1), word_of(pdu, 3), now_ms);
    if (function == 16 && spec_.board && pdu.size() >= 8 &&
        pdu.size() == 6U + 2U * static_cast<std::size_t>(word_of(pdu, 3)))
        return write_registers(pdu, now_ms);
    return exception_pdu(function, kIllegalFunction);
}

}  // namespace gatehouse::simulator
