#include "drivers/modbus/serial.hpp"

#include <linux/serial.h>
#include <sys/ioctl.h>
#include <termios.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace gatehouse::modbus {
namespace {

// libmodbus 3.1.6 turns any other rate silently into 9600.
constexpr std::array kBauds{1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200};
constexpr std::array<speed_t, 8> kSpeeds{B1200,  B2400,  B4800,  B9600,
                                         B19200, B38400, B57600, B115200};

constexpr int kLowLatency = static_cast<int>(ASYNC_LOW_LATENCY);

std::string errno_text(int error) {
    return std::generic_category().message(error);
}

}  // namespace

std::string baud_problem(int baud) {
    if (std::find(kBauds.begin(), kBauds.end(), baud) != kBauds.end()) return "";
    return "baud " + std::to_string(baud) +
           " is not served; use 1200, 2400, 4800, 9600, 19200, 38400, 57600 or 115200";
}

std::string apply_line(int fd, const LineSettings& line) {
    const auto rate = std::find(kBauds.begin(), kBauds.end(), line.baud);
    if (rate == kBauds.end()) return baud_problem(line.baud);
    termios tios{};
    if (::tcgetattr(fd, &tios) != 0) return errno_text(errno);
    const speed_t speed = kSpeeds.at(static_cast<std::size_t>(rate - kBauds.begin()));
    (void)::cfsetispeed(&tios, speed);
    (void)::cfsetospeed(&tios, speed);
    tios.c_cflag &= ~static_cast<tcflag_t>(CSIZE | CSTOPB | PARENB | PARODD);
    tios.c_cflag |= line.data_bits == 7 ? CS7 : CS8;
    if (line.stop_bits == 2) tios.c_cflag |= CSTOPB;
    if (line.parity != Parity::none) tios.c_cflag |= PARENB;
    if (line.parity == Parity::odd) tios.c_cflag |= PARODD;
    tios.c_iflag &= ~static_cast<tcflag_t>(INPCK);
    if (line.parity != Parity::none) tios.c_iflag |= INPCK;
    if (::tcsetattr(fd, TCSADRAIN, &tios) != 0) return errno_text(errno);
    (void)::tcflush(fd, TCIFLUSH);
    return "";
}

// Without it some adapters hand over what they received every 16 ms only. A pseudo-terminal does
// not have it and works without. RS-485 settings of the kernel are another call and stay.
void ask_low_latency(int fd) {
    serial_struct serial{};
    if (::ioctl(fd, TIOCGSERIAL, &serial) != 0 || (serial.flags & kLowLatency) != 0) return;
    serial.flags |= kLowLatency;
    (void)::ioctl(fd, TIOCSSERIAL, &serial);
}

}  // namespace gatehouse::modbus
