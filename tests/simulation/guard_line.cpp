#include "tests/simulation/guard_line.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace gatehouse::test {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kForgottenUs = 3'000'000;  // a reply that no further question calls out
constexpr std::size_t kDiaryMax = 60;

std::uint16_t checksum(const Bytes& bytes, std::size_t count) {
    std::uint16_t crc = 0xFFFF;
    for (std::size_t i = 0; i < count; ++i) {
        crc = static_cast<std::uint16_t>(crc ^ bytes[i]);
        for (int bit = 0; bit < 8; ++bit) {
            const bool carry = (crc & 1U) != 0;
            crc = static_cast<std::uint16_t>(crc >> 1U);
            if (carry) crc = static_cast<std::uint16_t>(crc ^ 0xA001U);
        }
    }
    return crc;
}

Bytes sealed(int address, const Bytes& pdu) {
    Bytes frame{static_cast<std::uint8_t>(address)};
    frame.insert(frame.end(), pdu.begin(), pdu.end());
    const std::uint16_t crc = checksum(frame, frame.size());
    frame.push_back(static_cast<std::uint8_t>(crc & 0xFFU));
    frame.push_back(static_cast<std::uint8_t>(crc >> 8U));
    return frame;
}

bool is_whole(const Bytes& frame) {
    if (frame.size() < 5) return false;
    const std::uint16_t crc = checksum(frame, frame.size() - 2);
    return frame[frame.size() - 2] == (crc & 0xFFU) && frame.back() == crc >> 8U;
}

void turn(Bytes& bytes, std::int64_t bit) {
    auto& byte = bytes[static_cast<std::size_t>(bit / 8)];
    byte = static_cast<std::uint8_t>(byte ^ (1U << static_cast<unsigned>(bit % 8)));
}

Bytes pdu_of(const Bytes& frame) {
    return {frame.begin() + 1, frame.end() - 2};
}

std::string hex(const Bytes& bytes) {
    static const char* const kDigits = "0123456789ABCDEF";
    std::string text;
    for (const std::uint8_t byte : bytes) {
        text += kDigits[byte >> 4U];
        text += kDigits[byte & 0xFU];
    }
    return text;
}

}  // namespace

const char* to_string(Way way) {
    static constexpr std::array kNames{"rtu", "rtu-tcp", "tcp", "tcp tid=no"};
    return kNames[static_cast<std::size_t>(way)];
}

const char* to_string(Ill ill) {
    static constexpr std::array kNames{
        "late by questions", "late by time",      "foreign frame", "duplicated",     "truncated",
        "bit error",         "request error",     "trickled",      "gateway damage", "payload flip",
        "gateway late",      "gateway duplicate", "gateway half"};
    static_assert(kNames.size() == kIlls);
    return kNames[static_cast<std::size_t>(ill)];
}

