// The checklist of a month: what in its readings and postings people should look at before it is
// closed, each with what to do. It decides nothing: a month may be closed with open points, which
// then stand in its summary, and what comes later is a correction. Pure functions but for
// read_facts; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/registry.hpp"
#include "daemon/core/time.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/snapshot.hpp"
#include "daemon/store/reader.hpp"

namespace gatehouse {

struct PeriodBounds {
    std::string month;       // "2026-11"
    LocalDate first, last;   // its days; `last` may be yesterday while it runs
    UtcMs from = 0, to = 0;  // local midnights of its first day and of the one after `last`
};
// The month as far as it has ended at `now`: all of it once it is over. Nothing where not one day
// of it has ended.
[[nodiscard]] std::optional<PeriodBounds> bounds_of(LocalDate month, UtcMs now, const Zone& zone);

struct PeriodCheck {
    enum class Kind {
        unread,       // no freeze at the end: its use since then comes later
        gap,          // days within that have no freeze
        estimated,    // freezes that nobody read
        quarantined,  // a reading that waits for staff
        unposted      // an account's days that are not posted
    };
    Kind kind = Kind::unread;
    std::string meter, account, unit, unit_label;
    int days = 0;                // gap, estimated: how many
    std::optional<UtcMs> since;  // unread: of the newest freeze; quarantined: of the reading
    std::string text;            // what it is and what to do, in the site's language
};
[[nodiscard]] const char* to_string(PeriodCheck::Kind kind);

// Whose meters have a part in the month: in use, read or expected, and not on trial through all of
// it.
[[nodiscard]] bool takes_part(const Meter& meter, const PeriodMeter& read, const Account* payer,
                              const PeriodBounds& bounds);

struct PeriodFacts {
    const Snapshot* snapshot = nullptr;
    std::vector<PeriodMeter> meters;
    std::vector<QuarantineRow> quarantine;  // the open ones
    std::vector<UtcMs> quarantined_at;      // their times, beside them
    std::map<std::string, UtcMs> kept;      // by meter, its newest row, where it lies in the month
};
// How the month's meters and its open readings stand, of readings up to that seq.
[[nodiscard]] PeriodFacts read_facts(StoreReader& reader, const Snapshot& snapshot,
                                     const PeriodBounds& bounds, std::uint64_t last_reading);

[[nodiscard]] std::vector<PeriodCheck> checklist(const PeriodFacts& facts,
                                                 const PeriodBounds& bounds, const Zone& zone,
                                                 bool chinese);

// `{"counts":{...},"items":[...]}`.
void checklist_json(JsonWriter& json, const std::vector<PeriodCheck>& checks, const Zone& zone);

}  // namespace gatehouse
