// The store's writing side: the one read-write connection to the books, its schema and migrations,
// the chains, and the high-water file beside it. It decides nothing and knows no rule of money.
// Engine thread only. Every call may throw StoreError; outside begin/commit nothing can be written.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/store/account_books.hpp"
#include "daemon/store/people_rows.hpp"
#include "daemon/store/pool_rows.hpp"
#include "daemon/store/rows.hpp"

namespace gatehouse {

struct StoreOptions {
    std::string path;
    std::string run_id;   // text form, drawn at process start; never the same twice
    std::string version;  // of the program, for the run's row
    MonoMs mono_ms = 0;   // both clocks at the start
    UtcMs wall_ms = 0;
    std::string site_id;         // checked against the books: another site's are refused
    std::int64_t max_pages = 0;  // 0: no limit of our own; tests stand in for a full disk
};

// What opening found and did; lines are ready for the log.
struct OpenReport {
    std::int64_t run = 0;  // of this run, for Stamp::run
    bool created = false;
    int migrated_from = 0, migrated_to = 0;
    std::string backup;     // path of the copy made before a migration
    bool restored = false;  // an older copy: went on above the high water
    std::uint64_t restored_after = 0, restored_next = 0;  // events between them are lost
    bool high_water_recreated = false;
    std::vector<std::string> lines;
};

// Numbers that are never issued twice, restores included. The first three are drawn by the
// appenders below; the rest by draw().
enum class Series { event, reading, entry, receipt, notice, quarantine, epoch, line, alert, other };
inline constexpr std::size_t kSeriesCount = 10;

struct LedgerAccountRow {
    std::string account;           // book:: name
    Fen balance;                   // sum of its legs
    std::uint64_t last_entry = 0;  // entry seq; 0: none
    std::uint64_t last_event = 0;  // event seq of that entry
};

// Space for the books. Where StoreOptions::max_pages limits them, that limit is the disk.
struct StoreSpace {
    std::uint64_t free_bytes = 0, reserve_bytes = 0;
    bool held = false;  // the reserve lies on the disk
};

class KeyBooks;

class Store {
  public:
    // Opens or creates, migrates with a backup, starts the run, and where an older copy lies there
    // writes the event log.restored as its first row. On a full disk it gives the reserve up first.
    Store(const StoreOptions& options, Random& random);
    ~Store();
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    [[nodiscard]] const OpenReport& report() const;

    // One transaction a batch. A failed commit (or append) has kept nothing: call rollback(), then
    // the same batch may be tried again and gets the same numbers.
    void begin();
    void commit();
    void rollback() noexcept;
    [[nodiscard]] bool in_transaction() const;

    [[nodiscard]] StoreSpace space();
    // Gives the reserve up and writes the log of the database into it, which frees the log. Outside
    // a transaction.
    void release_reserve();
    // False: there is no room for it.
    [[nodiscard]] bool take_reserve();

    // Newest committed numbers; 0: none.
    [[nodiscard]] std::uint64_t last(Series series) const;
    // The number that the next append or draw gives.
    [[nodiscard]] std::uint64_t next(Series series) const;
    std::uint64_t draw(Series series);

    // --- appenders; each returns the seq
    std::uint64_t append_event(const EventRow& event);
    std::uint64_t append_reading(const ReadingRow& reading);
    // The entry complete with id, receipt, month; its line is made where it is new. The line's
    // quantity, price and posted are upserted apart (put_line).
    std::uint64_t append_entry(const Entry& entry, const Stamp& at, const EntryExtra& extra);

