// What a day of a full site costs the flash, and what a year of it costs in time. Prints figures;
// only the bytes are judged, since they do not depend on the machine's speed.
#include <chrono>
#include <cstdio>
#include <fstream>

#include "tests/integration/store/store_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

constexpr int kMeters = 4'000, kQuarters = 96;
constexpr std::size_t kBatch = 1'024;
constexpr MonoMs kQuarterMs = 900'000, kDayMs = 96 * kQuarterMs;

// What this process made the kernel owe the disk.
std::uint64_t written() {
    std::ifstream file("/proc/self/io");
    std::string word;
    std::uint64_t value = 0;
    while (file >> word >> value) {
        if (word == "write_bytes:") return value;
    }
    return 0;
}

template <class Act>
std::int64_t measure_us(const Act& act) {
    const auto start = std::chrono::steady_clock::now();
    act();
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                                 start)
        .count();
}

std::string name(char front, int n) {
    return std::string(1, front) + "-" + std::to_string(n);
}

// A site that has run for a while: every account has its line and every meter its place.
class Site {
  public:
    explicit Site(const std::string& path) : path_(path), store_(open_store(path, "run-1")) {
        store_->begin();
        store_->put_registry(homes(kMeters), stamp_of(*store_));
        store_->put_run_offset(store_->report().run, {0, kMorning});
        for (int i = 0; i < kMeters; ++i) {
            EpochRow epoch;
            epoch.meter = name('e', i);
            epoch.serial = "s";
            epoch.opened = stamp_of(*store_);
            epochs_.push_back(store_->put_epoch(epoch));
        }
        store_->commit();
    }

    ReadingRow reading(int meter, MonoMs mono_ms) const {
        ReadingRow row = reading_of(*store_, name('e', meter), 1'234'567 + mono_ms / 10'000 + meter,
                                    mono_ms + meter);
        row.epoch = epochs_[static_cast<std::size_t>(meter)];
        row.account = name('a', meter);
        row.raw = {0x4496, static_cast<std::uint16_t>(meter)};
        return row;
    }

    void quarter(MonoMs mono_ms) {
        for (int i = 0; i < kMeters; i += static_cast<int>(kBatch)) {
            store_->begin();
            for (int m = i; m < std::min<int>(kMeters, i + static_cast<int>(kBatch)); ++m) {
                store_->append_reading(reading(m, mono_ms));
            }
            store_->commit();
        }
    }

    // Freezes, rollups, and one posting an account with its entry and its event.
    void midnight(int day, bool post) {
        const MonoMs mono_ms = (day + 1) * kDayMs;
        const std::int64_t local_day = kMorning / 86'400'000 + day;
        store_->begin();
        for (int m = 0; m < kMeters; ++m) {
            ReadingRow row = reading(m, mono_ms);
            row.kind = ReadingKind::freeze;
            row.stands_at = kMorning + mono_ms;
            const std::uint64_t seq = store_->append_reading(row);
            store_->put_day({row.meter, local_day, seq, row.total, row.quality});
            if (post) charge(m, day, seq, row.total);
        }
        store_->commit();
    }

    void hour(int hour) {
        store_->begin();
        for (int m = 0; m < kMeters; ++m) {
            store_->put_hour({name('e', m), kMorning / 3'600'000 + hour, Milli{1'234'567}});
        }
        store_->commit();
    }

