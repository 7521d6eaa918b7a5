// The high-water file beside the database. It outlives a restored copy, so that no number is ever
// issued twice: ceilings are synced to disk before any number below them is given out; floors are
// what was last committed, written without waiting. It also holds the lock that keeps a second
// gatehoused off the same books. Private to the store; engine thread only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "daemon/store/store.hpp"

namespace gatehouse::store {

using Numbers = std::array<std::uint64_t, kSeriesCount>;

class HighWater {
  public:
    struct Found {
        std::string run;      // text id of the last run whose start was committed
        std::string pending;  // of a start that may or may not have been
        Numbers ceilings{}, floors{};
    };

    // Takes the lock, creates the file where it is missing, reads what is there.
    explicit HighWater(const std::string& path);
    ~HighWater();
    HighWater(const HighWater&) = delete;
    HighWater& operator=(const HighWater&) = delete;

    [[nodiscard]] const std::optional<Found>& found() const { return found_; }
    [[nodiscard]] bool damaged() const { return damaged_; }  // there, but no slot was sound

    // Synced to disk before they return.
    void start(const std::string& run, const std::string& pending, const Numbers& ceilings);
    void raise(Series series, std::uint64_t ceiling);
    [[nodiscard]] std::uint64_t ceiling(Series series) const {
        return ceilings_[static_cast<std::size_t>(series)];
    }

    [[nodiscard]] const Numbers& ceilings() const { return ceilings_; }

    // Not synced: survives the process, and on a power cut only makes the check less sharp.
    void floors(const Numbers& numbers);

  private:
    void write_slot();
    void write_at(std::int64_t offset, const std::string& bytes);

    std::string path_;
    int fd_ = -1;
    std::optional<Found> found_;
    bool damaged_ = false;
    std::string run_, pending_;
    Numbers ceilings_{};
    std::uint64_t generation_ = 0;
};

}  // namespace gatehouse::store
