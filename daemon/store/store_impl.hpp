// What the writing side holds between calls. Private to store*.cpp; engine thread only.
#pragma once

#include <unordered_map>

#include "daemon/store/decode.hpp"
#include "daemon/store/high_water.hpp"
#include "daemon/store/key_books.hpp"
#include "daemon/store/reserve.hpp"
#include "daemon/store/sql.hpp"
#include "daemon/store/store.hpp"

namespace gatehouse {

struct Store::Impl {
    // What a rollback brings back.
    struct Heads {
        store::Numbers last{};
        std::string event_hash, entry_hash;
    };

    Impl(const StoreOptions& options, Random& random);

    void start(const StoreOptions& options);
    void check_site(const std::string& site_id);
    bool older_copy(const store::Numbers& in_database, const std::string& last_run) const;
    void walk_book(const std::string& account, const std::string& from_month,
                   const std::function<void(store::EntryColumns&)>& take);
    void keep_step(std::int64_t account, std::int64_t meter, std::uint64_t reading, bool begins);
    // Goes on above the high water; returns the event that says so, to be the first row.
    EventRow jump(const store::Numbers& in_database, const Stamp& at);
    std::uint64_t take(Series series);
    void need_transaction() const;

    [[nodiscard]] std::int64_t meter_id(const std::string& meter);
    [[nodiscard]] std::int64_t account_id(const std::string& account);
    [[nodiscard]] std::int64_t kind_id(const std::string& kind);
    [[nodiscard]] std::int64_t ledger_account_id(const std::string& name);
    [[nodiscard]] std::int64_t line_id(std::int64_t account, const LineKey& key);
    [[nodiscard]] std::int64_t context_id(const ReadingRow& reading);
    std::uint64_t append_event(const EventRow& event);
    void append_leg(std::uint64_t entry, int n, const Leg& leg);
    [[nodiscard]] bool stands_behind(std::uint64_t reading, UtcMs at);
    void note_last(std::int64_t meter, const ReadingRow& reading);
    void flush_last();
    void load_last();
    void after_commit();
    [[nodiscard]] StoreSpace space();
    void release_reserve();
    [[nodiscard]] bool take_reserve();
    void forget_caches();

    Random& random;
    store::HighWater high_water;  // before the connection: its lock comes first
    store::Reserve reserve;
    sql::Connection connection;
    OpenReport report;
    Heads now, committed;
    // Pages instead of a disk: the limit, and whether the reserve beyond it is given up.
    std::int64_t max_pages = 0;
    bool pages_released = false;
    [[nodiscard]] std::uint64_t reserve_bytes() const;
    store::RunBases bases;
    AccountBooks books{connection, bases};
    KeyBooks key_books{connection};
    std::unordered_map<std::string, std::int64_t> meters, accounts, kinds, ledger_accounts;

    struct CachedContext {
        std::int64_t id = 0, epoch = 0;
        std::string account;
        std::optional<std::string> unit;
    };
    std::unordered_map<std::string, CachedContext> contexts;  // by meter

    // The newest stored row of each meter. Kept in memory and written once every kFlushEvery
    // readings: a row a reading would double what goes to flash.
    static constexpr std::uint64_t kFlushEvery = 65'536;
    std::unordered_map<std::int64_t, std::uint64_t> last_of_meter;
    std::vector<std::pair<std::int64_t, std::uint64_t>> undo_last;
    std::uint64_t marks_up_to = 0, undo_marks_up_to = 0;
};

}  // namespace gatehouse
