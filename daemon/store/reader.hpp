// The store's reading side: a read-only connection that never checkpoints and never blocks the
// writer. Documents and history come from here; what is open now comes from the snapshot. One
// object belongs to one thread at a time; any number may be open. Calls may throw StoreError.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/store/account_books.hpp"
#include "daemon/store/people_rows.hpp"
#include "daemon/store/pool_rows.hpp"
#include "daemon/store/rows.hpp"

namespace gatehouse {

struct StoredEvent {
    std::uint64_t seq = 0;
    std::string kind;
    RunTimes::Time at;
    std::string run;            // text form
    std::string subject, body;  // JSON; empty where removed
    std::string h;              // hex
    std::string removed;        // why; empty: not removed
};

struct StoredReading {
    ReadingRow row;
    std::string unit, serial, multiplier = "1";
    MeterRole role = MeterRole::unit;
    Service service = Service::electricity;
    RunTimes::Time at, received_at;
};
struct ReadingFilter {
    std::optional<ReadingKind> kind;
    std::string meter;  // empty: all
    std::optional<UtcMs> from,
        to;  // from <= at < to; a month's reading stands at its end, so a
             // caller that wants period P asks for [P's start + 1 ms, end + 1 ms)
};
struct ReadingPage {
    std::vector<StoredReading> items;
    std::uint64_t first = 0;  // oldest seq that is still kept; 0: none yet
    std::uint64_t next = 0;   // pass as `after` for the next page
    bool has_more = false;
    bool truncated = false;  // rows after `after` were dropped by retention
};

struct MeterPoint {        // one step of a meter's history
    UtcMs at = 0;          // end of the hour or day; the reading's own time for raw
    std::int64_t day = 0;  // day and month: days_since_epoch of the day that ended
    Milli total;
    ReadingQuality quality = ReadingQuality::good;
    std::uint64_t reading = 0;  // seq; 0 for hours
};

struct StoredEntry {
    Entry entry;
    std::uint64_t seq = 0, event = 0;
    std::int64_t line = 0;  // line id; 0: none
    Fen balance_after;      // of the account asked for
    RunTimes::Time at;
    std::string method, reference, payer, note;
    std::optional<UtcMs> received_at;
    bool vouched = false;  // the people who signed it were logged in
    std::string h;         // hex
};
struct EntryPage {
    std::vector<StoredEntry> items;  // ascending seq
    std::uint64_t next = 0;
    bool has_more = false;
};

struct WhyPart {
    LinePartRow part;
    std::vector<EdgeFigureRow> edges;  // between its two readings, in order
    StoredReading from, to;  // row.seq = 0 where retention dropped it
};
struct WhyLine {
    std::int64_t id = 0;
    LineKey key;
    Line line;
    std::vector<WhyPart> parts;  // in order of reading; `to.row.seq` is 0 where it is not stored
};
struct WhyMaterial {
    std::vector<WhyLine> lines;
    std::vector<StoredEntry> entries;
    Fen ledger;  // as the rows say, this very moment
};

// A closed or closing month.
struct StoredPeriod {
    PeriodRow row;
    std::optional<RunTimes::Time> closed_at;
    std::vector<PeriodFile> files;  // without their content
};
// Where a physical meter stood: a stored reading, or the figure on which its epoch began or ended.
struct PeriodFigure {
    Milli register_value, total;
    std::optional<UtcMs> at;
    std::uint64_t reading = 0;  // seq; 0: the epoch's own figure
    ReadingQuality quality = ReadingQuality::good;
    // Of a stored reading alone: the day that it ends (days_since_epoch), and who paid then.
    std::int64_t day = 0;
    std::string account;
};
// A meter's month: one row for each epoch that had a part in it.
struct PeriodMeter {
    struct Row {
        std::int64_t epoch = 0;
        std::string serial, multiplier = "1";
        PeriodFigure start, end;
        bool ended = false;  // another epoch followed, in this month or later
    };
    std::string meter;
    std::vector<Row> rows;      // empty: it was never read
    int days = 0;               // of the month that have a freeze
    int estimated = 0;          // of these
    std::optional<UtcMs> from;  // when its first epoch began, where that is known
};
// A line of the month as it was when the month began to close.
struct PeriodLine {
    std::int64_t id = 0;
    std::string account;
    LineKey key;
    Line line;
    bool estimated = false;           // some reading that it rests on is
    std::vector<std::string> meters;  // whose use stands in it
    // Of one meter in one epoch: where its face stood at the first and at the last of these
    // readings. Tiers and bands of a month lie between the same two.
    struct Face {
        Milli start, end;
        std::string multiplier;
    };
    std::optional<Face> face;
};

// `verify`: the first row that does not hold, and how much was looked at.
struct Proof {
    bool ok = true;
    std::string first_bad;  // "event 4711: ..." ; empty where ok
    std::uint64_t events = 0, entries = 0, readings = 0, lines = 0;
};

class KeyBooks;

// Seals that nobody was told of for longer than a year stay in the books.
inline constexpr int kSealDaysMax = 366;

class StoreReader {
  public:
    explicit StoreReader(const std::string& path);
    // For a look in passing: where nobody has the database open, no file is left beside it.
    [[nodiscard]] static StoreReader in_passing(const std::string& path);
    ~StoreReader();
    // Keys and tickets; it writes nothing here, and lives as long as the reader is kept.
    [[nodiscard]] KeyBooks key_books();
    StoreReader(StoreReader&&) noexcept;
    StoreReader& operator=(StoreReader&&) noexcept;
    // Gives its cached pages back: before it is kept for later, when the next commit will have made
    // them worthless.
    void rest() noexcept;