SickWire::SickWire(GuardWorld& world, std::uint64_t seed, std::int64_t timeout_us,
                   bool behind_gateway)
    : world_(world), dice_(seed), timeout_us_(timeout_us), behind_gateway_(behind_gateway) {
    // From faster than the next question can follow to a good part of the timeout.
    static constexpr std::array<std::int64_t, 4> kTurnarounds{300, 1'500, 4'000, 7'000};
    turnaround_us_ = kTurnarounds[static_cast<std::size_t>(dice_.below(4))];
}

bool SickWire::strikes(Ill ill, std::int64_t parts) {
    const bool struck = dice_.strikes(parts) && !healthy;
    if (struck) ++ills[static_cast<std::size_t>(ill)];
    return struck;
}

void SickWire::put(std::int64_t at_us, Bytes bytes, int questions) {
    Piece piece{at_us, questions, std::move(bytes)};
    const auto later = [&](const Piece& other) { return other.at_us > piece.at_us; };
    pieces_.insert(std::find_if(pieces_.begin(), pieces_.end(), later), std::move(piece));
}

Bytes SickWire::take(std::int64_t now_us) {
    if (pieces_.empty() || pieces_.front().at_us > now_us) return {};
    Bytes bytes = std::move(pieces_.front().bytes);
    pieces_.pop_front();
    return bytes;
}

std::int64_t SickWire::next_at() const {
    return pieces_.empty() ? kNever : pieces_.front().at_us;
}

void SickWire::ask(const Bytes& frame, std::int64_t now_us) {
    // Late replies that waited for this question come just before its answer.
    for (Piece& piece : pieces_) {
        if (piece.questions_left > 0 && --piece.questions_left == 0) piece.at_us = now_us;
    }
    std::stable_sort(pieces_.begin(), pieces_.end(),
                     [](const Piece& a, const Piece& b) { return a.at_us < b.at_us; });
    const std::int64_t at_us = now_us + turnaround_us_ + dice_.below(turnaround_us_);
    if (strikes(Ill::request_error, 500)) return;
    if (strikes(Ill::foreign, 500)) put_foreign(frame, at_us - 100);
    const Bytes pdu = world_.reply(frame[0], pdu_of(frame), now_us);
    if (pdu.empty()) return;
    answer(sealed(frame[0], pdu), at_us);
}

// Another station's reply, or another master's question and its reply; one time in four of this
// very station, and then of the same length.
void SickWire::put_foreign(const Bytes& request, std::int64_t at_us) {
    Bytes other = request;
    const bool same_station = dice_.below(4) == 0;
    if (!same_station) {
        do {
            other[0] = static_cast<std::uint8_t>(1 + dice_.below(7));
        } while (other[0] == request[0]);
    }
    if (same_station)
        other[3] = static_cast<std::uint8_t>(other[3] ^ (dice_.below(2) != 0 ? 2 : 100));
    Bytes pdu = world_.reply(other[0], pdu_of(other), at_us, /*asked=*/false);
    if (pdu.empty()) pdu = {request[1], 4, 0, 1, 2, 3};
    Bytes frame = sealed(other[0], pdu);
    if (dice_.below(2) == 0) {
        const Bytes question = sealed(other[0], pdu_of(other));
        frame.insert(frame.begin(), question.begin(), question.end());
    }
    put(at_us, std::move(frame));
}

void SickWire::answer(Bytes frame, std::int64_t at_us) {
    if (behind_gateway_ && strikes(Ill::gateway_damage, 100)) {
        // The gateway does not look: another address or function, and the checksum is right.
        turn(frame, dice_.below(16));
        frame = sealed(frame[0], pdu_of(frame));
    }
    if (strikes(Ill::bit_error, 500)) {
        const std::int64_t bits = static_cast<std::int64_t>(frame.size()) * 8;
        const std::int64_t errors = dice_.below(5) == 0 ? 2 + dice_.below(8) : 1;
        for (std::int64_t i = 0; i < errors; ++i) turn(frame, dice_.below(bits));
    }
    if (strikes(Ill::truncated, 300)) {
        frame.resize(
            1 + static_cast<std::size_t>(dice_.below(static_cast<std::int64_t>(frame.size()) - 1)));
    }
    if (strikes(Ill::late_by_questions, 500)) {
        put(at_us + kForgottenUs, std::move(frame), 1 + static_cast<int>(dice_.below(3)));
        return;
    }
    if (strikes(Ill::late_by_time, 500)) at_us += timeout_us_ + dice_.below(3 * timeout_us_);
    if (strikes(Ill::duplicated, 300)) {
        put(at_us + (dice_.below(2) == 0 ? 50 : dice_.below(2 * timeout_us_)), frame);
    }
    if (frame.size() > 3 && strikes(Ill::trickled, 300)) {
        for (std::size_t i = 0; i < frame.size(); i += 3) {
            const std::size_t end = std::min(i + 3, frame.size());
            put(at_us + static_cast<std::int64_t>(i) * 300,
                {frame.begin() + static_cast<std::ptrdiff_t>(i),
                 frame.begin() + static_cast<std::ptrdiff_t>(end)});
        }
        return;
    }
    put(at_us, std::move(frame));
}

GuardLine::GuardLine(std::string id, Way way, std::uint64_t seed, std::int64_t timeout_ms)
    : world(id, seed),
      id_(std::move(id)),
      way_(way),
      dice_(seed ^ 0x5EEDULL),
      silent_gateway_(dice_.below(2) == 0),
      flushing_gateway_(dice_.below(2) == 0),
      careless_gateway_(dice_.below(2) == 0),
      timeout_us_(timeout_ms * 1'000),
      // Behind a gateway it is the gateway's timeout that a reply is late for.
      wire_(world, seed ^ 0x317EULL,
            way == Way::tcp || way == Way::tcp_unnumbered ? timeout_us_ / 2 : timeout_us_,
            way == Way::tcp || way == Way::tcp_unnumbered) {
    if (way == Way::pty) {
        int slave = -1;
        std::array<char, 128> name{};
        termios raw{};
        ::cfmakeraw(&raw);
        if (::openpty(&master_, &slave, name.data(), &raw, nullptr) != 0) {
            throw std::runtime_error("no pseudo-terminal");
        }
        ::close(slave);
        device_ = name.data();
    } else {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in local{};
        local.sin_family = AF_INET;
        local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof local;
        auto* address = reinterpret_cast<sockaddr*>(&local);
        if (::bind(listener_, address, length) != 0 || ::listen(listener_, 4) != 0) {
            throw std::runtime_error("no port");
        }
        ::getsockname(listener_, address, &length);
        port_ = ntohs(local.sin_port);
    }
    thread_ = std::thread([this] { run(); });
}

GuardLine::~GuardLine() {
    stopping_ = true;
    thread_.join();
    if (master_ >= 0) ::close(master_);
    if (listener_ >= 0) ::close(listener_);
}

void GuardLine::note(const std::string& what) {
    diary.push_back(std::to_string(real_us() / 100 % 10'000'000) + " " + what);
    if (diary.size() > kDiaryMax) diary.pop_front();
}

void GuardLine::run() {
    if (way_ == Way::pty) {
        serve(master_);
        return;
    }
    while (!stopping_) {
        pollfd entry{listener_, POLLIN, 0};
        if (::poll(&entry, 1, 20) <= 0) continue;
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        const int on = 1;
        (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        serve(fd);
        ::close(fd);
        const std::lock_guard lock(mutex);
        note("the connection ended");
        waiting_.clear();
        outgoing_.clear();
    }
}

void GuardLine::serve(int fd) {
    fd_ = fd;
    Bytes pending;

    while (!stopping_) {
        std::int64_t next_us = real_us() + 20'000;
        {
            const std::lock_guard lock(mutex);
            next_us = std::min(next_us, wire_.next_at());
            for (const auto& [at_us, bytes] : outgoing_) next_us = std::min(next_us, at_us);
            if (!waiting_.empty()) next_us = std::min(next_us, waiting_.front().until_us);
        }
        const std::int64_t left_us = std::max<std::int64_t>(next_us - real_us(), 0);
        const timespec left{0, static_cast<long>(left_us * 1'000)};
        pollfd entry{fd, POLLIN, 0};
        const int ready = ::ppoll(&entry, 1, &left, nullptr);
        if (ready > 0) {
            std::array<std::uint8_t, 512> chunk{};
            const ssize_t got = ::read(fd, chunk.data(), chunk.size());
            if (got <= 0 && way_ != Way::pty) return;
            if (got <= 0) {  // nobody has the other end open
                const timespec pause{0, 5'000'000};
                ::nanosleep(&pause, nullptr);
                continue;
            }
            pending.insert(pending.end(), chunk.begin(), chunk.begin() + got);
        }
        const std::lock_guard lock(mutex);
        if (way_ == Way::tcp || way_ == Way::tcp_unnumbered) {
            take_tcp(pending);
            turn_gateway(real_us());
            continue;
        }
        take_rtu(pending);
        for (Bytes piece = wire_.take(real_us()); !piece.empty(); piece = wire_.take(real_us())) {
            say(piece);
        }
    }
}

void GuardLine::say(const Bytes& bytes) {
    note("<< " + hex(bytes));
    if (way_ == Way::pty) {
        (void)!::write(fd_, bytes.data(), bytes.size());
    } else {
        (void)::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
}

void GuardLine::take_rtu(Bytes& pending) {
    while (pending.size() >= 8) {
        const Bytes frame(pending.begin(), pending.begin() + 8);
        pending.erase(pending.begin(), pending.begin() + 8);
        ++questions_;
        note(">> " + hex(frame));
        if (is_whole(frame)) wire_.ask(frame, real_us());
    }
}

void GuardLine::take_tcp(Bytes& pending) {
    while (pending.size() >= 12) {
        const Bytes frame(pending.begin(), pending.begin() + 12);
        pending.erase(pending.begin(), pending.begin() + 12);
        ++questions_;
        note(">> " + hex(frame));
        waiting_.push_back(
            {{frame.begin(), frame.begin() + 7}, {frame.begin() + 7, frame.end()}, 0});
    }
}

// One question after another on the line behind it. What comes from the line while it waits is the
// answer if address and function fit; a flushing gateway forgets what came before it asked.
void GuardLine::turn_gateway(std::int64_t now_us) {
    while (!waiting_.empty()) {
        if (waiting_.front().until_us == 0) {
            while (flushing_gateway_ && !wire_.take(now_us).empty()) {
            }
            waiting_.front().until_us = now_us + timeout_us_ / 2;
            wire_.ask(sealed(waiting_.front().header[6], waiting_.front().pdu), now_us);
        }
        const Waiting asked = waiting_.front();
        const Bytes trouble{static_cast<std::uint8_t>(asked.pdu[0] | 0x80), 0x0B};
        const Bytes frame = wire_.take(now_us);
        if (frame.empty()) {
            if (asked.until_us > now_us) break;
            waiting_.pop_front();
            note(silent_gateway_ ? "the gateway gives up" : "the gateway says 0B");
            if (!silent_gateway_) gateway_answers(asked, trouble, asked.header[6], now_us);
            continue;
        }
        note("   behind: " + hex(frame));
        const bool fits =
            frame[0] == asked.header[6] && frame.size() > 1 && (frame[1] & 0x7F) == asked.pdu[0];
        if (is_whole(frame) && (fits || careless_gateway_)) {
            waiting_.pop_front();
            gateway_answers(asked, pdu_of(frame), frame[0], now_us);
        } else if (!is_whole(frame) && !silent_gateway_) {
            waiting_.pop_front();
            gateway_answers(asked, trouble, asked.header[6], now_us);
        }
    }
    for (const auto& [at_us, bytes] : outgoing_) {
        if (at_us <= now_us) say(bytes);
    }
    std::erase_if(outgoing_, [&](const auto& one) { return one.first <= now_us; });
}

// Where the gateway passes an answer on, under the number that it has in mind just then.
void GuardLine::gateway_answers(const Waiting& asked, Bytes pdu, int unit, std::int64_t now_us) {
    const Bytes question = sealed(asked.header[6], asked.pdu);
    const bool flip = last_flipped_ != question && pdu.size() > 2 && pdu[0] < 0x80 &&
                      strikes(Ill::payload_flip, 100);
    if (flip) {
        turn(pdu, 16 + dice_.below(static_cast<std::int64_t>(pdu.size() - 2) * 8));
        last_flipped_ = question;
    } else if (last_flipped_ == question) {
        last_flipped_.clear();
    }
    Bytes frame = asked.header;
    if (way_ == Way::tcp_unnumbered) {
        ++own_number_;
        frame[0] = static_cast<std::uint8_t>(own_number_ >> 8U);
        frame[1] = static_cast<std::uint8_t>(own_number_ & 0xFFU);
    }
    frame[4] = 0;
    frame[5] = static_cast<std::uint8_t>(pdu.size() + 1);
    frame[6] = static_cast<std::uint8_t>(unit);
    frame.insert(frame.end(), pdu.begin(), pdu.end());
    if (strikes(Ill::gateway_half, 100)) {
        frame.resize(
            1 + static_cast<std::size_t>(dice_.below(static_cast<std::int64_t>(frame.size()) - 1)));
    }
    if (strikes(Ill::gateway_late, 300)) {
        outgoing_.emplace_back(now_us + timeout_us_ / 2 + dice_.below(3 * timeout_us_), frame);
        return;
    }
    if (strikes(Ill::gateway_twice, 200)) {
        outgoing_.emplace_back(now_us + dice_.below(2 * timeout_us_), frame);
    }
    outgoing_.emplace_back(now_us, std::move(frame));
}

void GuardLine::heal() {
    const std::lock_guard lock(mutex);
    wire_.healthy = true;
}

bool GuardLine::strikes(Ill ill, std::int64_t parts) {
    return wire_.strikes(ill, parts);
}

}  // namespace gatehouse::test
