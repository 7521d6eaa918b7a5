#include "drivers/simulator/wire.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace gatehouse::simulator {
namespace {

constexpr std::size_t kChunkBytes = 16;  // about what the FIFO of a serial adapter hands on at once

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
void Wire::next() {
    if (closed_ || waiting_.empty()) {
        busy_ = false;
        return;
    }
    busy_ = true;
    const std::int64_t wait_us =
        wire_us(waiting_.front().frame.size) + settings_.turnaround_ms * 1000;
    timer_.expires_after(std::chrono::microseconds(wait_us));
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) {
            reply();
        }
    });
}

Bytes Wire::framed(const RequestFrame& question, const Answer& answer) {
    if (!tcp_) {
        Bytes frame = rtu_frame(answer.unit, answer.pdu);
        if (answer.bit_error) {
            turn_bit(frame, answer.which_bit);
        }
        return frame;
    }
    const bool echoed = building_.site().buses[settings_.bus].settings.transaction_id_echoed;
    const std::uint16_t transaction = echoed ? question.transaction : ++own_transaction_;
    return tcp_frame(transaction, answer.unit, answer.pdu);
}

void Wire::reply() {
    const Question question = std::move(waiting_.front());
    waiting_.pop_front();
    const Answer answer =
        building_.answer(settings_.bus, question.frame.unit, question.frame.pdu, now_());
    release_late();
    if (!answer.silent) {
        Bytes frame = framed(question.frame, answer);
        if (answer.late_by > 0) {
            held_.push_back(
                {question.asker, std::move(frame), answer.late_by, now_() + settings_.late_ms});
            watch_late();
        } else {
            send_paced(question.asker, std::move(frame));
        }
    }
    send_chunk();
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

void Wire::send_paced(std::weak_ptr<Asker> asker, Bytes frame) {
    if (character_us_ == 0) {
        outgoing_.emplace_back(std::move(asker), std::move(frame));
        return;
    }
    for (std::size_t at = 0; at < frame.size(); at += kChunkBytes) {
        const auto begin = frame.begin() + static_cast<std::ptrdiff_t>(at);
        const auto end =
            frame.begin() + static_cast<std::ptrdiff_t>(std::min(at + kChunkBytes, frame.size()));
        outgoing_.emplace_back(asker, Bytes(begin, end));
    }
}

// A chunk is handed over when its last byte has passed the wire.
void Wire::send_chunk() {
    if (closed_ || outgoing_.empty()) {
        next();
        return;
    }
    timer_.expires_after(std::chrono::microseconds(wire_us(outgoing_.front().second.size())));
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (error || outgoing_.empty()) {
            return;
        }
        if (const std::shared_ptr<Asker> asker = outgoing_.front().first.lock()) {
            asker->send(outgoing_.front().second);
        }
        outgoing_.pop_front();
        send_chunk();
    });
}

}  // namespace gatehouse::simulator
