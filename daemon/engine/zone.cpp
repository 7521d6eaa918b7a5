#include "daemon/engine/zone.hpp"

#include <date/tz.h>

#include <chrono>
#include <stdexcept>

namespace gatehouse {
namespace {

using std::chrono::milliseconds;

class IanaZone final : public Zone {
  public:
    explicit IanaZone(const date::time_zone* zone) : zone_(zone) {}

    LocalTime local(UtcMs at) const override {
        const date::sys_time<milliseconds> instant{milliseconds{at}};
        const auto info = zone_->get_info(date::floor<std::chrono::seconds>(instant));
        const std::int64_t offset_ms =
            std::chrono::duration_cast<milliseconds>(info.offset).count();
        const std::int64_t local_ms = at + offset_ms;
        constexpr std::int64_t kDayMs = 86'400'000;
        const std::int64_t days =
            local_ms >= 0 ? local_ms / kDayMs : -((-local_ms + kDayMs - 1) / kDayMs);
        LocalTime result;
        result.date = date_from_days(days);
        result.ms_of_day = static_cast<int>(local_ms - days * kDayMs);
        result.offset_minutes = static_cast<int>(offset_ms / 60'000);
        return result;
    }

    UtcMs midnight(LocalDate day) const override {
        const date::local_time<milliseconds> local{
            milliseconds{days_since_epoch(day) * 86'400'000}};
        // choose::earliest: where midnight stands twice the day begins at the first; where it does
        // not exist, both choices give the instant of the gap, which is when the day begins.
        const auto instant = zone_->to_sys(local, date::choose::earliest);
        return instant.time_since_epoch().count();
    }

  private:
    const date::time_zone* zone_;
};

}  // namespace

std::unique_ptr<Zone> make_zone(const std::string& iana_name) {
    try {
        return std::make_unique<IanaZone>(date::locate_zone(iana_name));
    } catch (const std::runtime_error&) {
        return nullptr;
    }
}

}  // namespace gatehouse