    // --- upserts
    // Whole registry as it is to be; only rows that differ are written. `at` dates the history of
    // holders.
    // `before` is what stands there, where the caller has it at hand; else it is read.
    void put_registry(const Registry& registry, const Stamp& at, const Registry* before = nullptr);
    std::int64_t put_epoch(const EpochRow& epoch);  // returns id
    void put_day(const DayRow& day);
    void put_hour(const HourRow& hour);
    // Where the reading is another one than before, or the meter begins on terms, which stand in
    // the books already, the step is kept.
    void put_mark(const MarkRow& mark, bool begins = false);
    // A figure that could not enter the lines yet: the mark stays, the step is kept.
    void pass_mark(const std::string& account, const std::string& meter, std::uint64_t reading);
    void put_pending_edge(const PendingEdgeRow& edge);
    void drop_pending_edge(const std::string& meter, std::uint64_t event);
    std::int64_t put_line(const std::string& account, const LineKey& key, const Line& line);
    void add_line_part(std::int64_t line, const LinePartRow& part);
    // In place of all that the line rested on.
    void add_remap(const RemapRow& row);
    // The mark of a meter that left the account stands where it left.
    void set_mark_back(const MarkRow& mark);
    void replace_line_parts(std::int64_t line, const std::vector<LinePartRow>& parts);
    void put_counter(const CounterRow& counter);
    void put_rest(const RestRow& rest);
    void add_terms(const TermsRow& terms);  // once for each meter and reading
    void add_ladder_opening(const LadderOpeningRow& row);
    void add_month_tariff(const MonthTariffRow& row);
    // Of that month and later ones: the account was gone before they ended.
    void drop_month_tariffs(const std::string& account, const std::string& from_month);
    void add_late_version(const LateVersionRow& row);
    void add_edge_figures(const std::string& account, const std::vector<EdgeFigureRow>& rows);
    void add_settling(const SettlingRow& row);
    void put_settling_state(std::uint64_t event, const std::string& account, SettlingState state);
    void end_settling(std::uint64_t event, const std::string& account);
    // False where (account, cause) is posted already: the caller then posts nothing.
    [[nodiscard]] bool add_posting(const std::string& account, const std::string& cause);
    std::int64_t put_quarantine(const QuarantineRow& row);         // returns id
    std::int64_t put_manual_reading(const ManualReadingRow& row);  // returns id
    std::int64_t put_replacement(const ReplacementRow& row);       // returns id
    void put_hold(const HoldRow& row);
    void put_alert(const AlertRow& alert);
    void add_ack(const AckRow& ack);
    // False where the key is there already.
    [[nodiscard]] bool add_idempotency(const IdempotencyRow& row, const Stamp& at);
    void put_token(const TokenRow& token);
    void put_password(const PasswordRow& row);  // hash empty: it is removed
    void add_view(const ViewRow& row, const Stamp& at);
    std::int64_t put_access(const AccessRow& row);  // returns id
    [[nodiscard]] std::optional<AccessRow> find_access(std::int64_t id);
    [[nodiscard]] std::int64_t count_asked(const std::string& staff);
    // Takes the words away, overwriting their bytes, and records the erasure in the books and in
    // the list beside them, which a restored copy does not bring back. The registry's row is the
    // caller's, under overwriting().
    void erase(const ErasureRow& row, const PersonTraces& traces);
    // Whether deleted bytes are overwritten with zeros; costs writes.
    void overwriting(bool on);
    // Writes the log of the database into it and empties it, so that nothing old is left there;
    // outside a transaction. False: a reader holds it up.
    [[nodiscard]] bool empty_log();
    [[nodiscard]] std::vector<ErasureRow> load_erasures();    // of the books
    [[nodiscard]] std::vector<ErasureRow> listed_erasures();  // of the list beside them
    // Retention: the oldest looks into files whose stamps are old, at most so many, the questions
    // before that time, and what the log says of both; returns how many looks went.
    std::size_t drop_views(const std::function<bool(const Stamp&)>& old, UtcMs before,
                           std::size_t at_most);
    void put_topic_head(const std::string& topic, std::uint64_t seq);
    void put_mqtt_cursor(std::uint64_t seq);
    // Once trusted, and again on every step of the clock.
    void put_run_offset(std::int64_t run, const RunOffset& offset);
    // The newest trusted wall time of a stored row, for the next start.
    void put_newest_trusted(UtcMs at);
    // Small words of the engine that must survive; value empty: removed.
    void put_note(const std::string& name, const std::string& value);

