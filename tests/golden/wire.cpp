#include "tests/golden/wire.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace gatehouse::test {
namespace {

class Utc final : public Zone {
  public:
    [[nodiscard]] LocalTime local(UtcMs) const override { return {}; }
    [[nodiscard]] UtcMs midnight(LocalDate) const override { return 0; }
};

constexpr std::size_t kShownMax = 32;  // bytes of a longer frame are counted in its middle
constexpr std::size_t kShownEnds = 14;

std::string hex(const std::vector<std::uint8_t>& bytes) {
    static const char* const kDigits = "0123456789ABCDEF";
    const bool whole = bytes.size() <= kShownMax;
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (!whole && i >= kShownEnds && i < bytes.size() - kShownEnds) {
            text += " (" + std::to_string(bytes.size() - 2 * kShownEnds) + " more)";
            i = bytes.size() - kShownEnds;
        }
        if (!text.empty()) text += ' ';
        text += kDigits[bytes[i] >> 4U];
        text += kDigits[bytes[i] & 0xFU];
    }
    return text;
}

const char* word_for(VisitKind kind) {
    switch (kind) {
        case VisitKind::routine:
            return "poll";
        case VisitKind::confirming:
            return "second poll";
        case VisitKind::full:
            return "full reading";
    }
    return "";
}

}  // namespace

void GoldenWire::add(const std::string& id, int address,
                     std::shared_ptr<const modbus::Profile> profile, const std::string& serial) {
    gatehouse::Meter row;
    row.meter = id;
    row.service = profile->service;
    row.serial = serial;
    Meter meter;
    meter.terms = make_terms(row, profile->traits(), Utc{}).value();
    meter.plan = {id, address, 0, std::move(profile)};
    meters_.push_back(std::move(meter));
}

void GoldenWire::put(int address, RegisterTable table, int first,
                     std::vector<std::uint16_t> words) {
    for (std::size_t i = 0; i < words.size(); ++i) {
        words_[{address, {table, first + static_cast<int>(i)}}] = words[i];
    }
}

BusSetup GoldenWire::setup() const {
    BusSetup setup;
    setup.poll_interval_ms = settings_.poll_interval_ms;
    setup.response_timeout_ms = settings_.response_timeout_ms;
    setup.gateway = setup.transaction_numbers = settings_.transport == modbus::Transport::tcp;
    setup.reconnects = settings_.transport != modbus::Transport::rtu;
    modbus::BusSettings bus;
    bus.transport = settings_.transport;
    bus.baud = settings_.transport == modbus::Transport::rtu ? 9'600 : 0;
    setup.char_us = modbus::line_character_us(bus);
    for (const Meter& meter : meters_) {
        setup.meters.push_back(plan_meter(meter.plan));
    }
    return setup;
}

