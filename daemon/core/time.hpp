// Time as a value: two clocks, what a stored row remembers of them, and the local calendar. Core
// never asks for the time; it is handed `now`. Pure, but for the Clock seam that shells implement.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse {

using MonoMs = std::int64_t;  // CLOCK_BOOTTIME since boot, milliseconds: timeouts and order
using UtcMs = std::int64_t;   // milliseconds since 1970-01-01T00:00:00Z: the books

// What every stored row carries and nobody rewrites: the run (one life of the process, its row
// id in the table `run`), its monotonic time and the wall clock as seen then.
struct Stamp {
    std::int64_t run = 0;
    MonoMs mono_ms = 0;
    UtcMs wall_ms = 0;
    friend auto operator<=>(const Stamp&, const Stamp&) = default;
};

// The seam to the machine's clocks. The system's implementation stands in daemon/main.cpp's
// neighbour system_clock.cpp; tests and the simulation drive a fake one. Any thread.
class Clock {
  public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual MonoMs mono_ms() const = 0;
    [[nodiscard]] virtual UtcMs wall_ms() const = 0;
};

// The seam to randomness: ids, salts, keys, jitter. Any thread.
class Random {
  public:
    virtual ~Random() = default;
    virtual void fill(void* bytes, std::size_t count) = 0;
    [[nodiscard]] std::uint64_t next_u64() {
        std::uint64_t value = 0;
        fill(&value, sizeof value);
        return value;
    }
};

// A civil date. Years 1970 to 9999.
struct LocalDate {
    int year = 1970;
    int month = 1;
    int day = 1;
    friend auto operator<=>(const LocalDate&, const LocalDate&) = default;
};
[[nodiscard]] std::int64_t days_since_epoch(LocalDate date);  // proleptic Gregorian
[[nodiscard]] LocalDate date_from_days(std::int64_t days);
[[nodiscard]] std::string format_date(LocalDate date);                     // 2026-11-23
[[nodiscard]] std::optional<LocalDate> parse_date(std::string_view text);  // strict
[[nodiscard]] int days_in_month(int year, int month);
// A month "2026-11" as its first day; nothing where it is none. And the first day of the next one.
[[nodiscard]] std::optional<LocalDate> parse_month(std::string_view text);
[[nodiscard]] LocalDate next_month(LocalDate month);

struct LocalTime {
    LocalDate date;
    int ms_of_day = 0;       // wall milliseconds since local midnight, 0 to 86 399 999
    int offset_minutes = 0;  // of UTC
};

// The site's IANA zone. core defines the seam; engine/zone.cpp implements it over Howard Hinnant's
// date. Immutable after construction, any thread.
class Zone {
  public:
    virtual ~Zone() = default;
    [[nodiscard]] virtual LocalTime local(UtcMs at) const = 0;
    // The first instant of that local day (where midnight does not exist, the first that does).
    [[nodiscard]] virtual UtcMs midnight(LocalDate date) const = 0;
};

[[nodiscard]] std::string format_iso8601(UtcMs at, const Zone& zone);  // 2026-11-23T20:15:00+08:00
// ISO 8601 with offset or Z, or a local date or date-time without one (then of the zone).
[[nodiscard]] std::optional<UtcMs> parse_iso8601(std::string_view text, const Zone& zone);

}  // namespace gatehouse