    // The month begins to close: remembers what was posted on the lines of its consumption.
    void begin_period(const PeriodRow& period);
    // A part of the compressed bytes of one of its files, the first of which replaces what stands
    // there. The month is closing.
    void keep_period_part(const std::string& month, const std::string& name, int n,
                          std::string_view deflated);
    // Its files, for good; their parts are kept. The month is closing.
    void seal_period(const PeriodRow& period, const std::vector<PeriodFile>& files);

    // A sheet that was approved, with its shares.
    void add_pool_sheet(const PoolSheetRow& sheet);
    void put_pool_share(std::uint64_t sheet, int n, PoolShareRow::State state);
    void end_pool_sheet(std::uint64_t sheet, PoolSheetRow::State state);

    // Records that event, which must be there, as the head of the log at the end of that day
    // ("2026-11-23"); a day is sealed once, and later calls give the same head.
    LogHead seal_day(const std::string& day, std::uint64_t event);

    // Removes a body; the chain still verifies and readers show `removed` with the reason.
    void remove_event_body(std::uint64_t seq, const std::string& reason);
    // Retention: removes interval readings (never another kind) after intervals_dropped() up to
    // that seq, which becomes what intervals_dropped() says; returns how many. The work grows with
    // the seqs between the two, so the caller slices. The only DELETE that the triggers let
    // through.
    std::size_t drop_interval_readings(std::uint64_t up_to_seq);
    // The oldest hour or day of all meters, where it lies before that one; 0: none does.
    std::size_t drop_oldest_hour(std::int64_t before_hour);
    std::size_t drop_oldest_day(std::int64_t before_day);

    // --- questions inside or outside a transaction
    // The receipt of a top-up of the account that was paid in that way under that number, and was
    // not reversed since.
    [[nodiscard]] std::optional<std::string> receipt_of_payment(const std::string& account,
                                                                const std::string& method,
                                                                const std::string& reference);
    [[nodiscard]] std::optional<IdempotencyRow> idempotency(const std::string& key);
    // By its id; by its seq; and the id of the entry that undid one, empty where none did.
    struct NumberedEntry {
        std::uint64_t seq = 0;
        Entry entry;
    };
    [[nodiscard]] std::optional<NumberedEntry> find_entry(const std::string& entry);
    [[nodiscard]] std::optional<NumberedEntry> entry_at(std::uint64_t seq);
    [[nodiscard]] std::string undone_by(const std::string& entry);
    // Fees of the account that were booked in that month or later and that nothing undid, oldest
    // first.
    [[nodiscard]] std::vector<Entry> standing_fees(const std::string& account,
                                                   const std::string& from_month);
    // What late versions made of its fees in entries of that month or later; oldest first.
    [[nodiscard]] std::vector<FeeSettlementRow> settled_fees(const std::string& account,
                                                             const std::string& from_month);
    // All versions that came late, oldest first.
    [[nodiscard]] std::vector<KnownVersionRow> late_versions(const std::string& account);
    [[nodiscard]] LedgerAccountRow ledger_account(const std::string& book_name);
    [[nodiscard]] LogHead newest_seal();
    // The newest event whose stamp is wanted, asked newest first; 0: none.
    [[nodiscard]] std::uint64_t newest_event(const std::function<bool(const Stamp&)>& wanted);
    [[nodiscard]] std::uint64_t intervals_dropped();
    // The newest reading with a seq of at most that; nothing where there is none.
    [[nodiscard]] std::optional<std::pair<std::uint64_t, Stamp>> reading_at(std::uint64_t seq);
    [[nodiscard]] bool posted(const std::string& account, const std::string& cause);
    // Accounts that a meter was ever charged to by that tariff.
    [[nodiscard]] std::vector<std::string> accounts_of_tariff(const std::string& tariff);
    [[nodiscard]] bool is_settling(const std::string& account);  // waits for it
    [[nodiscard]] std::optional<SettlingRow> find_settling(std::uint64_t event);
    // What waits, oldest event first.
    [[nodiscard]] std::vector<std::pair<std::uint64_t, std::string>> load_waiting();
    // The books of single accounts; of this moment, so inside or outside a transaction.
    [[nodiscard]] AccountBooks& account_books();
    // Keys and tickets; likewise, and what it writes needs the transaction.
    [[nodiscard]] KeyBooks& key_books();