    // Ascending; kinds empty: all. A prefix match where a kind ends in '.' ("alert.").
    [[nodiscard]] std::vector<StoredEvent> events_after(std::uint64_t seq, std::size_t limit,
                                                        const std::vector<std::string>& kinds = {});
    // Events that name the subject in `about` ("account:a-1"), ascending.
    [[nodiscard]] std::vector<StoredEvent> events_about(const std::string& about,
                                                        std::uint64_t after, std::size_t limit);
    [[nodiscard]] LogHead newest_seal();
    // The first sealed day after that one, of the kSealDaysMax up to the newest.
    [[nodiscard]] LogHead seal_after(const std::string& day);
    // What was written down under that name; empty: nothing.
    [[nodiscard]] std::string note(const std::string& name);
    // By meter, when its newest row of those up to a seq was read; without the meters whose newest
    // one does not lie before that instant.
    [[nodiscard]] std::map<std::string, UtcMs> newest_kept(UtcMs before, std::uint64_t up_to);
    [[nodiscard]] ReadingPage readings_after(std::uint64_t seq, std::size_t limit,
                                             const ReadingFilter& filter = {});
    // One meter's stored rows with from <= at < to, ascending by time; after is the seq of the
    // last row already had (0: from the start).
    [[nodiscard]] ReadingPage meter_readings(const std::string& meter, UtcMs from, UtcMs to,
                                             std::uint64_t after, std::size_t limit);
    // The first UTC hour and the first local day that a meter has a total of; nothing: none.
    [[nodiscard]] std::optional<std::int64_t> first_hour(const std::string& meter);
    [[nodiscard]] std::optional<std::int64_t> first_day(const std::string& meter);
    // Totals at the ends of hours (UTC hours), and of local days from_day <= day < to_day.
    [[nodiscard]] std::vector<MeterPoint> meter_hours(const std::string& meter, UtcMs from,
                                                      UtcMs to);
    [[nodiscard]] std::vector<MeterPoint> meter_days(const std::string& meter,
                                                     std::int64_t from_day, std::int64_t to_day);

    [[nodiscard]] EntryPage ledger(const std::string& account, std::uint64_t after,
                                   std::size_t limit);
    // Entries of the given kinds over all accounts, for /charges and the books.
    [[nodiscard]] EntryPage entries_after(std::uint64_t seq, std::size_t limit,
                                          const std::vector<EntryKind>& kinds = {});
    [[nodiscard]] std::optional<StoredEntry> entry(const std::string& entry_id);
    // month "2026-11"; empty: everything. Entries are those booked in that month or on its lines
    // (the last day of a month is booked in the next).
    [[nodiscard]] std::optional<StoredReading> reading(std::uint64_t seq);
    // What stands in the place of that reading, at its instant; itself where nobody corrected it.
    [[nodiscard]] std::optional<StoredReading> standing(std::uint64_t seq);
    [[nodiscard]] ReadingAround around(std::uint64_t seq);
    [[nodiscard]] WhyMaterial why(const std::string& account, const std::string& month);

