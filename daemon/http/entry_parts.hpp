// What an entry of an account's ledger rests on: from which register to which, and how much of it.
// The store keeps the parts of a line and the entries of a line, both in order; what a part belongs
// to follows from the money, since after each entry the line's target is what was posted so far.
// Where that does not come out (a correction replays a line) nothing is said. One account, its
// entries in order; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/http/app.hpp"
#include "daemon/store/reader.hpp"

namespace gatehouse::http {

class EntryParts {
  public:
    EntryParts(App& app, std::string account) : app_(app), account_(std::move(account)) {}

    struct Rest {
        Milli quantity;
        // The face, where all of it is of one meter that was not exchanged meanwhile.
        std::optional<Milli> start, end;
        std::string multiplier;
    };
    // Each entry of the account in turn: those that are passed over, and those that are asked for,
    // for whose months the store is read.
    void pass(const StoredEntry& stored);
    [[nodiscard]] std::optional<Rest> take(const StoredEntry& stored);

  private:
    struct Walk {
        WhyLine line;
        std::size_t next = 0;  // part
        Milli quantity;        // of the parts before it
        Fen posted;
        bool lost = false;  // it came out wrong once
    };
    [[nodiscard]] Walk* walk_of(const StoredEntry& stored);
    [[nodiscard]] static std::optional<Rest> step(Walk& walk, Fen amount);

    App& app_;
    std::string account_;
    std::map<std::int64_t, std::vector<Fen>> passed_;  // amounts, by line
    std::map<std::int64_t, Walk> walks_;               // by line
    std::set<std::string> months_;                     // that were read
};

}  // namespace gatehouse::http
