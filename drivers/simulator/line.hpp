// One bus of the building as something to connect to: a port for Modbus TCP or RTU over TCP, or a
// pseudo-terminal under the name that the url gives. A line serves one question after another at
// the speed of its wire, and keeps late replies until their time has come. One thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "drivers/simulator/building.hpp"

namespace gatehouse::simulator {

inline constexpr std::size_t kConnectionsMax = 16;  // on one port; more are closed at once
inline constexpr std::size_t kQuestionsMax = 64;    // waiting on one line; more are lost

struct LineSettings {
    std::size_t bus = 0;
    std::string listen;              // address to bind; empty: the url's host
    int port = -1;                   // -1: the url's port; 0: a free one
    std::string link;                // empty: the url's device
    bool pace = true;                // bytes take their time where the line's speed is known
    std::int64_t turnaround_ms = 0;  // from the end of a question to the begin of its reply
    std::int64_t late_ms = 0;        // more than 0: late replies leave after that time instead
};

class Line {
  public:
    using Now = std::function<std::int64_t()>;  // milliseconds since the start
    virtual ~Line() = default;
    // Where it can be reached, for people and tests: "modbus+tcp 127.0.0.1:1502".
    [[nodiscard]] virtual std::string where() const = 0;
    // Closes everything; a pseudo-terminal's link is gone afterwards.
    virtual void close() = 0;
};

// Opens the bus, or says why it cannot; then the line is null.
struct OpenedLine {
    std::unique_ptr<Line> line;
    std::string problem;
};
[[nodiscard]] OpenedLine open_line(boost::asio::io_context& context, Building& building,
                                   const LineSettings& settings, const Line::Now& now);

}  // namespace gatehouse::simulator
