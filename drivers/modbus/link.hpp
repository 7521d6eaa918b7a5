// The link: one connection to a bus, and one exchange on it at a time. Results are values; nothing
// here retries or decides. What libmodbus does and does not do is hidden in link.cpp, the only file
// that includes it. A link belongs to its bus thread; tests put a fake in its place.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/core/poll_plan.hpp"
#include "daemon/core/sample.hpp"

namespace gatehouse::modbus {

enum class Transport { tcp, rtu_over_tcp, rtu };
enum class Parity { none, even, odd };

// A bus url in its parts; main translates the configuration's.
struct BusSettings {
    Transport transport = Transport::tcp;
    std::string text;  // as given, for messages
    std::string host;  // tcp, rtu_over_tcp: a name or an address
    int port = 502;
    std::string device;  // rtu
    int baud = 9600;     // tcp, rtu_over_tcp: of the line behind the gateway; 0: not known
    Parity parity = Parity::none;
    int stop_bits = 1;
    int data_bits = 8;
    bool transaction_id_echoed = true;
    std::int64_t gap_ms = 0;  // least pause between transactions
    bool local_echo = false;
    bool dial_in = false;  // the gateway calls us: host and port are listened on
    friend bool operator==(const BusSettings&, const BusSettings&) = default;
};

// How bytes stand on a serial line.
struct LineSettings {
    int baud = 9600;
    Parity parity = Parity::none;
    int stop_bits = 1;
    int data_bits = 8;
    friend bool operator==(const LineSettings&, const LineSettings&) = default;
};

struct Request {
    int address = 1;
    RegisterSpan span;
    // To the first byte of the reply; the whole of it has that and the time of its bytes.
    std::int64_t timeout_ms = 1'000;
    // Silence before it on a line that the link was not told the speed of; RTU frames alone.
    std::int64_t gap_us = 0;
};
// What is ever written to a device: its clock, by command (clock_job.hpp), and to a key cabinet up
// to where its log was committed (drivers/cabinet).
struct WriteRequest {
    int address = 1;
    int function = 16;  // 6: one register; 16: several
    int first = 0;
    std::vector<std::uint16_t> words;
    std::int64_t timeout_ms = 1'000;
};
struct Heard {
    std::size_t bytes = 0;
    std::int64_t last_byte_ms = 0;  // after the start of listening
    bool owed_reply = false;        // the frame that `owed` would have had
    std::string lost;
};
struct Reply {
    PollResult result = PollResult::timeout;
    std::vector<std::uint16_t> words;    // bits: one word each, 0 or 1
    int exception = 0;                   // Modbus exception code where result says so
    std::string detail;                  // one line for a person where it failed
    std::string lost;                    // not empty: the connection broke
    std::vector<std::uint8_t> request;   // bytes as they went out
    std::vector<std::uint8_t> response;  // bytes as they came, as far as they are known
    std::int64_t busy_us = 0;            // from the request to the end of the reply
    std::int64_t turnaround_us = 0;      // without the wire time of request and reply
    Heard after;                         // where a job asked to listen on: what followed
};

class Link {
  public:
    virtual ~Link() = default;
    // Empty on success, else why not, in one line. Takes at most `timeout_ms`.
    [[nodiscard]] virtual std::string connect(std::int64_t timeout_ms) = 0;
    virtual void close() = 0;
    [[nodiscard]] virtual Reply exchange(const Request& request) = 0;
    // Ok where the device confirmed it word for word.
    [[nodiscard]] virtual Reply write(const WriteRequest& request);
    // Reads and drops whatever comes for that long; 0 drops what is there and returns.
    [[nodiscard]] virtual Heard listen(std::int64_t for_ms, const Request& owed) = 0;
    // Other settings for a serial line that is open. Empty on success, else why not, in one line.
    [[nodiscard]] virtual std::string set_line(const LineSettings& line);
    // From any thread: a listen() that is under way, or the next one, returns at once.
    virtual void wake() {}
};

using LinkFactory = std::function<std::unique_ptr<Link>(const BusSettings&)>;
[[nodiscard]] std::unique_ptr<Link> make_link(const BusSettings& settings);

// Time of one character on this bus; 0 where no line's speed is known.
[[nodiscard]] std::int64_t line_character_us(const BusSettings& settings);

}  // namespace gatehouse::modbus
