// What the engine stores comes back as it was: at the start through the loaders, and to readers.
#include <algorithm>

#include "daemon/store/sql.hpp"
#include "tests/integration/store/store_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

Registry full_registry() {
    Registry registry = homes(2);
    Unit& unit = registry.units[0];
    unit.label = "3栋2单元1201";
    unit.building = "3";
    unit.entrance = "2";
    unit.floor = "12";
    unit.use = Use::shop;
    unit.status = UnitStatus::let;
    unit.area_centi = 8'937;
    unit.persons = 6;
    unit.walk_order = 4;
    unit.collector = "s-01";
    unit.care = "elderly";
    registry.people.push_back({"p-1", PersonKind::tenant, "李四", "138", "h-0", "Acme",
                               LocalDate{2026, 1, 2}, LocalDate{2027, 1, 1}});
    Meter& meter = registry.meters[0];
    meter.service = Service::water;
    meter.role = MeterRole::public_;
    meter.parent = "e-1";
    meter.address = 7;
    meter.channel = 2;
    meter.profile = "arad-octave";
    meter.nameplate = "N1";
    meter.location = "shaft";
    meter.multiplier = "0.01";
    meter.offset = "12.5";
    meter.rated_amps = "60";
    meter.rated_flow = "2.5";
    meter.opening_register = "100.25";
    meter.opening_at = "2026-01-01";
    meter.account = "a-0";
    meter.tariff = "ladder";
    meter.status = MeterStatus::stored;
    Account& account = registry.accounts[0];
    account.service = AccountService::all;
    account.tariffs = {"flat", "ladder"};
    account.holder = "p-1";
    account.billing = Billing::internal;
    account.opening_balance = Fen{-327};
    account.opening_ladder = {Milli{1'000}};
    account.live_from = LocalDate{2026, 12, 1};
    account.low_balance = Fen{5'000};
    account.critical_balance = Fen{1'000};
    account.overdraft = Fen{200};
    account.hoarding_cap = Fen{200'000};
    account.low_days = 7;
    account.critical_days = 0;
    account.chase = false;
    account.old_number = "0042";
    account.closed = "2026-12-31";
    Tariff tariff;
    tariff.tariff = "ladder";
    tariff.label = {{"en", "Ladder"}, {"zh-CN", "阶梯"}};
    tariff.service = Service::water;
    tariff.source = "gazette";
    tariff.uses = {Use::home, Use::common};
    TariffVersion version;
    version.valid_from = {2026, 1, 1};
    version.ladder = LadderPeriod::year;
    version.ladder_from_month = 7;
    version.tiers = {{{5, 6, 7}, Milli{260'000}, Price{58'886'875}, Price{0}},
                     {{}, {}, Price{63'886'875}, Price{5'000'000}}};
    version.bands = {{"peak", 480, 1'320, {1, 12}, BandDays::workday, Price{56'800'000}},
                     {"valley", 1'320, 480, {}, BandDays::all, Price{28'800'000}}};
    version.per_person = PerPerson{6, Milli{100'000}};
    version.fixed = {{"service", FeePeriod::day, Fen{200}}};
    version.minimum = Fen{500};
    version.quantity_step = Milli{1'000};
    tariff.versions.push_back(version);
    version.valid_from = {2027, 1, 1};
    version.bands.clear();
    tariff.versions.push_back(version);
    registry.tariffs.push_back(tariff);
    registry.pools.push_back(
        {"lift", Service::electricity, {"e-1"}, {"e-0"}, {"h-0", "h-1"}, PoolShare::area, "flat"});
    registry.calendar.push_back({{2027, 1, 1}, DayKind::holiday, "元旦"});
    registry.staff.push_back({"s-01",
                              "王五",
                              {StaffRole::desk, StaffRole::head},
                              "客服",
                              "139",
                              {"w26:1234", "hmac256:ab"},
                              LocalDate{2028, 1, 1},
                              Fen{50'000}});
    registry.keys.push_back({"k-1",
                             KeyClass::master,
                             "kc-01",
                             12,
                             "box",
                             "E004",
                             2,
                             {"h-0"},
                             3'600'000,
                             "18:00",
                             true,
                             "S1",
                             "set",
                             "label"});
    return registry;
}

}  // namespace

TEST_CASE("every field of the registry comes back, and its order") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    Registry registry = full_registry();
    {
        auto store = open_store(path, "run-1");
        store->begin();
        store->put_registry(registry, stamp_of(*store));
        store->commit();
        CHECK(store->load_registry() == registry);

        registry.units[1].label = "changed";
        registry.accounts[0].holder = "p-2";
        registry.tariffs[1].versions[0].tiers.pop_back();
        registry.tariffs[1].label.erase("en");
        registry.staff[0].roles = {StaffRole::cashier};
        std::swap(registry.meters[0], registry.meters[1]);
        store->begin();
        store->put_registry(registry, stamp_of(*store, 9'000));
        store->commit();
    }
    CHECK(open_store(path, "run-2")->load_registry() == registry);
    StoreReader reader(path);
    CHECK(reader.registry() == registry);
    sql::Connection connection(path, sql::Connection::Mode::read);
    CHECK(sql::number(connection, "SELECT count(*) FROM holder_history") == 2);
}

TEST_CASE("a reading has all that the contract names, in corrected time") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    auto store = open_store(path, "run-1");
    store->begin();
    store->put_registry(homes(2), stamp_of(*store));
    EpochRow epoch;
    epoch.meter = "e-0";
    epoch.serial = "A17";
    epoch.multiplier = "120";
    epoch.base_total = Milli{5};
    epoch.id = store->put_epoch(epoch);
    ReadingRow row = reading_of(*store, "e-0", 123'456, 5'000);
    row.epoch = epoch.id;
    row.account = "a-0";
    row.face = "123456/1000";
    CHECK(store->append_reading(row) == 1);
    row.kind = ReadingKind::month;
    row.quality = ReadingQuality::estimated;
    row.stands_at = kMorning - 60'000;
    row.supersedes = 1;
    CHECK(store->append_reading(row) == 2);
    store->commit();

    StoreReader reader(path);
    ReadingPage page = reader.readings_after(0, 10);
    REQUIRE(page.items.size() == 2);
    CHECK_FALSE(page.has_more);
    CHECK(page.first == 1);
    CHECK(page.next == 2);
    const StoredReading& reading = page.items[0];
    CHECK(reading.unit == "h-0");
    CHECK(reading.serial == "A17");
    CHECK(reading.multiplier == "120");
    CHECK(reading.role == MeterRole::unit);
    CHECK(reading.row.account == "a-0");
    CHECK(reading.row.epoch == epoch.id);
    CHECK(reading.row.raw == row.raw);
    CHECK(reading.row.face == "123456/1000");
    CHECK(reading.row.at == row.at);
    CHECK(reading.at.at == kMorning + 4'000);
    CHECK_FALSE(reading.at.trusted);
    CHECK(page.items[1].at.at == kMorning - 60'000);
    CHECK(page.items[1].row.supersedes == 1);
    CHECK(page.items[1].row.quality == ReadingQuality::estimated);

    // Once the clock is trusted the run's earlier rows are dated back, and nothing is rewritten.
    store->begin();
    store->put_run_offset(store->report().run, {60'000, kMorning + 3'600'000});
    store->put_run_offset(store->report().run, {90'000, kMorning + 3'700'000});
    store->commit();
    page = reader.readings_after(0, 10);
    CHECK(page.items[0].at.at == kMorning + 3'605'000);
    CHECK(page.items[0].at.trusted);
    CHECK(page.items[0].row.at == row.at);
    CHECK(reader.time({store->report().run, 95'000, 0}).at == kMorning + 3'795'000);
    CHECK_FALSE(reader.time({99, 95'000, 7}).trusted);

    CHECK(reader.readings_after(0, 10, {ReadingKind::month, "", {}, {}}).items.size() == 1);
    CHECK(reader.readings_after(0, 10, {{}, "e-1", {}, {}}).items.empty());
    CHECK(reader.readings_after(0, 1).has_more);
    CHECK(reader.readings_after(0, 10, {{}, "", kMorning, {}}).items.size() == 1);
}

TEST_CASE("a meter's history is found by time, hour and day") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    auto store = open_store(path, "run-1");
    constexpr std::int64_t kMinute = 60'000;
    const std::int64_t today = kMorning / 86'400'000;
    store->begin();
    store->put_registry(homes(3), stamp_of(*store));
    store->put_run_offset(store->report().run, {0, kMorning});
    for (int quarter = 0; quarter < 200; ++quarter) {
        for (int m = 0; m < 3; ++m) {
            ReadingRow row = reading_of(*store, "e-" + std::to_string(m), quarter * 10 + m,
                                        quarter * 15 * kMinute);
            const bool midnight = quarter % 96 == 0 && quarter > 0;
            if (midnight) row.kind = ReadingKind::freeze;
            const std::uint64_t seq = store->append_reading(row);
            if (midnight) {
                store->put_day({row.meter, today + quarter / 96 - 1, seq, row.total, row.quality});
            }
            if (quarter % 4 == 0) {
                store->put_hour(
                    {row.meter, (kMorning + quarter * 15 * kMinute) / 3'600'000, row.total});
            }
        }
    }
    ReadingRow late = reading_of(*store, "e-1", 55, 200 * 15 * kMinute);
    late.kind = ReadingKind::manual;
    late.stands_at = kMorning + 20 * kMinute;
    store->append_reading(late);
    store->commit();

    StoreReader reader(path);
    const UtcMs noon = kMorning + 12 * 60 * kMinute;
    const auto page = reader.meter_readings("e-1", noon, noon + 60 * kMinute, 0, 100);
    REQUIRE(page.items.size() == 4);
    CHECK(page.items[0].row.total == Milli{481});
    CHECK(page.items[0].at.at == noon);
    const auto first = reader.meter_readings("e-1", noon, noon + 60 * kMinute, 0, 3);
    CHECK(first.has_more);
    CHECK(reader.meter_readings("e-1", noon, noon + 60 * kMinute, first.next, 3).items.size() == 1);
    // What was typed in later is found where it stands.
    CHECK(reader.meter_readings("e-1", kMorning + kMinute, kMorning + 30 * kMinute, 0, 9)
              .items.size() == 2);
    const auto hours = reader.meter_hours("e-2", kMorning, kMorning + 5 * 3'600'000);
    REQUIRE(hours.size() == 5);
    CHECK(hours[1].total == Milli{42});
    const auto days = reader.meter_days("e-0", today - 1, today + 9);
    REQUIRE(days.size() == 2);
    CHECK(days[0].day == today);
    CHECK(days[0].at == kMorning + 86'400'000);
    CHECK(days[1].total == Milli{1'920});
    CHECK(reader.meter_days("nobody", today, today + 9).empty());
    CHECK(reader.meter_days("e-0", today, today).empty());
}

TEST_CASE("a restart finds the whole state of the engine") {
    const Folder folder;
    const std::string path = folder.file("books.db");
    const LineKey key{Service::electricity, "2026-11", "flat", {2026, 1, 1}, "", "", 1};
    AlertRow alert{"01J", "low_balance", "raised", "a-0", "a-0", "h-0", 1, false, 5, 6,
                   1,     "{}",          true};
    {
        auto store = open_store(path, "run-1");
        store->begin();
        store->put_registry(homes(2), stamp_of(*store));
        EpochRow epoch;
        epoch.meter = "e-0";
        epoch.opened = stamp_of(*store);
        epoch.base_figure = Milli{77};
        CHECK(store->put_epoch(epoch) == 1);
        CHECK(store->put_epoch(epoch) == 2);
        epoch.id = 1;
        epoch.closed = stamp_of(*store);
        store->put_epoch(epoch);
        store->append_reading(reading_of(*store, "e-0", 1, 2'000));
        store->append_reading(reading_of(*store, "e-1", 2, 3'000));
        store->append_reading(reading_of(*store, "e-0", 3, 4'000));
        ReadingRow corrected = reading_of(*store, "e-0", 0, 5'000);
        corrected.supersedes = 1;
        store->append_reading(corrected);
        store->put_mark({"a-0", "e-0", 1, Milli{1}});
        store->put_mark({"a-0", "e-0", 3, Milli{3}});
        store->put_day({"e-0", 100, 1, Milli{1}, ReadingQuality::good});
        store->put_day({"e-0", 101, 3, Milli{3}, ReadingQuality::estimated});
        QuarantineRow held;
        held.meter = "e-1";
        held.at = stamp_of(*store);
        held.reason = "cap";
        held.held = Fen{42};
        CHECK(store->put_quarantine(held) == 1);
        CHECK(store->put_quarantine(held) == 2);
        held.id = 1;
        held.state = QuarantineRow::State::rejected;
        held.by = "s-01";
        store->put_quarantine(held);
        store->put_line("a-0", key, {Price{48'830'000}, Milli{0}, Fen{0}});
        store->put_counter({"a-0", "flat", {2026, 1, 1}, Milli{9}});
        store->put_counter({"a-0", "flat", {2025, 1, 1}, Milli{8}});
        alert.seq = store->append_event(event_of(*store, "alert.raised", 1));
        store->put_alert(alert);
        store->add_ack({"01J", 1, "s-01", "phone", "called", "will pay"});
        store->put_topic_head("alert/low_balance", 1);
        store->put_mqtt_cursor(1);
        store->put_newest_trusted(kMorning);
        store->put_note("digest", "2026-11-22");
        store->put_token({"t1", "office", {"readings:read", "admin"}, "ab", 1, {}, {}, {}});
        CHECK(store->add_idempotency({"key", "topups", "hash", 1, "{}"}, stamp_of(*store)));
        CHECK_FALSE(store->add_idempotency({"key", "topups", "h2", 1, "{}"}, stamp_of(*store)));
        store->commit();
    }
    auto store = open_store(path, "run-2");
    auto last = store->load_last_readings();
    std::sort(last.begin(), last.end(),
              [](const ReadingRow& a, const ReadingRow& b) { return a.meter < b.meter; });
    REQUIRE(last.size() == 2);
    CHECK(last[0].seq == 3);  // a correction of an older row is not where the meter stands
    CHECK(last[0].total == Milli{3});
    CHECK(last[0].at.run == 1);
    CHECK(last[1].seq == 2);
    REQUIRE(store->load_marks().size() == 1);
    CHECK(store->load_marks()[0].reading == 3);
    REQUIRE(store->load_days(101).size() == 1);
    CHECK(store->load_days(101)[0].quality == ReadingQuality::estimated);
    REQUIRE(store->load_open_quarantine().size() == 1);
    CHECK(store->load_open_quarantine()[0].id == 2);
    CHECK(store->load_open_quarantine()[0].held == Fen{42});
    const auto epochs = store->load_open_epochs();
    REQUIRE(epochs.size() == 1);
    CHECK(epochs[0].id == 2);
    CHECK(epochs[0].base_figure == Milli{77});
    const auto settlements = store->load_settlements("2026-11", {2026, 1, 1});
    REQUIRE(settlements.count("a-0") == 1);
    CHECK(settlements.at("a-0").lines.count(key) == 1);
    CHECK(settlements.at("a-0").counters.size() == 1);
    CHECK(store->load_settlements("2026-12", {2026, 2, 1}).empty());
    REQUIRE(store->load_open_alerts().size() == 1);
    CHECK(store->load_open_alerts()[0].payload == "{}");
    CHECK(store->load_topic_heads().at("alert/low_balance") == 1);
    CHECK(store->load_mqtt_cursor() == 1);
    CHECK(store->load_newest_trusted() == kMorning);
    CHECK(store->load_note("digest") == "2026-11-22");
    CHECK(store->load_note("none").empty());
    CHECK(store->load_runs().size() == 2);
    REQUIRE(store->load_tokens().size() == 1);
    CHECK(store->load_tokens()[0].scopes == std::vector<std::string>{"readings:read", "admin"});
    CHECK(store->idempotency("key")->body_hash == "hash");
    CHECK_FALSE(store->idempotency("none"));

    store->begin();
    alert.open = false;
    alert.state = "cleared";
    alert.seq = store->append_event(event_of(*store, "alert.cleared", 2));
    store->put_alert(alert);
    alert.id = "01K";  // a new one for the same subject, once the old is closed
    alert.open = true;
    store->put_alert(alert);
    store->commit();
    StoreReader reader(path);
    CHECK(reader.alerts(true, "", 10).size() == 1);
    CHECK(reader.alerts(false, "", 10).size() == 2);
    CHECK(reader.alerts(false, "01J", 10).size() == 1);
    CHECK(reader.alert("01J")->state == "cleared");
    CHECK(reader.acks("01J").size() == 1);
    CHECK(reader.token("t1")->secret_hash == "ab");
    CHECK(reader.tokens().size() == 1);
    CHECK(reader.quarantine({}, 0, 10).size() == 2);
    CHECK(reader.quarantine(QuarantineRow::State::open, 0, 10).size() == 1);
    CHECK(reader.topic_head("alert/low_balance") == 1);
    CHECK(reader.idempotency("key")->reply == "{}");
}

TEST_CASE("what names a meter or an account that nobody knows is refused") {
    const Folder folder;
    auto store = open_store(folder.file("books.db"), "run-1");
    store->begin();
    CHECK_THROWS_AS(store->append_reading(reading_of(*store, "ghost", 1, 1)), StoreError);
    CHECK_THROWS_AS(store->put_mark({"ghost", "e-0", 1, Milli{1}}), StoreError);
    store->rollback();
    CHECK(store->next(Series::reading) == 1);
}
