// Keys, cabinets and open tickets as the snapshot shows them: immutable, made anew when something
// of it moved. Values only; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/key_watch.hpp"

namespace gatehouse {

struct KeyView {
    std::string key;
    KeyPlace place = KeyPlace::in;
    std::string cabinet;      // where it hangs now, or its home
    std::optional<int> slot;  // likewise
    std::optional<KeyLoan> loan;
    std::vector<KeyLink> links;
    std::optional<UtcMs> due_at;
    UtcMs since = 0;
    std::optional<KeySeal> seal;
};
// A badge reader beside a cabinet: a line, a numbering and a clock of its own.
struct ReaderView {
    std::string source;
    std::int64_t boot = 0, seq = 0;
    std::optional<std::int64_t> skew_ms;  // absent: it never said its time in this run
    std::optional<UtcMs> last_event_at;
    std::vector<SeqGap> gaps;
};
struct CabinetView {
    std::string cabinet, profile, kind;  // kind: modbus, mqtt, http
    std::string source;                  // that its events are counted under now
    bool seen = false;                   // something was heard of it, in this run or before
    bool online = true;
    std::string reason;
    std::int64_t boot = 0, seq = 0, skew_ms = 0;
    std::optional<UtcMs> last_event_at;
    std::vector<SeqGap> gaps;  // of the newest days
    int keys = 0, out = 0;
    std::optional<ReaderView> reader;  // absent: none was ever heard of
};
struct KeyBoard {
    std::vector<KeyView> keys;  // in the order of the registry
    std::vector<CabinetView> cabinets;
    std::map<std::string, std::string> tickets;  // number -> compact state of open ones, JSON
    std::uint64_t version = 0;
    KeyRules rules;  // by which a loan of the past was due as well
};

}  // namespace gatehouse
