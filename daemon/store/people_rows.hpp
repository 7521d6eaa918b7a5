// Rows about the people who use the program: their passwords, who looked into which household's
// file, and who was allowed to. Values only, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/time.hpp"

namespace gatehouse {

struct PasswordRow {
    std::string staff, hash;  // PHC text of argon2id
    UtcMs changed_at = 0;
};

struct ViewRow {
    std::int64_t id = 0;
    std::string actor, unit, what, reason;  // what: "file", "name", "phone", ...
    UtcMs at = 0;                           // as read
};

struct AccessRow {
    std::int64_t id = 0;
    std::string staff, unit, reason;
    int hours = 0;
    UtcMs asked_at = 0;
    enum class State { asked, granted, refused } state = State::asked;
    std::string answered_by, answer;
    std::optional<UtcMs> expires_at;  // granted
};
[[nodiscard]] const char* to_string(AccessRow::State state);

// Who is erased; `at` is the wall clock of the act.
struct ErasureRow {
    std::string person, by, second, reason;
    UtcMs at = 0;
};

// Where people wrote something beside a person's accounts, while they were that person's.
struct PersonTraces {
    std::vector<std::uint64_t> entries;    // with words of people
    std::vector<std::uint64_t> events;     // whose bodies hold such words
    std::vector<std::uint64_t> acks;       // of alerts, with a note or a result
    std::vector<std::string> keys;         // under which answers with such words are kept
    std::vector<std::string> tickets;      // of their unit, reported in their time
    std::vector<std::int64_t> registers;   // likewise calls, hand-overs and documents
    std::vector<std::int64_t> key_events;  // where they took or got a key, with a reason
    [[nodiscard]] std::size_t texts() const {
        return entries.size() + acks.size() + keys.size() + tickets.size() + registers.size() +
               key_events.size();
    }
};

}  // namespace gatehouse
