// The snapshot: what the engine knows after a batch, immutable, swapped whole, never older than an
// answer already given. HTTP lists, SSE and MQTT state read it; documents and history read SQLite.
// Values only; any thread may hold one as long as it likes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/registry.hpp"
#include "daemon/core/sample.hpp"
#include "daemon/core/settlement.hpp"

namespace gatehouse {

// Quality of a meter's or an account's figures, in the words of the contract.
enum class Quality { confirmed, held, meter_offline };
[[nodiscard]] const char* to_string(Quality quality);

[[nodiscard]] inline const std::shared_ptr<const Meter>& no_meter() {
    static const auto none = std::make_shared<const Meter>();
    return none;
}

struct MeterView {
    std::shared_ptr<const Meter> row = no_meter();  // of the registry
    std::string unit_label;
    std::string serial;   // that its epoch learned, where the row names none
    std::string account;  // that pays now
    bool by_eye = false;  // no bus: never polled
    bool enabled = true;  // false: unknown or broken profile, see reason
    bool online = false;
    std::string reason;                   // why offline, disabled or held; empty: nothing wrong
    std::optional<Milli> register_value;  // last confirmed
    std::optional<Milli> total;           // last confirmed billing cumulative
    std::optional<std::int64_t> power_milliwatt;
    std::optional<std::int64_t> flow_millilitre_per_hour;
    Quality quality = Quality::confirmed;
    std::optional<UtcMs> read_at;               // of the last confirmed sample, corrected time
    std::optional<UtcMs> last_poll_at;          // of the last good poll
    std::optional<std::int64_t> clock_drift_s;  // the meter's own clock minus local time
    std::optional<UtcMs> clock_read_at;
    bool stuck = false;
    std::string own_prepayment;      // of a meter that prepays by itself; empty: it does not
    bool hold = false;               // staff hold it
    std::vector<std::string> flags;  // abnormal_use, use_gone, no_reading, sum_apart
    std::uint64_t rejected = 0;      // held values that were wrong, in this run
    std::uint64_t duplicates = 0;    // samples that came twice or out of order, in this run
    std::int64_t epoch = 0;
    std::uint64_t state_version = 0;  // moves when total, power, flow or quality changed

    [[nodiscard]] const std::string& meter() const { return row->meter; }
    [[nodiscard]] const std::string& unit() const { return row->unit; }
    [[nodiscard]] Service service() const { return row->service; }
    [[nodiscard]] const std::string& bus() const { return row->bus; }
};

struct ThresholdsView {
    Fen low_balance, critical_balance, clear_margin, overdraft;
    int low_days = 0, critical_days = 0;
    std::optional<int> amount_max_days;
    std::optional<Fen> hoarding_cap;
};

// A share of what a meter used since the last posting, in the line that it will be posted to.
// Without a meter: what that use takes from the line of a minimum.
struct PendingPart {
    LineKey line;
    Line before;  // that line without this part
    Milli quantity;
    std::string meter, multiplier;
    std::uint64_t from = 0;  // the reading where it begins
    std::uint64_t to = 0;    // the reading where it ends; 0: the sample below, which is not stored
    Milli register_value, total;
    std::vector<std::uint16_t> raw;
    UtcMs at = 0;
    friend bool operator==(const PendingPart&, const PendingPart&) = default;
};
using PendingParts = std::shared_ptr<const std::vector<PendingPart>>;

struct AccountView {
    std::string account, unit, unit_label;
    AccountService service = AccountService::electricity;
    Billing billing = Billing::prepaid;
    std::vector<std::string> tariffs;
    std::string holder;  // person id; never published over MQTT
    ThresholdsView thresholds;
    Fen ledger, balance, provisional;
    std::optional<int> days_left;
    int level = 0;
    bool judged = false;         // an entry or an accrued fen exists
    bool trial = false;          // before live_from
    std::optional<Fen> preview;  // on trial: what the balance would be
    std::string not_yet;         // why the account is refused by name; empty: served
    Quality quality = Quality::confirmed;
    std::optional<UtcMs> as_of;    // of the reading that the balance rests on
    std::uint64_t ledger_seq = 0;  // event seq of its newest entry
    bool open = true;
    std::optional<UtcMs> closed_at;
    std::optional<LocalDate> posted_through;  // the newest day that was posted; absent: posts none
    PendingParts pending;                     // what lies between ledger and balance; null: nothing
    std::uint64_t state_version = 0;          // moves when anything above that is published changed
};

// One alert while it is open, with the payload of its last transition as published.
struct AlertView {
    std::string id;       // ULID
    std::string kind;     // low_balance, stale_balance, ...
    std::string state;    // of the last transition
    std::string subject;  // account, meter, ... id
    std::string account, unit, unit_label;
    int level = 0;
    bool acknowledged = false;
    UtcMs opened_at = 0;
    std::uint64_t seq = 0;  // of the last transition
    std::string payload;    // JSON, CONTRACT.md 4
};

// A growing table of immutable rows: copying it copies chunk pointers, and only touched chunks are
// made anew, so that a batch on a site of 4,000 meters costs what it touches.
template <class Row>
class Table {
  public:
    static constexpr std::size_t kChunk = 64;
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] const Row& operator[](std::size_t i) const {
        return *(*chunks_[i / kChunk])[i % kChunk];
    }
    // Replaces row i, or appends when i == size().
    void set(std::size_t i, Row row) {
        GH_ASSERT(i <= size_);
        const std::size_t chunk = i / kChunk;
        if (chunk == chunks_.size()) chunks_.push_back(std::make_shared<Chunk>());
        auto copy = std::make_shared<Chunk>(*chunks_[chunk]);
        if (i % kChunk == copy->size()) copy->emplace_back();
        (*copy)[i % kChunk] = std::make_shared<const Row>(std::move(row));
        chunks_[chunk] = std::move(copy);
        if (i == size_) ++size_;
    }

  private:
    using Chunk = std::vector<std::shared_ptr<const Row>>;
    std::vector<std::shared_ptr<const Chunk>> chunks_;
    std::size_t size_ = 0;
};

struct KeyBoard;  // key_board.hpp

struct Snapshot {
    std::shared_ptr<const Registry> registry;  // never null
    Table<MeterView> meters;                   // in the order of registry->meters
    Table<AccountView> accounts;               // in the order of registry->accounts
    std::vector<std::shared_ptr<const AlertView>> open_alerts;  // by opening
    std::string digest;  // the newest daily digest as published; empty: none yet
    std::vector<BusStatus> buses;
    std::uint64_t event_seq = 0;    // newest committed row of the event log
    std::uint64_t reading_seq = 0;  // newest committed reading
    std::uint64_t mqtt_cursor = 0;  // highest contiguous PUBACK
    std::int64_t run = 0;
    std::string run_id;  // text form, for bridge/info
    bool clock_trusted = false;
    std::string clock_reason;  // one line
    UtcMs now_ms = 0;          // corrected time of the batch
    bool store_ok = true;      // false: top-ups are refused; see store_reason
    std::string store_reason;  // disk full, locked, ...; also where space runs low
    std::uint64_t samples_total = 0, samples_coalesced = 0, readings_stored = 0;
    std::shared_ptr<const KeyBoard> keys;  // never null once published
    std::string calendar_warning;          // a file and what it lacks; empty: nothing
    int accounts_low = 0;                  // open accounts at level 1 or above
};

}  // namespace gatehouse
