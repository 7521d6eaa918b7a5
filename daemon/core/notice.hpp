// Notices: the ready sentence that every alert carries, in the site's language, for a phone client
// or a wall panel that shows it as it is. Never a name, never a phone number. Pure, any thread.
#pragma once

#include <optional>
#include <string>

#include "daemon/core/alert.hpp"
#include "daemon/core/registry.hpp"
#include "daemon/core/time.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

enum class AlertKind { low_balance, stale_balance, meter_offline, reading_held };
[[nodiscard]] const char* to_string(AlertKind kind);

struct SentenceFacts {
    AlertKind kind = AlertKind::low_balance;
    AlertState state = AlertState::raised;
    int level = 1;
    std::string unit_label;  // empty: the subject stands instead
    std::string subject;     // account or meter id
    AccountService service = AccountService::electricity;
    Fen balance;  // not for meter_offline of a meter without an account
    std::string currency = "CNY";
    std::optional<int> days_left;
    std::optional<LocalTime> as_of;      // of the reading that the figures rest on
    bool held = false, offline = false;  // quality of the figures
};
[[nodiscard]] std::string sentence(const SentenceFacts& facts, bool chinese);

}  // namespace gatehouse
