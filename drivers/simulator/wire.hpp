// The wire of one line: takes whole questions, waits as long as a real line would, and hands bytes
// back to the connection that asked. Used by line.cpp alone; the simulator's one thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "drivers/simulator/building.hpp"
#include "drivers/simulator/line.hpp"

namespace gatehouse::simulator {

// Where replies go. A connection that has ended drops them.
class Asker {
  public:
    virtual ~Asker() = default;
    virtual void send(const Bytes& bytes) = 0;
    // From here on nothing that is sent arrives.
    virtual void mute() = 0;
};

class Wire {
  public:
    Wire(boost::asio::io_context& context, Building& building, const LineSettings& settings,
         Line::Now now);
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    void ask(const std::shared_ptr<Asker>& asker, RequestFrame frame);
    void close();

  private:
    struct Question {
        std::weak_ptr<Asker> asker;
        RequestFrame frame;
    };
    struct Chunk {
        std::weak_ptr<Asker> asker;
        Bytes bytes;
        std::int64_t takes_us = 0;
    };
    struct Held {
        std::weak_ptr<Asker> asker;
        Bytes frame;
        int questions_left = 0;
        std::int64_t due_ms = 0;
    };

    void next();
    void reply();
    void release_late();
    void send_reply(const Question& question, const Answer& answer, Bytes frame);
    void send_other(const Question& question, const Answer& answer);
    void send_paced(std::weak_ptr<Asker> asker, Bytes frame, bool trickle = false);
    void send_chunk();
    void watch_late();
    [[nodiscard]] Bytes framed(std::uint16_t transaction, int unit, const Bytes& pdu);
    [[nodiscard]] std::int64_t wire_us(std::size_t bytes) const;

    Building& building_;
    LineSettings settings_;
    Line::Now now_;
    bool tcp_ = false;
    std::int64_t character_us_ = 0;  // behind a gateway: of the line there
    std::int64_t gap_us_ = 0;
    std::deque<Question> waiting_;
    std::vector<Held> held_;
    std::deque<Chunk> outgoing_;  // in wire order
    bool busy_ = false;
    bool closed_ = false;
    std::uint16_t own_transaction_ = 0;
    boost::asio::steady_timer timer_;
    boost::asio::steady_timer late_timer_;
};

}  // namespace gatehouse::simulator
