// What survives: kills, older copies, missing files, locks, a full disk, newer and foreign files.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "daemon/store/schema.hpp"
#include "tests/integration/store/store_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

void append_events(Store& store, int count) {
    store.begin();
    for (int i = 0; i < count; ++i) store.append_event(event_of(store, "meter.online", i));
    store.commit();
}

StoreError::Kind refused(const std::function<void()>& act) {
    try {
        act();
    } catch (const StoreError& error) {
        INFO(error.what());
        CHECK(std::string(error.what()).size() > 20);
        return error.kind;
    }
    FAIL("nothing was refused");
    return StoreError::Kind::other;
}

}  // namespace

TEST_CASE("numbers go on gapless over restarts and rollbacks") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    {
        auto store = open_store(path, "run-1");
        CHECK(store->report().created);
        append_events(*store, 3);
        store->begin();
        CHECK(store->append_event(event_of(*store, "meter.online", 4)) == 4);
        CHECK(store->draw(Series::receipt) == 1);
        store->rollback();
        CHECK(store->next(Series::event) == 4);
        CHECK(store->next(Series::receipt) == 1);
        store->begin();
        CHECK(store->append_event(event_of(*store, "meter.offline", 4)) == 4);
        CHECK(store->draw(Series::receipt) == 1);
        store->commit();
    }
    auto store = open_store(path, "run-2");
    CHECK_FALSE(store->report().created);
    CHECK_FALSE(store->report().restored);
    CHECK_FALSE(store->report().high_water_recreated);
    CHECK(store->report().run == 2);
    CHECK(store->last(Series::event) == 4);
    append_events(*store, 1);
    store->begin();
    CHECK(store->draw(Series::receipt) == 2);
    store->commit();
    StoreReader reader(path);
    const auto proof = reader.verify();
    CHECK(proof.events == 5);
    CHECK(proof.first_bad == "");
    CHECK(reader.runs().size() == 2);
}

TEST_CASE("a kill in the middle of a batch leaves the batches before it and no gap") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    for (int round = 0; round < 5; ++round) {
        int ready[2];
        REQUIRE(::pipe(ready) == 0);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            auto store = open_store(path, "run-" + std::to_string(round));
            append_events(*store, 10);
            store->begin();
            store->append_event(event_of(*store, "meter.online", 0));
            if (::write(ready[1], "x", 1) != 1) ::_exit(1);
            while (true) ::pause();
        }
        char byte = 0;
        REQUIRE(::read(ready[0], &byte, 1) == 1);
        REQUIRE(::kill(child, SIGKILL) == 0);
        REQUIRE(::waitpid(child, nullptr, 0) == child);
        ::close(ready[0]);
        ::close(ready[1]);
    }
    auto store = open_store(path, "after");
    CHECK_FALSE(store->report().restored);
    CHECK(store->report().lines.empty());
    CHECK(store->last(Series::event) == 50);
    StoreReader reader(path);
    CHECK(reader.verify().first_bad == "");
}

TEST_CASE("a restored older copy goes on above everything ever issued, and says so first") {
    const Folder folder;
    const std::string path = folder.file("books.db"), copy = folder.file("copy.db");
    {
        auto store = open_store(path, "run-1");
        append_events(*store, 3);
    }
    std::filesystem::copy_file(path, copy);
    std::uint64_t issued = 0;
    const bool same_run = GENERATE(false, true);
    {
        // The copy may be of the very run that the file knows as the last one.
        auto store = open_store(path, "run-2");
        if (same_run) {
            store.reset();
            std::filesystem::remove(copy);
            std::filesystem::copy_file(path, copy);
            std::filesystem::remove(path);
            std::filesystem::copy_file(copy, path);
            store = open_store(path, "run-3");
        }
        append_events(*store, 7);
        store->begin();
        CHECK(store->draw(Series::receipt) == 1);
        store->commit();
        issued = store->last(Series::event);
        CHECK(issued == 10);
    }
    std::filesystem::remove(path);
    std::filesystem::copy_file(copy, path);
    {
        auto store = open_store(path, "run-4");
        CHECK(store->report().restored);
        CHECK(store->report().lines.size() == 1);
        CHECK(store->last(Series::event) > issued);
        CHECK(store->next(Series::receipt) > 1);
        StoreReader reader(path);
        const auto events = reader.events_after(3, 10);
        REQUIRE(events.size() == 1);
        CHECK(events[0].kind == "log.restored");
        CHECK(events[0].body.find("\"after\":3") != std::string::npos);
        append_events(*store, 1);
        CHECK(reader.verify().first_bad == "");
    }
    // From there on starts are as always.
    auto store = open_store(path, "run-5");
    CHECK_FALSE(store->report().restored);
    StoreReader reader(path);
    CHECK(reader.verify().first_bad == "");
}