    void charge(int m, int day, std::uint64_t to, Milli total) {
        const std::string account = name('a', m);
        const std::string cause = "day:" + format_date(date_from_days(kMorning / 86'400'000 + day));
        if (!store_->add_posting(account, cause)) return;
        const LineKey key{Service::electricity, "2026-11", "flat", {2026, 1, 1}, "", "", 1};
        const Due due{key, Price{48'830'000}, Milli{(day + 1) * 8'640}, Fen{(day + 1) * 422},
                      Fen{422}};
        Entry entry = charge_entry(account, due, cause);
        entry.entry = "E" + std::to_string(store_->next(Series::entry));
        entry.month = "2026-11";
        EntryExtra extra;
        extra.event = store_->append_event(
            {"entry.charge",
             R"({"account":")" + account + R"("})",
             R"({"schema":1,"seq":123456,"posting":"E1234","kind":"charge","amount":"-4.22",)"
             R"("balance_after":"95.12","cause":"day:2026-11-23","month":"2026-11","line":4711})",
             stamp_of(*store_),
             {}});
        store_->append_entry(entry, stamp_of(*store_), extra);
        const auto line = store_->put_line(account, key, {due.price, due.quantity, due.target});
        store_->add_line_part(line, {name('e', m), to - 1, to, Milli{8'640}});
        store_->put_mark({account, name('e', m), to, total});
        store_->put_counter({account, "flat", {2026, 1, 1}, due.quantity});
    }

    [[nodiscard]] Store& store() { return *store_; }
    void restart() {
        store_.reset();
        store_ = open_store(path_, "run-" + std::to_string(++runs_));
    }
    void close() { store_.reset(); }

  private:
    std::string path_;
    std::unique_ptr<Store> store_;
    std::vector<std::int64_t> epochs_;
    int runs_ = 1;
};

}  // namespace

TEST_CASE("a day of 4,000 meters writes at most 200 bytes a stored reading") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    Site site(path);
    site.midnight(0, true);  // lines, ledger accounts and contexts exist from the day before
    const std::uint64_t before = written(), rows = site.store().last(Series::reading);
    for (int quarter = 0; quarter < kQuarters; ++quarter) {
        site.quarter(kDayMs + quarter * kQuarterMs);
        if (quarter % 4 == 3) site.hour(24 + quarter / 4 + 1);
    }
    const std::uint64_t readings_only = written() - before;
    site.midnight(1, true);
    const std::uint64_t stored = site.store().last(Series::reading) - rows;
    const std::uint64_t size_before_close = std::filesystem::file_size(path);
    site.close();
    const std::uint64_t bytes = written() - before;
    std::printf(
        "flash: %llu readings, %llu bytes written a stored reading in all, %llu before "
        "midnight's freezes and charges; database %llu MiB\n",
        static_cast<unsigned long long>(stored), static_cast<unsigned long long>(bytes / stored),
        static_cast<unsigned long long>(readings_only / stored),
        static_cast<unsigned long long>(size_before_close >> 20));
    if (bytes == 0) {
        WARN("the temporary folder is no disk: nothing could be measured");
        return;
    }
    CHECK(bytes / stored <= 200);
    StoreReader reader(path);
    CHECK(reader.verify().first_bad == "");
}

TEST_CASE("a year of 4,000 meters: the start, a meter's days, an account's month") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    Site site(path);
    constexpr int kDays = 365;
    for (int day = 0; day < kDays; ++day) site.midnight(day, day >= kDays - 31);
    site.restart();
    Store& store = site.store();
    std::size_t rows = 0;
    const auto load = measure_us([&] {
        rows += store.load_registry().meters.size();
        rows += store.load_last_readings().size();
        rows += store.load_open_epochs().size() + store.load_marks().size();
        rows += store.load_days(kMorning / 86'400'000 + kDays - 8).size();
        rows += store.load_settlements("2026-11", {2026, 1, 1}).size();
        rows += store.load_ledger_accounts().size() + store.load_open_alerts().size();
    });
    CHECK(rows > 8u * kMeters);
    const auto reopen = measure_us([&] { site.restart(); });
    StoreReader reader(path);
    const std::int64_t from = kMorning / 86'400'000;
    std::size_t days = 0, entries = 0;
    static_cast<void>(reader.meter_days("e-1", from, from + 1));
    const auto year =
        measure_us([&] { days = reader.meter_days("e-1234", from, from + kDays).size(); });
    const auto month =
        measure_us([&] { entries = reader.why("a-2345", "2026-11").entries.size(); });
    CHECK(days == kDays);
    CHECK(entries == 31);
    std::printf(
        "a year: open %lld ms, loaders %lld ms, a meter's year of days %lld us, an "
        "account's why of a month %lld us\n",
        static_cast<long long>(reopen / 1'000), static_cast<long long>(load / 1'000),
        static_cast<long long>(year), static_cast<long long>(month));
}
