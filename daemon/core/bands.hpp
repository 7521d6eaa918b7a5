// Bands: which price of the day holds at an instant, where it changes, and the facts of time that a
// price depends on. A band that passes midnight belongs, minute by minute, to the day on which the
// minute lies. It prices nothing (settlement.hpp). Pure, any thread.
#pragma once

#include <string>
#include <vector>

#include "daemon/core/calendar.hpp"
#include "daemon/core/registry.hpp"
#include "daemon/core/time.hpp"

namespace gatehouse {

// A stretch of use that is priced in one piece: it lies within one local day and one band, and one
// number of persons holds throughout.
struct Interval {
    LocalDate day;
    int minute = 0;                     // of the day, in which it lies: it tells the band
    BandDays kind = BandDays::workday;  // of that day
    int persons = 0;
    friend bool operator==(const Interval&, const Interval&) = default;
};
// The interval in which that instant lies. What ends at an edge lies before it: pass edge - 1.
[[nodiscard]] Interval interval_at(UtcMs at, const Calendar& calendar, const Zone& zone,
                                   int persons);

// The band that holds then; null where the version has none for it.
[[nodiscard]] const Band* band_at(const TariffVersion& version, const Interval& when);

// The instants within that local day at which another band begins, ascending; midnight, an edge
// anyway, is not among them. Empty without bands.
[[nodiscard]] std::vector<UtcMs> band_edges(const Tariff& tariff, LocalDate day,
                                            const Calendar& calendar, const Zone& zone);

// Whether some version of the tariff has bands.
[[nodiscard]] bool has_bands(const Tariff& tariff);
// Whether one of them tells kinds of day apart, so that a change of the calendar moves prices.
[[nodiscard]] bool tells_days_apart(const Tariff& tariff);

// The first instant of the day at which its clock shows that minute or a later one. Where the clock
// is put forward over it, the instant after the gap; where it is put back, the first of the two.
[[nodiscard]] UtcMs instant_of(LocalDate day, int minute, const Zone& zone);

}  // namespace gatehouse
