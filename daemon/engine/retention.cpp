#include "daemon/engine/retention.hpp"

#include <algorithm>

#include "daemon/store/key_books.hpp"

namespace gatehouse {
namespace {

// A slice looks at so many readings; they are dropped at well over a hundred a millisecond.
constexpr std::uint64_t kReadingsASlice = 1'000;
constexpr std::size_t kViewsASlice = 50;
constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::size_t kKeysASlice = 50;
constexpr std::int64_t kSealsMax = 31;

LocalDate months_before(LocalDate date, int months) {
    const int count = date.year * 12 + (date.month - 1) - months;
    return {count / 12, count % 12 + 1, 1};
}

// The newest reading before an instant. Seqs rise with time; rows that no clock vouched for are
// taken for new ones, so that a clock in another century drops nothing.
std::uint64_t newest_reading_before(Context& context, UtcMs at) {
    std::uint64_t low = context.store.intervals_dropped();
    std::uint64_t high = context.store.last(Series::reading) + 1;
    while (high > low + 1) {
        const std::uint64_t middle = low + (high - low) / 2;
        const auto found = context.store.reading_at(middle);
        // Between low and the middle there is none: what is dropped up to either is the same.
        if (!found || found->first <= low) {
            low = middle;
            continue;
        }
        const std::optional<UtcMs> read_at = context.trusted(found->second);
        if (read_at && *read_at < at)
            low = middle;
        else
            high = found->first;
    }
    return low;
}

}  // namespace

void Retention::plan(Context& context, LocalDate today) {
    planned_ = today;
    left_ = true;
    const std::int64_t day = days_since_epoch(today);
    readings_up_to_ = newest_reading_before(
        context, context.zone.midnight(date_from_days(day - kIntervalsKeptDays)));
    hours_before_ = context.zone.midnight(months_before(today, kHoursKeptMonths)) / kHourMs;
    days_before_ = days_since_epoch(months_before(today, kDaysKeptYears * 12));
    views_before_ = context.zone.midnight({today.year - kViewsKeptYears, today.month, 1});
}

// Who looked into a household's file, and what the log tells of it; a look that no clock vouched
// for is taken for a new one.
std::size_t Retention::drop_views(Context& context) const {
    const auto old = [&](const Stamp& stamp) {
        const std::optional<UtcMs> at = context.trusted(stamp);
        return at && *at < views_before_;
    };
    return context.store.drop_views(old, views_before_, kViewsASlice);
}

// Who had which key for two years, who was turned away for half a year. What the log said of it
// goes too; its chain stands without the bodies.
std::size_t Retention::drop_keys(Context& context) const {
    KeyBooks& books = context.store.key_books();
    const UtcMs now = context.now_ms();
    std::size_t dropped = 0;
    for (const bool denied : {true, false}) {
        const std::int64_t days = denied ? kDeniedKeptDays : kKeysKeptDays;
        for (const std::uint64_t event :
             books.drop_events(now - days * 24 * kHourMs, denied, kKeysASlice)) {
            context.store.remove_event_body(event, "retention");
            ++dropped;
        }
    }
    const UtcMs before = now - kKeysKeptDays * 24 * kHourMs;
    for (const std::string& number : books.worded_tickets(before, kKeysASlice)) {
        books.remove_ticket_words(number);
        for (const std::uint64_t event : books.ticket_log(number))
            context.store.remove_event_body(event, "retention");
        ++dropped;
    }
    for (const std::uint64_t event : books.drop_calls(before, kKeysASlice)) {
        context.store.remove_event_body(event, "retention");
        ++dropped;
    }
    return dropped + books.drop_before(before, kKeysASlice);
}

void Retention::slice(Context& context) {
    if (!context.clock.trusted() || !context.writable) return;
    const LocalDate today = context.day_of(context.now_ms());
    if (planned_ != today) plan(context, today);
    if (!left_) return;
    const std::uint64_t dropped = context.store.intervals_dropped();
    if (dropped < readings_up_to_) {
        context.store.drop_interval_readings(std::min(readings_up_to_, dropped + kReadingsASlice));
    } else if (context.store.drop_oldest_hour(hours_before_) == 0 &&
               context.store.drop_oldest_day(days_before_) == 0 && drop_views(context) == 0 &&
               drop_keys(context) == 0) {
        left_ = false;
        return;
    }
    context.unsaved = true;
}

void DaySeals::look(Context& context) {
    if (!context.writable || !context.clock.trusted()) return;
    const LocalDate now = context.day_of(context.now_ms());
    if (sealed_before_ == now) return;
    sealed_before_ = now;
    const std::int64_t end = days_since_epoch(now);
    const std::optional<LocalDate> newest = parse_date(context.store.newest_seal().day);
    std::int64_t day = newest ? days_since_epoch(*newest) + 1 : end - 1;
    // Days without a daemon have the head of the day before; more than a month of them say
    // nothing new.
    for (day = std::max(day, end - kSealsMax); day < end; ++day) {
        const UtcMs edge = context.zone.midnight(date_from_days(day + 1));
        const std::uint64_t head = context.store.newest_event([&](const Stamp& stamp) {
            const std::optional<UtcMs> at = context.trusted(stamp);
            return at && *at < edge;
        });
        if (head == 0) continue;
        context.store.seal_day(format_date(date_from_days(day)), head);
        context.urgent = true;
    }
}

}  // namespace gatehouse