TEST_CASE("deleting the database does not issue its numbers again") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    append_events(*open_store(path, "run-1"), 5);
    std::filesystem::remove(path);
    auto store = open_store(path, "run-2");
    CHECK(store->report().created);
    CHECK(store->report().restored);
    CHECK(store->last(Series::event) > 5);
    StoreReader reader(path);
    CHECK(reader.verify().first_bad == "");
}

TEST_CASE("a missing or damaged high-water file is made anew, and the log says so") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    append_events(*open_store(path, "run-1"), 2);
    if (GENERATE(true, false)) {
        std::filesystem::remove(path + ".highwater");
    } else {
        std::fstream file(path + ".highwater", std::ios::in | std::ios::out | std::ios::binary);
        file << "xxxxxxxxxxxx";
        file.seekp(4096);
        file << "xxxxxxxxxxxx";
    }
    {
        auto store = open_store(path, "run-2");
        CHECK(store->report().high_water_recreated);
        CHECK_FALSE(store->report().restored);
        StoreReader reader(path);
        const auto events = reader.events_after(2, 10);
        REQUIRE(events.size() == 1);
        CHECK(events[0].seq == 3);
        CHECK(events[0].kind == "log.high_water_recreated");
    }
    CHECK_FALSE(open_store(path, "run-3")->report().high_water_recreated);
}

TEST_CASE("one torn slot of the high-water file is covered by the other") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    append_events(*open_store(path, "run-1"), 2);
    {
        std::fstream file(path + ".highwater", std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(GENERATE(0, 4096));
        file << "torn";
    }
    auto store = open_store(path, "run-2");
    CHECK_FALSE(store->report().high_water_recreated);
    append_events(*store, 1);
    StoreReader reader(path);
    CHECK(reader.verify().first_bad == "");
}

TEST_CASE("a second daemon is kept off the same books") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    auto store = open_store(path, "run-1");
    CHECK(refused([&] { open_store(path, "run-2"); }) == StoreError::Kind::busy);
}

TEST_CASE("files that are not ours are refused and left as they are") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    SECTION("a newer schema") {
        open_store(path, "run-1").reset();
        {
            OtherHand hand(path);
            REQUIRE(hand.run("PRAGMA user_version=999") == "");
        }
        CHECK(refused([&] { open_store(path, "run-2"); }) == StoreError::Kind::newer_schema);
    }
    SECTION("another program's database") {
        {
            OtherHand hand(path);
            REQUIRE(hand.run("CREATE TABLE theirs(x)") == "");
        }
        CHECK(refused([&] { open_store(path, "run-1"); }) == StoreError::Kind::corrupt);
        OtherHand hand(path);
        CHECK(hand.run("INSERT INTO theirs VALUES(1)") == "");
    }
    SECTION("no database at all") {
        std::ofstream(path) << std::string(8192, 'x');
        CHECK(refused([&] { open_store(path, "run-1"); }) == StoreError::Kind::corrupt);
    }
    SECTION("another site's books") {
        open_store(path, "run-1").reset();
        StoreOptions options = options_for(path, "run-2");
        options.site_id = "hillside";
        SeededRandom random;
        CHECK(refused([&] { Store(options, random); }) == StoreError::Kind::other);
    }
    SECTION("a folder that is not there") {
        CHECK(refused([&] { open_store(folder.file("none/books.db"), "run-1"); }) ==
              StoreError::Kind::io);
    }
}

