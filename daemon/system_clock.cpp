#include "daemon/system_clock.hpp"

#include <fcntl.h>
#include <linux/rtc.h>
#include <sodium.h>
#include <sys/ioctl.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "daemon/core/assert.hpp"

namespace gatehouse {
namespace {

std::int64_t read_clock(clockid_t id) {
    timespec now{};
    GH_ASSERT(clock_gettime(id, &now) == 0);
    return std::int64_t{now.tv_sec} * 1'000 + now.tv_nsec / 1'000'000;
}

bool in_container() {
    for (const char* path : {"/run/systemd/container", "/.dockerenv", "/run/.containerenv"})
        if (access(path, F_OK) == 0) return true;
    const char* kind = std::getenv("container");
    if (kind != nullptr && *kind != '\0') return true;
    // A container that nobody marked has some program as its first process and no init. Under the
    // unit's ProtectProc the first process cannot be seen, and there is systemd.
    std::ifstream first("/proc/1/comm");
    std::string name;
    if (!std::getline(first, name)) return false;
    for (const char* init : {"systemd", "init", "runit", "openrc-init", "s6-svscan", "dinit"})
        if (name == init) return false;
    return true;
}

std::optional<std::int64_t> rtc_seconds() {
    const int fd = open("/dev/rtc0", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return std::nullopt;
    rtc_time rtc{};
    const bool read = ioctl(fd, RTC_RD_TIME, &rtc) == 0;
    close(fd);
    if (!read) return std::nullopt;
    const LocalDate date{rtc.tm_year + 1900, rtc.tm_mon + 1, rtc.tm_mday};
    return days_since_epoch(date) * 86'400 + rtc.tm_hour * 3'600 + rtc.tm_min * 60 + rtc.tm_sec;
}

}  // namespace

MonoMs SystemClock::mono_ms() const { return read_clock(CLOCK_BOOTTIME); }
UtcMs SystemClock::wall_ms() const { return read_clock(CLOCK_REALTIME); }

SystemRandom::SystemRandom() { GH_ASSERT(sodium_init() >= 0); }
void SystemRandom::fill(void* bytes, std::size_t count) { randombytes_buf(bytes, count); }

std::optional<bool> system_clock_synchronised() {
    if (in_container()) return std::nullopt;
    timex state{};
    const int result = adjtimex(&state);
    if (result >= 0 && result != TIME_ERROR && (state.status & STA_UNSYNC) == 0) return true;
    // A sandbox may forbid adjtimex; timesyncd leaves this file once it has synchronised.
    if (result < 0 && access("/run/systemd/timesync/synchronized", F_OK) == 0) return true;
    const std::optional<std::int64_t> rtc = rtc_seconds();
    if (!rtc) return false;
    return std::llabs(*rtc - read_clock(CLOCK_REALTIME) / 1'000) <= 60;
}

}  // namespace gatehouse
