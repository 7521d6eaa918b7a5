// Serial ports of the link: which rates are served, settings of an open port, and low latency.
// Knows no Modbus. Used by link.cpp on the bus thread.
#pragma once

#include <string>

#include "drivers/modbus/link.hpp"

namespace gatehouse::modbus {

// Empty where the rate is served.
[[nodiscard]] std::string baud_problem(int baud);
// Changes speed and framing of an open port and drops what it had received; the rest of its
// settings stays. Empty on success, else the system's reason.
[[nodiscard]] std::string apply_line(int fd, const LineSettings& line);
// Asks the driver to hand over received bytes at once. Never fails: not every port has it.
void ask_low_latency(int fd);

}  // namespace gatehouse::modbus