TEST_CASE("migrations run one by one, a copy before them, and a failed one changes nothing") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    const char* first = "CREATE TABLE a(x INTEGER) STRICT; INSERT INTO a VALUES(1);";
    const char* second = "CREATE TABLE b(x INTEGER) STRICT; INSERT INTO b SELECT x FROM a;";
    const char* broken = "CREATE TABLE c(x INTEGER) STRICT; INSERT INTO nowhere VALUES(1);";
    {
        sql::Connection connection(path, sql::Connection::Mode::write);
        const auto done = store::migrate(connection, {first});
        CHECK(done.from == 0);
        CHECK(done.to == 1);
        CHECK(done.backup.empty());
    }
    {
        sql::Connection connection(path, sql::Connection::Mode::write);
        CHECK(refused([&] {
                  store::migrate(connection, {first, second, broken});
              }) == StoreError::Kind::other);
        // The second stands, the third left nothing behind.
        CHECK(sql::number(connection, "PRAGMA user_version") == 2);
        CHECK(sql::number(connection, "SELECT x FROM b") == 1);
        CHECK(sql::number(connection, "SELECT count(*) FROM sqlite_schema WHERE name='c'") == 0);
    }
    sql::Connection connection(path, sql::Connection::Mode::write);
    const auto done = store::migrate(connection, {first, second, "CREATE TABLE d(x) "});
    CHECK(done.from == 2);
    CHECK(done.backup == path + ".schema-2.backup");
    sql::Connection copy(path + ".schema-1.backup", sql::Connection::Mode::read);
    CHECK(sql::number(copy, "PRAGMA user_version") == 1);
    CHECK(sql::number(copy, "SELECT x FROM a") == 1);
}

TEST_CASE("a locked database is reported and recovers without a restart") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    auto store = open_store(path, "run-1");
    {
        OtherHand hand(path);
        REQUIRE(hand.run("BEGIN IMMEDIATE") == "");
        CHECK(refused([&] { store->begin(); }) == StoreError::Kind::busy);
        store->rollback();
        CHECK_FALSE(store->in_transaction());
    }
    append_events(*store, 2);
    CHECK(store->last(Series::event) == 2);
}

TEST_CASE("a full disk is reported, keeps nothing of the batch, and recovers once space is made") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    StoreOptions options = options_for(path, "run-1");
    options.max_pages = 400;
    SeededRandom random;
    Store store(options, random);
    store.begin();
    store.put_registry(homes(10), stamp_of(store));
    store.commit();
    const auto batch = [&store](std::uint64_t rows) {
        store.begin();
        for (std::uint64_t i = 0; i < rows; ++i) {
            store.append_reading(reading_of(store, "e-" + std::to_string(i % 10), 1'000,
                                            static_cast<MonoMs>(2'000 + i)));
        }
        store.commit();
    };
    std::uint64_t before = 0;
    const auto fill = [&] {
        while (true) {
            before = store.last(Series::reading);
            batch(500);
        }
    };
    CHECK(refused(fill) == StoreError::Kind::full);
    store.rollback();
    CHECK(before >= 500);
    CHECK(store.last(Series::reading) == before);
    CHECK(refused([&] { batch(500); }) == StoreError::Kind::full);
    store.rollback();

    store.begin();
    const std::size_t dropped = store.drop_interval_readings(before - 100);
    CHECK(store.drop_interval_readings(before - 200) == 0);
    CHECK(store.intervals_dropped() == before - 100);
    store.commit();
    CHECK(dropped >= before - 100 - 10);
    CHECK_NOTHROW(batch(500));
    CHECK(store.last(Series::reading) == before + 500);
    StoreReader reader(path);
    CHECK(reader.verify().first_bad == "");
    CHECK(reader.readings_after(0, 10).truncated);
}

TEST_CASE("a reader in the middle of its work does not hold up the writer") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    auto store = open_store(path, "run-1");
    append_events(*store, 3'000);
    StoreReader reader(path);
    int commits = 0;
    const auto proof = reader.verify([&] {
        append_events(*store, 10);
        ++commits;
        return false;
    });
    CHECK(commits >= 2);
    CHECK(proof.first_bad == "");
    CHECK(proof.events == 3'000);  // as it was when the reader began
    CHECK(reader.verify().events == 3'000 + static_cast<std::uint64_t>(commits) * 10);
    CHECK(reader.verify([] { return true; }).first_bad == "stopped before the end");
}
