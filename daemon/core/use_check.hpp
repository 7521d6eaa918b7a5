// What a meter used over whole days, looked at for what people should look at: nothing is held and
// nothing is charged otherwise by it. Thresholds as prepaid systems use them (C4, C5, C16, C17).
// Pure, any thread.
#pragma once

#include <string>
#include <vector>

#include "daemon/core/registry.hpp"
#include "daemon/core/time.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

// Days of history that the checks need: seven quiet ones and seven before them.
inline constexpr int kUseDays = 14;
inline constexpr std::int64_t kNoReadingMs = 30 * 86'400'000LL;

// Whole days in a row, newest last; fewer than needed flag nothing.
// The newest day is more than five times the mean of the (three to seven) days before it, and more
// than 5 kWh or 1 m3.
[[nodiscard]] bool is_abnormal_use(Service service, const std::vector<Milli>& days);
// Seven days without any use after a mean of more than 1 kWh or 0.1 m3 a day (three to seven days).
// The caller asks for occupied units alone.
[[nodiscard]] bool is_use_gone(Service service, const std::vector<Milli>& days);
// What a main meter and the meters below it say of the same days lies more than 5 % apart.
[[nodiscard]] bool is_sum_apart(Milli main, Milli below);

}  // namespace gatehouse
