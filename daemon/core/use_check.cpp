#include "daemon/core/use_check.hpp"

#include <algorithm>

namespace gatehouse {
namespace {

constexpr std::size_t kMeanMin = 3, kMeanMax = 7, kQuietDays = 7;

Milli abnormal_from(Service service) {
    return service == Service::electricity ? Milli{5'000} : Milli{1'000};
}

Milli gone_from(Service service) {
    return service == Service::electricity ? Milli{1'000} : Milli{100};
}

// Sum and count of the last days before `end`.
struct Mean {
    Int128 sum = 0;
    std::size_t days = 0;
};
Mean mean_before(const std::vector<Milli>& days, std::size_t end) {
    Mean mean;
    mean.days = std::min(end, kMeanMax);
    for (std::size_t i = end - mean.days; i < end; ++i) mean.sum += days[i].count;
    return mean;
}

}  // namespace

bool is_abnormal_use(Service service, const std::vector<Milli>& days) {
    if (days.empty()) return false;
    const Mean mean = mean_before(days, days.size() - 1);
    if (mean.days < kMeanMin) return false;
    const Milli newest = days.back();
    return newest > abnormal_from(service) &&
           Int128{newest.count} * static_cast<std::int64_t>(mean.days) > 5 * mean.sum;
}

bool is_use_gone(Service service, const std::vector<Milli>& days) {
    if (days.size() < kQuietDays + kMeanMin) return false;
    const auto quiet = days.end() - static_cast<std::ptrdiff_t>(kQuietDays);
    if (std::any_of(quiet, days.end(), [](Milli used) { return used.count != 0; })) return false;
    const Mean mean = mean_before(days, days.size() - kQuietDays);
    return mean.sum > Int128{gone_from(service).count} * static_cast<std::int64_t>(mean.days);
}

bool is_sum_apart(Milli main, Milli below) {
    Int128 apart = Int128{main.count} - below.count;
    if (apart < 0) apart = -apart;
    return apart * 20 > main.count;
}

}  // namespace gatehouse