    [[nodiscard]] std::vector<StoredPeriod> periods();  // by month
    [[nodiscard]] std::optional<PeriodFile> period_file(const std::string& month,
                                                        const std::string& name);
    // The first month of the books: of the oldest entry, line or freeze; empty: there is none.
    [[nodiscard]] std::string oldest_month();
    // Every meter's month between the freezes that end the day before the first day and the last
    // day; where such a freeze is missing, between the newest ones before, or the openings of
    // meters that were put in since. `from` and `to` are the midnights of the two edges. Readings
    // above last_reading are left out.
    [[nodiscard]] std::vector<PeriodMeter> period_meters(std::int64_t first_day,
                                                         std::int64_t last_day, UtcMs from,
                                                         UtcMs to, std::uint64_t last_reading);
    // The lines of the month that is closing, by account and key.
    void period_lines(const std::function<void(const PeriodLine&)>& take);
    // The newest entry of the months before; 0: none.
    [[nodiscard]] std::uint64_t last_entry_before(const std::string& month);
    // Entries with after < seq <= up_to, ascending.
    void entries_between(std::uint64_t after, std::uint64_t up_to,
                         const std::function<void(const StoredEntry&)>& take);
    // What all households had at the end of that month. Entries of later months lie above `after`.
    [[nodiscard]] Fen households_at_end(const std::string& month, std::uint64_t after);

    // The newest sheet of each month of a pool, oldest month first; without documents and shares.
    [[nodiscard]] std::vector<PoolSheetRow> pool_sheets(const std::string& pool);
    // The newest sheet of a month, withdrawn or not; nothing: none was approved.
    [[nodiscard]] std::optional<PoolSheetRow> pool_sheet(const std::string& pool,
                                                         const std::string& month);
    [[nodiscard]] bool posted(const std::string& account, const std::string& cause);

    [[nodiscard]] std::vector<QuarantineRow> quarantine(std::optional<QuarantineRow::State> state,
                                                        std::int64_t after, std::size_t limit);
    [[nodiscard]] std::vector<AlertRow> alerts(bool open_only, const std::string& after_id,
                                               std::size_t limit);
    [[nodiscard]] std::optional<AlertRow> alert(const std::string& id);
    [[nodiscard]] std::vector<AckRow> acks(const std::string& alert_id);
    [[nodiscard]] std::optional<TokenRow> token(const std::string& id);
    [[nodiscard]] std::vector<TokenRow> tokens();
    [[nodiscard]] std::vector<PasswordRow> passwords();
    // Who looked into a household's file; with seq > after, ascending.
    [[nodiscard]] std::vector<ViewRow> views(const std::string& unit, std::int64_t after,
                                             std::size_t limit);
    [[nodiscard]] std::vector<AccessRow> accesses();   // newest first
    [[nodiscard]] std::vector<ErasureRow> erasures();  // newest first
    // What people wrote beside the accounts that the person holds or held.
    [[nodiscard]] PersonTraces traces(const std::string& person);

    [[nodiscard]] std::optional<IdempotencyRow> idempotency(const std::string& key);
    [[nodiscard]] Registry registry();
    [[nodiscard]] std::vector<RunRow> runs();
    // Newest row of a topic, as the engine chained it (`prev`); 0: none.
    [[nodiscard]] std::uint64_t topic_head(const std::string& topic);
    [[nodiscard]] RunTimes::Time time(const Stamp& stamp);

    // Proves both chains, gaplessness, double entry, cached balances, posted lines, keys, receipts.
    // `stop` is asked now and then; true ends early with ok = false and a first_bad that says so.
    // `replay` proves what has prices in it, of the same moment and only where all else holds; it
    // names the first fault and calls what it is given now and then.
    using ReplayProof =
        std::function<std::string(AccountBooks& books, const std::function<void()>& breathe)>;
    [[nodiscard]] Proof verify(const std::function<bool()>& stop = {},
                               const ReplayProof& replay = {});

  private:
    struct Impl;
    explicit StoreReader(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse
