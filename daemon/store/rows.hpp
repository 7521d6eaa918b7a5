// The rows of the books as values: what the engine hands to the store and what readers get back.
// Not SQL: how they lie on disk is the business of schema.cpp. Values only, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/ledger.hpp"
#include "daemon/core/registry.hpp"
#include "daemon/core/settlement.hpp"
#include "daemon/core/time.hpp"
#include "daemon/core/units.hpp"

namespace gatehouse {

// Why the store could not do it. Nothing of the transaction is kept; after rollback() the store is
// usable again, and the same batch may be tried anew.
struct StoreError : std::runtime_error {
    enum class Kind {
        busy,          // another program holds the file's lock: try again in a moment
        full,          // no space: interval readings stop first, top-ups are refused
        io,            // the disk failed or the path cannot be used
        corrupt,       // the file is no database, or damaged: restore a backup
        newer_schema,  // a newer gatehoused wrote it: install that version or restore a backup
        other          // a rule of the schema was broken: a bug, never data
    };
    StoreError(Kind kind_, const std::string& line) : std::runtime_error(line), kind(kind_) {}
    Kind kind;  // what() is one line for a person
};

enum class ReadingKind { interval, freeze, month, switch_, move, manual, replacement };
[[nodiscard]] const char* to_string(ReadingKind kind);  // "switch" for switch_
[[nodiscard]] std::optional<ReadingKind> parse_reading_kind(std::string_view word);
enum class ReadingQuality { good, estimated, manual, released, void_ };
[[nodiscard]] const char* to_string(ReadingQuality quality);  // "void" for void_

struct ReadingRow {
    std::string meter;
    std::int64_t epoch = 0;           // EpochRow::id
    std::string account;              // that pays for the meter; empty: none
    std::optional<std::string> unit;  // where it stood; absent: as the registry says
    ReadingKind kind = ReadingKind::interval;
    ReadingQuality quality = ReadingQuality::good;
    Stamp at;                        // of the sample, or of the act that brought it
    std::optional<UtcMs> stands_at;  // where it stands for another instant: an edge, a typed time
    Milli register_value;            // face, before the multiplier
    Milli total;                     // billing cumulative, after it
    std::vector<std::uint16_t> raw;
    std::string face;  // the register as an exact fraction, where 1e-3 cannot hold it
    std::optional<std::uint64_t> supersedes;
    std::uint64_t seq = 0;  // drawn by the store
};

// One physical meter's time at a place. total = base_total + figure - base_figure.
struct EpochRow {
    std::int64_t id = 0;  // 0: new, drawn by the store
    std::string meter;
    std::string serial;  // empty: not known
    std::string multiplier = "1";
    Milli base_total, base_figure;  // figure = register x multiplier, rounded
    std::optional<Stamp> opened, closed;
    std::optional<Milli> final_register;
    std::string device_ratio;  // exact fraction, as Sample's; empty: none was read
};

// Of one meter at one local day: the freeze that ends it.
struct DayRow {
    std::string meter;
    std::int64_t day = 0;       // days_since_epoch of the day that ended
    std::uint64_t reading = 0;  // seq of the freeze
    Milli total;
    ReadingQuality quality = ReadingQuality::good;
};
struct HourRow {
    std::string meter;
    std::int64_t hour = 0;  // UTC milliseconds of the hour's end / 3,600,000
    Milli total;
    ReadingQuality quality = ReadingQuality::good;
};

// How far a meter's use stands in an account's lines: the next consumption begins here.
struct MarkRow {
    std::string account, meter;
    std::uint64_t reading = 0;  // seq
    Milli total;
};

// A registry change that a meter's samples have not passed yet, with what held before it.
struct PendingEdgeRow {
    std::string meter;
    std::uint64_t event = 0;  // seq of the registry.imported that is the edge
    Stamp at;
    std::string unit, account, tariff;  // account empty: nobody paid
    std::string multiplier = "1";
    std::optional<int> persons;
};

// One step of a mark, in the order in which figures entered the lines. What is read of the figure
// is that of the newest row which supersedes it.
struct StepRow {
    std::uint64_t step = 0, prev = 0;  // prev: of that meter on that account; 0: none
    std::string meter;
    std::uint64_t reading = 0;
    bool begins = false;  // what the meter used before is not the account's
    Stamp at;
    std::optional<UtcMs> stands_at;
    Milli total;
    std::string tariff;  // where it begins
    int persons = 0;     // the same; 0: not known
};
// A reading among those of its meter, each with what stands in its place now; the seqs are those of
// the rows that came first.
struct ReadingAround {
    std::optional<ReadingRow> row;  // nothing: there is none
    std::uint64_t root = 0, newest = 0;
    bool begins = false;  // the meter was charged on new terms from it on
    // Of the same instant with the same total: one figure with it, in order of seqs.
    std::vector<ReadingRow> twins;
    // In order of time, whenever they were stored: back to the newest that was not estimated; and
    // forth to the next such one that has another figure, over those that repeat it: the same
    // figure when it came, and now.
    std::vector<ReadingRow> before, after;
    std::set<std::uint64_t> repeats;  // their seqs
    // Read before and behind it at times that nobody knows, between those neighbours.
    std::optional<ReadingRow> least, most;
};
struct LadderOpeningRow {  // what the old system had counted, and for which counter
    std::string account, tariff;
    LocalDate day, start;
    Milli quantity;
};
struct MonthTariffRow {  // charged the account when that month was posted whole
    std::string month, account, tariff;
};
// A version whose first day had passed when it came.
struct LateVersionRow {
    std::string tariff;
    LocalDate valid_from;
    std::uint64_t event = 0;  // of the import
    friend bool operator==(const LateVersionRow&, const LateVersionRow&) = default;
};
// The total at an edge where no freeze stands, within the stretch of a meter's use that ends with a
// reading, as an account was settled by it.
struct EdgeFigureRow {
    std::string account, meter;
    std::uint64_t reading = 0;
    UtcMs at = 0;
    std::uint64_t event = 0;  // of what settled it; the newest holds
    Milli total;
};
// One of them beside an account: whether its settlement was posted there, and when it was imported.
struct KnownVersionRow {
    LateVersionRow version;
    bool posted = false;
    std::optional<Stamp> imported;  // nothing: the log does not reach back to it
};
// What such a version made of fees that were posted before, in one entry for each fee.
struct FeeSettlementRow {
    std::uint64_t event = 0;  // of the import
    Fen amount;               // signed, for the household
    std::string fee;          // "<tariff>/<name>"; empty where its text was erased
    Stamp at;
};
// What has lines settled again: late versions, or a figure that was corrected.
struct SettlingRow {
    std::uint64_t event = 0;
    std::string kind;   // "version", "correction"
    std::string cause;  // of its entries
    std::string by, second, reason;
    bool vouched = false;  // they were logged in
};
enum class SettlingState { waiting, left };  // left: the account stays as it was charged

// What charges a meter from that reading on.
struct TermsRow {
    std::string meter;
    std::uint64_t from = 0;  // reading seq
    std::string account, tariff;
    std::optional<int> persons;
    Milli total;
    Stamp at;
    std::optional<UtcMs> stands_at;
};
// A freeze that stands on an edge within a day, as stored.
struct SwitchRow {
    std::uint64_t reading = 0;  // seq
    UtcMs edge = 0;
    Milli total;
};

// A month of the books. While it is closing nothing more is booked into it.
struct PeriodRow {
    enum class State { closing, closed };
    std::string month;  // "2026-11"
    State state = State::closing;
    std::string by;                                  // staff
    std::uint64_t event = 0;                         // seq of the period.closed; 0: not yet
    std::uint64_t last_entry = 0, last_reading = 0;  // newest seqs when it began to close
};
// One of its files, whole. The hash and the size are of the text before it was compressed.
struct PeriodFile {
    std::string name;    // readings, charges, ledger, summary
    std::string sha256;  // hex
    std::uint64_t bytes = 0;
    std::string deflated;  // zlib format; empty where only its name was asked for
};

struct QuarantineRow {
    std::int64_t id = 0;  // 0: new, drawn by the store
    std::string meter, account;
    std::int64_t epoch = 0;
    Stamp at;
    Milli register_value, total;  // total as it would be if released
    std::vector<std::uint16_t> raw;
    std::string reason;  // decrease, cap, opening_mismatch, ... (CONTRACT.md 5)
    Fen held;
    enum class State { open, released, rejected } state = State::open;
    std::uint64_t released_as = 0;  // reading seq
    std::string by;                 // staff; the reason in words stands in the event's body
    std::string serial;             // as read, or the ratio as read, where that is the reason
};

// A register that people read from a meter's face.
struct ManualReadingRow {
    std::int64_t id = 0;  // 0: new, drawn by the store
    std::string meter;
    std::int64_t epoch = 0;
    Stamp at;                    // of the act
    UtcMs read_at = 0;           // as typed, else the time of the act
    std::string register_value;  // decimal as typed: its last place is its tolerance
    std::string by, second, photo;
    enum class State { waiting, confirmed, rejected } state = State::confirmed;
    std::uint64_t reading = 0;    // seq; 0: none
    std::int64_t quarantine = 0;  // that it waits for; 0: none
    std::string profile;          // whose map the face agreed with; else empty
};

struct ReplacementRow {
    std::int64_t id = 0;  // 0: new, drawn by the store
    std::string meter;
    std::int64_t old_epoch = 0, new_epoch = 0;
    UtcMs at = 0;
    std::string old_final, new_serial, new_opening;  // as typed
    std::optional<int> new_address;
    std::string by, second;
    std::uint64_t event = 0;  // seq of meter.replaced
};

// Staff hold a meter: nothing of it is confirmed until they let it go.
struct HoldRow {
    std::string meter, by;
    std::uint64_t since = 0, until = 0;  // events; until 0: it holds
};

// The body is committed to by the chain and may be removed later; about[] makes the row findable
// by subject ("account:a-1", "meter:m-1", "alert:..."). Leave about empty for the masses whose
// history is found elsewhere (charges: the ledger), it costs flash.
struct EventRow {
    std::string kind;     // "alert.raised"
    std::string subject;  // JSON object
    std::string body;     // JSON object
    Stamp at;
    std::vector<std::string> about;
};

struct LogHead {
    std::string day;  // empty: nothing was sealed yet
    std::uint64_t seq = 0;
    std::string h;  // hex
};

struct EntryExtra {           // beside the chained entry; text may be erased
    std::uint64_t event = 0;  // seq of the event that tells it; 0: none
    std::string method, reference, payer, note;
    std::optional<UtcMs> received_at;
    bool vouched = false;  // the people who signed it were logged in
};
// What a charge rests on: of that meter between two readings went quantity into the line.
struct LinePartRow {
    std::string meter;
    std::uint64_t from = 0, to = 0;  // reading seqs
    Milli quantity;
};

struct CounterRow {  // one ladder counter
    std::string account, tariff;
    LocalDate start;
    Milli quantity;
};
struct RestRow {  // what a quantity_step holds back of an (account, tariff)
    std::string account, tariff;
    Milli quantity;
};

struct AlertRow {
    std::string id, kind, state, subject, account, unit;
    int level = 0;
    bool acknowledged = false;
    UtcMs opened_at = 0, told_at = 0;
    std::uint64_t seq = 0;  // event of the newest transition
    std::string payload;    // JSON as published
    bool open = true;
};
struct AckRow {
    std::string alert;
    std::uint64_t seq = 0;  // event
    std::string by, via, note, result;
};

struct IdempotencyRow {
    std::string key, route;  // the engine puts the route into the key where two must not meet
    std::string body_hash;   // hex
    int status = 0;          // the engine's ReplyKind as a number
    std::string reply;       // JSON as sent
};

struct TokenRow {
    std::string id, name;
    std::vector<std::string> scopes;
    std::string secret_hash;  // hex
    UtcMs created_at = 0;
    std::optional<UtcMs> expires_at, revoked_at, last_used_at;
    std::vector<std::string> addresses = {};  // it may come from; none: from anywhere
};

struct RunOffset {
    MonoMs from_mono_ms = 0;     // holds from here on; the first of a run also before
    std::int64_t offset_ms = 0;  // wall = mono + offset
};
struct RunRow {
    std::int64_t run = 0;
    std::string id;  // text form
    MonoMs started_mono_ms = 0;
    UtcMs started_wall_ms = 0;
    std::string version;
    std::vector<RunOffset> offsets;  // ascending; empty: never trusted
};

// Turns stamps into times shown: mono + offset once the run's offset is known.
class RunTimes {
  public:
    void set(std::vector<RunRow> runs);
    struct Time {
        UtcMs at = 0;
        bool trusted = false;
    };
    [[nodiscard]] Time time(const Stamp& stamp) const;
    [[nodiscard]] const RunRow* find(std::int64_t run) const;
    [[nodiscard]] const std::vector<RunRow>& runs() const { return runs_; }

  private:
    std::vector<RunRow> runs_;  // ascending run
};

}  // namespace gatehouse
