#include "drivers/simulator/wire.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace gatehouse::simulator {
namespace {

constexpr std::size_t kChunkBytes = 16;  // about what the FIFO of a serial adapter hands on at once
constexpr std::int64_t kTrickleUs = 3'000;
constexpr std::size_t kTcpOverhead = 4;  // bytes of a TCP frame that a line does not carry

}  // namespace

Wire::Wire(boost::asio::io_context& context, Building& building, const LineSettings& settings,
           Line::Now now)
    : building_(building),
      settings_(settings),
      now_(std::move(now)),
      timer_(context),
      late_timer_(context) {
    const BusSpec& bus = building_.site().buses[settings_.bus];
    tcp_ = bus.settings.transport == modbus::Transport::tcp;
    character_us_ = settings_.pace ? bus.character_us() : 0;
    gap_us_ = tcp_ ? frame_gap_us(bus.settings.baud, character_us_) : 0;
}

std::int64_t Wire::wire_us(std::size_t bytes) const {
    return character_us_ * static_cast<std::int64_t>(bytes);
}

void Wire::ask(const std::shared_ptr<Asker>& asker, RequestFrame frame) {
    if (closed_ || waiting_.size() >= kQuestionsMax) {
        return;
    }
    waiting_.push_back({asker, std::move(frame)});
    if (!busy_) {
        next();
    }
}

void Wire::close() {
    closed_ = true;
    timer_.cancel();
    late_timer_.cancel();
    waiting_.clear();
    held_.clear();
    outgoing_.clear();
}

// The question itself takes time on the line: a pseudo-terminal and a socket hand it over at once.
// A gateway keeps the silence before it, where a master on the line itself keeps it.
void Wire::next() {
    if (closed_ || waiting_.empty()) {
        busy_ = false;
        return;
    }
    busy_ = true;
    const std::size_t bytes = waiting_.front().frame.size - (tcp_ ? kTcpOverhead : 0);
    const std::int64_t wait_us = gap_us_ + wire_us(bytes) + settings_.turnaround_ms * 1000;
    timer_.expires_after(std::chrono::microseconds(wait_us));
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) {
            reply();
        }
    });
}

Bytes Wire::framed(std::uint16_t transaction, int unit, const Bytes& pdu) {
    if (!tcp_) {
        return rtu_frame(unit, pdu);
    }
    const bool echoed = building_.site().buses[settings_.bus].settings.transaction_id_echoed;
    return tcp_frame(echoed ? transaction : ++own_transaction_, unit, pdu);
}

void Wire::reply() {
    const Question question = std::move(waiting_.front());
    waiting_.pop_front();
    const Answer answer =
        building_.answer(settings_.bus, question.frame.unit, question.frame.pdu, now_());
    release_late();
    if (!answer.silent) {
        Bytes frame = framed(question.frame.transaction, answer.unit, answer.pdu);
        if (answer.bit_error) {
            turn_bit(frame, answer.which_bit);
        }
        if (answer.cut) {
            frame.resize(1 + static_cast<std::size_t>(*answer.cut % (frame.size() - 1)));
        }
        if (answer.mute) {
            if (const std::shared_ptr<Asker> asker = question.asker.lock()) {
                asker->mute();
            }
        }
        if (answer.late_by > 0) {
            held_.push_back(
                {question.asker, std::move(frame), answer.late_by, now_() + settings_.late_ms});
            watch_late();
        } else {
            send_reply(question, answer, std::move(frame));
        }
    }
    send_chunk();
}

// One reply with all that is said before it and after it.
void Wire::send_reply(const Question& question, const Answer& answer, Bytes frame) {
    if (answer.delay_ms > 0) {
        outgoing_.push_back({question.asker, {}, answer.delay_ms * 1000});
    }
    if (answer.echo) {
        send_paced(question.asker, rtu_frame(question.frame.unit, question.frame.pdu));
    }
    send_other(question, answer);
    if (answer.twice) {
        send_paced(question.asker, frame, answer.trickle);
    }
    send_paced(question.asker, std::move(frame), answer.trickle);
}

void Wire::send_other(const Question& question, const Answer& answer) {
    if (answer.other_reply.empty()) {
        return;
    }
    // On TCP under the number of half the number space away, which nobody waits for.
    const auto number = static_cast<std::uint16_t>(question.frame.transaction ^ 0x8000U);
    Bytes said = framed(number, answer.other_unit, answer.other_reply);
    if (!answer.other_question.empty()) {
        const Bytes asked = rtu_frame(answer.other_unit, answer.other_question);
        said.insert(said.begin(), asked.begin(), asked.end());
    }
    send_paced(question.asker, std::move(said));
}

// A reply that is late by questions comes before the answer to the last of them, where it hurts.
void Wire::release_late() {
    if (settings_.late_ms > 0) {
        return;
    }
    for (Held& held : held_) {
        if (--held.questions_left <= 0) {
            send_paced(held.asker, std::move(held.frame));
        }
    }
    std::erase_if(held_, [](const Held& held) { return held.questions_left <= 0; });
}

void Wire::watch_late() {
    if (settings_.late_ms <= 0 || held_.empty()) {
        return;
    }
    const std::int64_t wait_ms = std::max<std::int64_t>(0, held_.front().due_ms - now_());
    late_timer_.expires_after(std::chrono::milliseconds(wait_ms));
    late_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error || held_.empty()) {
            return;
        }
        // It leaves at once, whoever else speaks: the line does not know that somebody waits.
        if (const std::shared_ptr<Asker> asker = held_.front().asker.lock()) {
            asker->send(held_.front().frame);
        }
        held_.erase(held_.begin());
        watch_late();
    });
}

void Wire::send_paced(std::weak_ptr<Asker> asker, Bytes frame, bool trickle) {
    // A gateway hands its reply over when the last byte has passed the line behind it.
    if (!trickle && (character_us_ == 0 || tcp_)) {
        const std::size_t bytes = frame.size() - std::min(frame.size(), tcp_ ? kTcpOverhead : 0);
        outgoing_.push_back({std::move(asker), std::move(frame), wire_us(bytes)});
        return;
    }
    const std::size_t size = trickle ? 1 : kChunkBytes;
    for (std::size_t at = 0; at < frame.size(); at += size) {
        const auto begin = frame.begin() + static_cast<std::ptrdiff_t>(at);
        const auto end =
            frame.begin() + static_cast<std::ptrdiff_t>(std::min(at + size, frame.size()));
        Bytes bytes(begin, end);
        const std::int64_t takes_us = wire_us(bytes.size()) + (trickle ? kTrickleUs : 0);
        outgoing_.push_back({asker, std::move(bytes), takes_us});
    }
}

// A chunk is handed over when its last byte has passed the wire.
void Wire::send_chunk() {
    if (closed_ || outgoing_.empty()) {
        next();
        return;
    }
    timer_.expires_after(std::chrono::microseconds(outgoing_.front().takes_us));
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (error || outgoing_.empty()) {
            return;
        }
        const std::shared_ptr<Asker> asker = outgoing_.front().asker.lock();
        if (asker && !outgoing_.front().bytes.empty()) {
            asker->send(outgoing_.front().bytes);
        }
        outgoing_.pop_front();
        send_chunk();
    });
}

}  // namespace gatehouse::simulator
