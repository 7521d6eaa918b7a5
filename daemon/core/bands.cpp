#include "daemon/core/bands.hpp"

#include <algorithm>

#include "daemon/core/tariff.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kMinuteMs = 60'000, kDayMs = 86'400'000;
constexpr int kDayMinutes = 1440;

bool holds_on(const Band& band, const Interval& when) {
    return holds_in(band.months, when.day.month) &&
           (band.days == BandDays::all || band.days == when.kind);
}

// Wall milliseconds since 1970 as if the zone had no offset.
std::int64_t wall_ms(const LocalTime& local) {
    return days_since_epoch(local.date) * kDayMs + local.ms_of_day;
}

}  // namespace

Interval interval_at(UtcMs at, const Calendar& calendar, const Zone& zone, int persons) {
    const LocalTime local = zone.local(at);
    return {local.date, static_cast<int>(local.ms_of_day / kMinuteMs), calendar.kind(local.date),
            persons};
}

const Band* band_at(const TariffVersion& version, const Interval& when) {
    for (const Band& band : version.bands) {
        if (!holds_on(band, when)) continue;
        const bool passes = band.to_minute <= band.from_minute;
        const bool after = when.minute >= band.from_minute;
        const bool before = when.minute < band.to_minute;
        if (passes ? after || before : after && before) return &band;
    }
    return nullptr;
}

std::vector<UtcMs> band_edges(const Tariff& tariff, LocalDate day, const Calendar& calendar,
                              const Zone& zone) {
    std::vector<UtcMs> edges;
    const TariffVersion* version = version_on(tariff, day);
    if (version == nullptr || version->bands.empty()) return edges;
    Interval when{day, 0, calendar.kind(day), 0};
    std::vector<int> minutes;
    for (const Band& band : version->bands) {
        if (!holds_on(band, when)) continue;
        minutes.push_back(band.from_minute % kDayMinutes);
        minutes.push_back(band.to_minute % kDayMinutes);
    }
    std::sort(minutes.begin(), minutes.end());
    minutes.erase(std::unique(minutes.begin(), minutes.end()), minutes.end());
    for (const int minute : minutes) {
        if (minute == 0) continue;
        when.minute = minute - 1;
        const Band* before = band_at(*version, when);
        when.minute = minute;
        const Band* after = band_at(*version, when);
        const bool same = before != nullptr && after != nullptr && before->name == after->name;
        if (!same) edges.push_back(instant_of(day, minute, zone));
    }
    std::sort(edges.begin(), edges.end());
    edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
    return edges;
}

bool has_bands(const Tariff& tariff) {
    return std::any_of(tariff.versions.begin(), tariff.versions.end(),
                       [](const TariffVersion& version) { return !version.bands.empty(); });
}

bool tells_days_apart(const Tariff& tariff) {
    return std::any_of(
        tariff.versions.begin(), tariff.versions.end(), [](const TariffVersion& version) {
            return std::any_of(version.bands.begin(), version.bands.end(),
                               [](const Band& band) { return band.days != BandDays::all; });
        });
}

UtcMs instant_of(LocalDate day, int minute, const Zone& zone) {
    const UtcMs midnight = zone.midnight(day);
    const std::int64_t wanted = days_since_epoch(day) * kDayMs + minute * kMinuteMs;
    const auto reached = [&](UtcMs at) { return wall_ms(zone.local(at)) >= wanted; };
    const UtcMs straight = midnight + minute * kMinuteMs;
    if (wall_ms(zone.local(straight)) == wanted) return straight;
    // The clock was put forward or back since midnight. A shift is a whole number of minutes.
    const std::int64_t shift = wall_ms(zone.local(straight)) - wanted;
    const UtcMs shifted = straight - shift;
    if (wall_ms(zone.local(shifted)) == wanted) return shifted;
    // The minute is skipped: the clock passes it between the two.
    UtcMs low = std::min(straight, shifted);
    UtcMs high = std::max(straight, shifted);
    while (high - low > 1) {
        const UtcMs middle = low + (high - low) / 2;
        (reached(middle) ? high : low) = middle;
    }
    return reached(low) ? low : high;
}

}  // namespace gatehouse