void GoldenWire::say(const std::string& what) {
    std::array<char, 24> at{};
    std::snprintf(at.data(), at.size(), "%9.3f s  ", static_cast<double>(now_) / 1'000.0);
    transcript_ += at.data() + what + "\n";
}

GoldenWire::Bytes GoldenWire::framed(int address, Bytes pdu) const {
    if (settings_.transport == modbus::Transport::tcp) {
        Bytes frame{static_cast<std::uint8_t>(transaction_ >> 8U),
                    static_cast<std::uint8_t>(transaction_ & 0xFFU),
                    0,
                    0,
                    0,
                    static_cast<std::uint8_t>(pdu.size() + 1),
                    static_cast<std::uint8_t>(address)};
        frame.insert(frame.end(), pdu.begin(), pdu.end());
        return frame;
    }
    pdu.insert(pdu.begin(), static_cast<std::uint8_t>(address));
    std::uint16_t crc = 0xFFFF;
    for (const std::uint8_t byte : pdu) {
        crc = static_cast<std::uint16_t>(crc ^ byte);
        for (int bit = 0; bit < 8; ++bit) {
            const bool carry = (crc & 1U) != 0;
            crc = static_cast<std::uint16_t>(crc >> 1U);
            if (carry) crc = static_cast<std::uint16_t>(crc ^ 0xA001U);
        }
    }
    pdu.push_back(static_cast<std::uint8_t>(crc & 0xFFU));
    pdu.push_back(static_cast<std::uint8_t>(crc >> 8U));
    return pdu;
}

GoldenWire::Bytes GoldenWire::request_of(const BusAction& action) const {
    const auto byte = [](int value) { return static_cast<std::uint8_t>(value & 0xFF); };
    return framed(action.address,
                  {byte(static_cast<int>(action.span.table)), byte(action.span.first >> 8),
                   byte(action.span.first), byte(action.span.count >> 8), byte(action.span.count)});
}

GoldenWire::Bytes GoldenWire::reply_of(const BusAction& action,
                                       std::vector<std::uint16_t>* words) const {
    const auto function = static_cast<std::uint8_t>(action.span.table);
    const bool refused = std::any_of(refused_.begin(), refused_.end(), [&](const auto& one) {
        return one.first == action.address && one.second.table == action.span.table &&
               one.second.first < action.span.end() && action.span.first < one.second.end();
    });
    if (refused) return framed(action.address, {static_cast<std::uint8_t>(function | 0x80U), 2});
    Bytes pdu{function, static_cast<std::uint8_t>(2 * action.span.count)};
    for (int i = 0; i < action.span.count; ++i) {
        const auto found =
            words_.find({action.address, {action.span.table, action.span.first + i}});
        const std::uint16_t word = found == words_.end() ? std::uint16_t{0} : found->second;
        words->push_back(word);
        pdu.push_back(static_cast<std::uint8_t>(word >> 8U));
        pdu.push_back(static_cast<std::uint8_t>(word & 0xFFU));
    }
    return framed(action.address, pdu);
}

void GoldenWire::run(std::map<int, Fate> fates, std::int64_t for_ms,
                     const std::function<void(int question)>& between) {
    fates_ = std::move(fates);
    BusMachine machine(setup(), 1, now_);
    BusEvent event = Woken{};
    const MonoMs end = now_ + for_ms;
    while (now_ < end) {
        const BusStep step = machine.resume(event, now_);
        for (const VisitEnd& one : step.ended) {
            const Wishes wishes = ended(one);
            if (wishes.identity) machine.identify(one.meter);
            if (!wishes.second) continue;
            wished_ = true;
            machine.poll_soon(one.meter);
        }
        if (step.action.kind == BusActionKind::read && between) between(question_ + 1);
        event = perform(step.action);
    }
}

BusEvent GoldenWire::perform(const BusAction& action) {
    switch (action.kind) {
        case BusActionKind::wait:
            if (std::exchange(wished_, false)) return Woken{};
            say("waits until " + std::to_string(action.until) + " ms");
            now_ = std::max(now_ + 1, action.until);
            return Woken{};
        case BusActionKind::connect:
            say("connects");
            transaction_ = 0;
            return Connected{};
        case BusActionKind::read:
            return read(action);
        case BusActionKind::listen: {
            say("is quiet for " + std::to_string(action.for_ms) + " ms");
            Listened heard;
            const MonoMs from = std::exchange(now_, now_ + action.for_ms);
            if (late_ && late_->first <= now_) {
                now_ = late_->first;
                say("<< " + hex(late_->second) + "  (late, dropped)");
                heard.bytes = late_->second.size();
                heard.last_byte_ms = late_->first - from;
                heard.owed_reply = true;
                late_.reset();
                now_ += 40;  // the silence after it
            }
            return heard;
        }
        case BusActionKind::drain:
            say("drops what lies there: nothing");
            return Drained{};
        case BusActionKind::close:
            say("closes the connection");
            return Closed{};
        case BusActionKind::job:
            break;
    }
    return Woken{};
}

BusEvent GoldenWire::read(const BusAction& action) {
    ++question_;
    ++transaction_;
    Meter& meter = meters_.at(static_cast<std::size_t>(action.meter));
    const auto found = fates_.find(question_);
    const Fate fate = found == fates_.end() ? Fate{} : found->second;
    say(">> " + hex(request_of(action)) +
        (action.proof ? "  (a proof: its length is its own)" : ""));
    std::vector<std::uint16_t> words;
    Bytes reply = reply_of(action, &words);
    ReadEnded ended;
    switch (fate.kind) {
        case Fate::Kind::silence:
        case Fate::Kind::late:
            if (fate.kind == Fate::Kind::late) late_ = {now_ + fate.number, reply};
            now_ += action.timeout_ms;
            say("no reply in " + std::to_string(action.timeout_ms) + " ms");
            ended.result = PollResult::timeout;
            ended.detail = "no reply in time";
            ended.busy_us = action.timeout_ms * 1'000;
            return ended;
        case Fate::Kind::lost:
            now_ += settings_.turnaround_ms;
            ended.result = PollResult::not_connected;
            ended.lost = ended.detail = "connection lost: Connection reset by peer";
            say(ended.lost);
            return ended;
        case Fate::Kind::exception:
            reply = framed(action.address,
                           {static_cast<std::uint8_t>(static_cast<int>(action.span.table) | 0x80),
                            static_cast<std::uint8_t>(fate.number)});
            break;
        case Fate::Kind::answered:
            break;
    }
    now_ += settings_.turnaround_ms;
    say("<< " + hex(reply));
    ended.turnaround_us = ended.busy_us = settings_.turnaround_ms * 1'000;
    const std::size_t function_at = settings_.transport == modbus::Transport::tcp ? 7 : 1;
    if ((reply[function_at] & 0x80U) != 0) {
        const int code = reply[function_at + 1];
        ended.result = code == 0x0B   ? PollResult::gateway_target
                       : code == 0x0A ? PollResult::gateway_path
                                      : PollResult::exception;
        ended.exception = code;
        ended.detail = "exception " + std::to_string(code);
        return ended;
    }
    ended.result = PollResult::ok;
    if (!action.proof) {
        meter.image.set(action.span, words);
        meter.read_at = now_;
    }
    return ended;
}

GoldenWire::Wishes GoldenWire::ended(const VisitEnd& end) {
    Meter& meter = meters_.at(static_cast<std::size_t>(end.meter));
    const modbus::Profile& profile = *meter.plan.profile;
    const std::string who = meter.plan.id + ": " + word_for(end.kind);
    if (end.result != PollResult::ok) {
        say(who + " failed, " + to_string(end.result) + ", " + end.detail +
            (end.offline ? "; held for offline" : ""));
        meter.image.clear();
        return {};
    }
    const modbus::Decoded billing = profile.decode(profile.billing, 0, meter.image);
    Sample sample;
    sample.meter = meter.plan.id;
    sample.at = {1, meter.read_at, 0};
    sample.register_value = billing.number;
    sample.raw = billing.raw;
    sample.confirming = end.kind == VisitKind::confirming;
    std::string text = who + " read " + modbus::format_rational(billing.number) + " " +
                       modbus::unit_of(profile.billing);
    if (end.identity) {
        const auto serial = profile.decode(modbus::Measurement::serial, 0, meter.image);
        if (serial.result == PollResult::ok) {
            sample.serial = serial.text;
            text += ", serial number " + serial.text;
        }
    }
    say(text);
    const Verdict verdict =
        judge(meter.state, sample, {1, meter.read_at, std::nullopt}, meter.terms);
    for (const Confirmed& one : verdict.confirmed) {
        say("   confirmed " + format(one.value.register_value));
    }
    if (verdict.opened) say(std::string("   quarantine: ") + to_string(verdict.opened->reason));
    if (!verdict.reason.empty()) say("   " + verdict.reason);
    const Wishes wishes{verdict.wants_second, meter.doubt.look(profile, 0, meter.image)};
    meter.image.clear();
    return wishes;
}

}  // namespace gatehouse::test
