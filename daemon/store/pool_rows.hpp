// Rows of approved pool sheets (core/pool.hpp) as the books keep them. Values only, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/core/time.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

struct PoolShareRow {
    int n = 0;                  // place on the sheet, from 0 on
    std::string unit, account;  // account empty: nobody is charged
    std::int64_t weight = 0;
    Fen amount;
    enum class State { waiting, charged, left } state = State::waiting;
};
// A month of a pool as two people approved it. One that was withdrawn makes room for another.
struct PoolSheetRow {
    std::uint64_t event = 0;  // of the approval; names the sheet
    std::string pool, month;
    enum class State { approved, withdrawn, charged } state = State::approved;
    LocalDate charge_from;  // from its begin on the members are charged
    Fen amount;
    Fen charged, left;  // of it so far: to members, and what nobody is charged
    std::string by, second;
    std::string document, sha256;  // the sheet as it was looked at, and its hash in hex
    std::vector<PoolShareRow> shares;
};
[[nodiscard]] const char* to_string(PoolSheetRow::State state);
// A share that is not charged yet, of a sheet that two people approved.
struct WaitingShareRow {
    std::uint64_t sheet = 0;
    int n = 0;
    std::string pool, month;
    Fen amount;
};

}  // namespace gatehouse
