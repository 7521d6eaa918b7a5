// Notices: the ready sentence that every alert carries, in the site's language, for a phone client
// or a wall panel that shows it as it is. Never a name, never a phone number. Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/core/alert.hpp"
#include "daemon/core/registry.hpp"
#include "daemon/core/time.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

enum class AlertKind {
    low_balance,
    stale_balance,
    meter_offline,
    reading_held,
    meter_prepaid_active,
    vacant_use,
    leak_suspect,
    log_gap
};
[[nodiscard]] const char* to_string(AlertKind kind);
[[nodiscard]] std::optional<AlertKind> parse_alert_kind(std::string_view word);

struct SentenceFacts {
    AlertKind kind = AlertKind::low_balance;
    AlertState state = AlertState::raised;
    int level = 1;
    std::string unit_label;  // empty: the subject stands instead
    std::string subject;     // account, meter, bus or site id
    AccountService service = AccountService::electricity;
    Fen balance;  // not for meter_offline of a meter without an account
    std::string currency = "CNY";
    std::optional<int> days_left;
    std::optional<LocalTime> as_of;      // of the reading that the figures rest on
    bool held = false, offline = false;  // quality of the figures
    bool estimated = false;              // the days are projected over a day without a reading
    std::string bus;                     // meter_offline: which is out as a whole; empty: none
    int meters = 0;                      // meter_offline: it is the bus that is meant, with so many
    bool phone = false;                  // cared for: called, and nothing is posted on the door
    std::optional<LocalDate>
        back_on;                // a long rest made the threshold; the office works again then
    std::optional<Milli> used;  // vacant_use: kWh of a day; leak_suspect: the least in an hour
    bool by_registry = false;   // cleared since the registry says otherwise
    std::uint64_t gap_after = 0, gap_next = 0;  // log_gap: what lies between was lost
};
[[nodiscard]] std::string sentence(const SentenceFacts& facts, bool chinese);

}  // namespace gatehouse
