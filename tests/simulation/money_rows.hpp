// The books as they lie on disk, read with plain SQL over a connection of its own: nothing of the
// daemon's store is used. It judges nothing. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace gatehouse::money {

// One prepared statement; reset by each bind().
class Statement {
  public:
    Statement(sqlite3* db, const char* sql);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    template <class... Values>
    Statement& bind(const Values&... values) {
        reset();
        int at = 0;
        (one(++at, values), ...);
        return *this;
    }
    bool step();
    void reset();
    [[nodiscard]] std::int64_t number(int column) const;
    [[nodiscard]] std::string text(int column) const;
    [[nodiscard]] bool null(int column) const;

  private:
    void one(int at, std::int64_t value);
    void one(int at, const std::string& value);
    sqlite3_stmt* statement_ = nullptr;
};

enum class RowKind { interval, freeze, month, change, move, manual, replacement };
enum class RowQuality { good, estimated, manual, released, voided };

struct ReadingOnDisk {
    std::int64_t seq = 0, epoch = 0, run = 0, mono_ms = 0, wall_ms = 0;
    std::string meter, account;
    RowKind kind = RowKind::interval;
    RowQuality quality = RowQuality::good;
    std::int64_t register_value = 0, total = 0;
    std::optional<std::int64_t> stands_at;
    std::int64_t supersedes = 0;  // the row in whose place it stands; 0: none
    std::string face;             // the register as an exact fraction, where 1e-3 cannot hold it
};
struct LegOnDisk {
    std::string book;
    std::int64_t amount = 0;
};
struct EntryOnDisk {
    std::int64_t seq = 0, amount = 0, line = 0, run = 0, mono_ms = 0, wall_ms = 0;
    std::string entry, kind, account, cause, month, receipt, by, second, reverses;
    std::string service, band, scope;  // of its line, where it has one
    std::vector<LegOnDisk> legs;
};
// What the books keep of a total at an edge, within the use that ends with a reading.
struct FigureOnDisk {
    std::string account, meter;
    std::int64_t reading = 0, at = 0, event = 0, total = 0;
};
struct LineOnDisk {
    std::int64_t line = 0, quantity = 0, posted = 0;
    std::int64_t price = 0;  // 1e-8 of the currency
    // "<service>|<month>|<tariff>|<version>|<season>|<band>|<tier>"
    std::string key;
};

class Books {
  public:
    explicit Books(const std::string& path);
    ~Books();
    Books(const Books&) = delete;
    Books& operator=(const Books&) = delete;

    [[nodiscard]] std::vector<ReadingOnDisk> readings_after(std::int64_t seq);
    [[nodiscard]] std::vector<EntryOnDisk> entries_after(std::int64_t seq);
    // What each book of the ledger holds by its own row.
    [[nodiscard]] std::map<std::string, std::int64_t> ledger();
    [[nodiscard]] std::string oldest_month();  // that anything is known of; "" or 2026-11
    // SHA-256 of a month's sealed files by name.
    [[nodiscard]] std::map<std::string, std::string> period_digests(const std::string& month);
    [[nodiscard]] std::map<std::string, LineOnDisk> lines_of(const std::string& account,
                                                             const std::string& month);
    [[nodiscard]] std::map<std::string, std::int64_t> counters_of(const std::string& account);
    // What whole steps hold back, by tariff.
    [[nodiscard]] std::map<std::string, std::int64_t> rests_of(const std::string& account);
    [[nodiscard]] bool posted(const std::string& account, const std::string& cause);
    // By account, of those that have one of that day or later; "" looks through all.
    [[nodiscard]] std::map<std::string, std::string> newest_days_posted(const std::string& from);
    [[nodiscard]] std::string oldest_day_posted(const std::string& account);
    // The newest reading of the meter that stands in the account's lines; 0: none.
    [[nodiscard]] std::int64_t charged_up_to(const std::string& account, const std::string& meter);
    [[nodiscard]] std::int64_t entries_with_cause(const std::string& cause);
    // The first hole in a series after `seq` that no recorded gap explains; "" where there is none.
    [[nodiscard]] std::string hole_in(const std::string& series, std::int64_t& seq);
    // Numbers that tell whether something was booked since.
    [[nodiscard]] std::int64_t newest_entry();
    [[nodiscard]] std::int64_t newest_reading();
    [[nodiscard]] std::int64_t newest_event(const std::string& kind);
    [[nodiscard]] bool has_event(std::int64_t seq, const std::string& kind);
    // What a late price or figure with that event changes on the account: `waiting`, `left`, or "".
    [[nodiscard]] bool settled(const std::string& account, std::int64_t event);
    [[nodiscard]] std::string settling_state(const std::string& account, std::int64_t event);
    [[nodiscard]] bool has_reading(std::int64_t seq);
    [[nodiscard]] std::int64_t figures();                    // how many there are
    [[nodiscard]] std::vector<FigureOnDisk> edge_figures();  // in order of events
    // Totals at full hours, from one instant to another.
    [[nodiscard]] std::vector<std::pair<std::int64_t, std::int64_t>> hours(const std::string& meter,
                                                                           std::int64_t from,
                                                                           std::int64_t to);
    struct Held {
        std::int64_t id = 0, run = 0, mono_ms = 0, register_value = 0;
        std::string meter, reason;
    };
    [[nodiscard]] std::vector<Held> open_quarantines();
    // UTC of a stamp as the books have it; nothing while its run was never trusted.
    [[nodiscard]] std::optional<std::int64_t> time_of(std::int64_t run, std::int64_t mono_ms);
    // The same as it was known when the stamp was made: nothing where it was dated later.
    [[nodiscard]] std::optional<std::int64_t> time_then(std::int64_t run, std::int64_t mono_ms);
    [[nodiscard]] std::optional<std::int64_t> time_of_event(std::int64_t seq);
    void forget_times() { offsets_.clear(); }

    // What is read while it lives is one state of the books: thousands of statements of one audit
    // take one lock.
    class OneState {
      public:
        explicit OneState(Books& books);
        ~OneState();
        OneState(const OneState&) = delete;
        OneState& operator=(const OneState&) = delete;

      private:
        sqlite3* db_;
    };

  private:
    Statement& prepared(const char* sql);
    const std::map<std::int64_t, std::int64_t>& offsets_of(std::int64_t run);
    sqlite3* db_ = nullptr;
    std::map<std::string, Statement> statements_;
    std::map<std::int64_t, std::map<std::int64_t, std::int64_t>> offsets_;  // run -> from -> offset
};

}  // namespace gatehouse::money
