// The control port: one command a line on loopback, for tests and for people who want to see what
// happens. Every command is answered by lines of its own and a last one, `ok` or `error: ...`.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "drivers/simulator/building.hpp"

namespace gatehouse::simulator {

inline constexpr std::size_t kCommandBytesMax = 1024;
inline constexpr std::size_t kControllersMax = 8;

// One command and what it answers, without a connection.
[[nodiscard]] std::string run_command(Building& building, const std::string& line,
                                      std::int64_t now_ms);
[[nodiscard]] const char* command_help();
// One line of the truth file, without the time.
[[nodiscard]] std::string truth_json(const Truth& truth);

class Control {
  public:
    using Now = std::function<std::int64_t()>;
    Control(boost::asio::io_context& context, Building& building, Now now);
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;
    // Empty on success. Port 0 takes a free one.
    [[nodiscard]] std::string open(int port);
    [[nodiscard]] int port() const;
    void close();

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace gatehouse::simulator