    // The one of that month that was not withdrawn; nothing: none.
    [[nodiscard]] std::optional<PoolSheetRow> find_pool_sheet(const std::string& pool,
                                                              const std::string& month);
    // Those that wait to be charged, oldest first.
    [[nodiscard]] std::vector<PoolSheetRow> load_pool_sheets();
    // Of those, what waits for one account.
    [[nodiscard]] std::vector<WaitingShareRow> load_waiting_shares(const std::string& account);

    [[nodiscard]] std::optional<QuarantineRow> find_quarantine(std::int64_t id);
    // The newest of a meter that is (or is not) about its profile's map, and the one that waits for
    // a quarantine.
    [[nodiscard]] std::optional<ManualReadingRow> newest_manual_reading(const std::string& meter,
                                                                        bool about_profile);
    [[nodiscard]] std::optional<ManualReadingRow> manual_reading_of(std::int64_t quarantine);
    [[nodiscard]] std::optional<ReplacementRow> newest_replacement(const std::string& meter);

    // --- loaders of the start
    [[nodiscard]] Registry load_registry();
    [[nodiscard]] std::vector<RunRow> load_runs();
    [[nodiscard]] std::vector<EpochRow> load_open_epochs();  // by meter id
    // The newest stored row of each meter that has one.
    [[nodiscard]] std::vector<ReadingRow> load_last_readings();
    // What stands last at a known time of what came before that row, where that is after that time;
    // with the figures that were corrected since. One row a meter that has one.
    struct DatedSearch {
        std::string meter;
        UtcMs after = 0;
        std::uint64_t before = 0;
    };
    [[nodiscard]] std::vector<ReadingRow> load_newest_dated(
        const std::vector<DatedSearch>& searches);
    [[nodiscard]] std::vector<MarkRow> load_marks();
    [[nodiscard]] std::vector<PendingEdgeRow> load_pending_edges();  // a meter's in order of event
    [[nodiscard]] std::optional<Milli> register_of(std::uint64_t reading);
    [[nodiscard]] std::vector<DayRow> load_days(std::int64_t from_day);
    // A meter's newest row of a day not after that one, looked for that many days back.
    [[nodiscard]] std::optional<DayRow> load_day_before(const std::string& meter, std::int64_t day,
                                                        int days_back);
    // Totals at the ends of hours from that one on, of meters of a service, hours ascending.
    [[nodiscard]] std::vector<HourRow> load_hours(Service service, std::int64_t from_hour);
    // A meter's freezes within days (band edges, registry changes) with a seq above that,
    // ascending.
    [[nodiscard]] std::vector<SwitchRow> load_switches(const std::string& meter,
                                                       std::uint64_t after);
    [[nodiscard]] std::vector<QuarantineRow> load_open_quarantine();
    [[nodiscard]] std::vector<HoldRow> load_open_holds();
    // By account: lines of that scope and later and every older one that is not settled; counters
    // that began at or after counters_from; and every rest.
    [[nodiscard]] std::map<std::string, Settlement> load_settlements(const std::string& from_scope,
                                                                     LocalDate counters_from);
    [[nodiscard]] std::vector<LedgerAccountRow> load_ledger_accounts();
    // By account: the newest day that has a posting `day:<date>`.
    [[nodiscard]] std::map<std::string, LocalDate> load_posted_days();
    [[nodiscard]] std::vector<AlertRow> load_open_alerts();  // by opening
    [[nodiscard]] std::map<std::string, std::uint64_t> load_topic_heads();
    [[nodiscard]] std::uint64_t load_mqtt_cursor();
    [[nodiscard]] std::optional<UtcMs> load_newest_trusted();
    [[nodiscard]] std::vector<PeriodRow> load_periods();  // by month
    // The first month of the books: of the oldest entry, line or freeze; empty: there is none.
    [[nodiscard]] std::string oldest_month();
    [[nodiscard]] std::vector<TokenRow> load_tokens();
    [[nodiscard]] std::string load_note(const std::string& name);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse
