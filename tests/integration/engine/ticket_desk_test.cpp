// Tickets beside their keys in the engine: what closes with a key out, numbers, and the month of
// repairs that is filed.
#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <random>

#include "daemon/engine/key_codec.hpp"
#include "daemon/engine/key_room.hpp"
#include "daemon/engine/repair_summary.hpp"
#include "daemon/store/reader.hpp"
#include "tests/integration/engine/key_house.hpp"
#include "tests/support/catch.hpp"

using namespace gatehouse;
using namespace gatehouse::testing;

namespace {

using T = KeyEventType;

// Reported at that time, in a category of its own, and its number.
std::string reported_at(KeyHouse& keys, const std::string& time,
                        ReplyKind expected = ReplyKind::created) {
    OpenTicket open;
    open.kind = "repair";
    open.unit = "u-2";
    open.text = "a pane";
    open.by = "s-1";
    open.reported_at = time;
    const Reply reply = keys.work(open);
    REQUIRE(reply.kind == expected);
    return std::string(boost::json::parse(reply.json).at("number").as_string());
}

// opening, reported, done, cancelled, closing of a month; and that they foot.
std::vector<int> counts_of(KeyHouse& keys, LocalDate month, const Zone& zone) {
    StoreReader reader(keys.house.path());
    KeyBooks books = reader.key_books();
    const RepairMonth repairs = read_repair_month(
        books, zone.midnight(month), zone.midnight(next_month(month)), keys.house.clock.wall);
    CHECK(repairs.total.foots());
    const RepairCounts& one = repairs.total;
    return {one.opening, one.reported, one.done, one.cancelled, one.closing};
}

}  // namespace

TEST_CASE("a ticket waits for its key, and numbers have no gap") {
    KeyHouse keys;
    const std::string first = keys.ticket("u-1"), second = keys.ticket("u-2");
    CHECK(first.substr(first.size() - 5) == "-0001");
    CHECK(second.substr(second.size() - 5) == "-0002");
    for (const TicketAction action :
         {TicketAction::dispatch, TicketAction::accept, TicketAction::start})
        REQUIRE(keys.move(first, action).kind == ReplyKind::ok);
    REQUIRE(keys.push({keys.event(T::key_removed, 0, "s-2", 1)}).kind == ReplyKind::ok);
    REQUIRE(keys.move(first, TicketAction::done).kind == ReplyKind::ok);
    REQUIRE(keys.move(first, TicketAction::visit).kind == ReplyKind::ok);
    CHECK(keys.move(first, TicketAction::close).type == "ticket-keys-out");
    REQUIRE(keys.push({keys.event(T::key_returned, 0, "s-2", 1)}).kind == ReplyKind::ok);
    CHECK(keys.move(first, TicketAction::close).kind == ReplyKind::ok);
    keys.house.reopen();
    CHECK(keys.ticket("u-3").ends_with("-0003"));
    CHECK(keys.move(second, TicketAction::start).type == "ticket-state");
}

TEST_CASE("a ticket does not close with its key out or lost, whoever has the ticket now") {
    KeyHouse keys;
    const std::string number = keys.ticket("u-1");
    REQUIRE(keys.move(number, TicketAction::dispatch).kind == ReplyKind::ok);
    REQUIRE(keys.push({keys.event(T::key_removed, 0, "s-2", 1)}).kind == ReplyKind::ok);
    keys.house.pass(kMinute);
    REQUIRE(keys.move(number, TicketAction::decline).kind == ReplyKind::ok);
    TicketAct other;
    other.number = number;
    other.move.action = TicketAction::dispatch;
    other.move.by = "s-1";
    other.move.crew = {"s-3"};
    REQUIRE(keys.work(other).kind == ReplyKind::ok);
    for (const TicketAction action :
         {TicketAction::accept, TicketAction::start, TicketAction::done, TicketAction::visit})
        REQUIRE(keys.move(number, action).kind == ReplyKind::ok);
    keys.house.pass(20 * kMinute);
    for (const std::string& alert : keys.open_alerts()) CHECK(alert != "key_out_no_ticket@k-1");
    CHECK(keys.move(number, TicketAction::close).type == "ticket-keys-out");
    KeyAct lost;
    lost.key = "k-1";
    lost.what = KeyAct::What::lose;
    lost.by = "s-1";
    lost.reason = "dropped";
    REQUIRE(keys.work(lost).kind == ReplyKind::ok);
    CHECK(keys.move(number, TicketAction::close).type == "ticket-keys-out");
    lost.what = KeyAct::What::find;
    REQUIRE(keys.work(lost).kind == ReplyKind::ok);
    CHECK(keys.move(number, TicketAction::close).kind == ReplyKind::ok);
    StoreReader reader(keys.house.path());
    const auto loans = reader.key_books().loans_of("k-1", 10);
    REQUIRE(loans.size() == 1);
    CHECK(loans[0].body.find("in_at") == std::string::npos);
    CHECK(loans[0].body.find("lost_at") != std::string::npos);
}

TEST_CASE("a month of repairs is filed on the third day after it, once, and holds no words") {
    KeyHouse keys;
    const std::string number = keys.ticket("u-1");
    const UtcMs then = keys.house.clock.wall_ms();
    const auto owned = make_zone(keys.house.options.timezone);
    const Zone& zone = *owned;
    StoreReader reader(keys.house.path());
    KeyBooks books = reader.key_books();
    const LocalDate today = zone.local(then).date;
    const LocalDate month{today.year, today.month, 1};
    const UtcMs over = zone.midnight(next_month(month));
    CHECK_FALSE(month_to_file(books, then, zone));
    CHECK_FALSE(month_to_file(books, over + 2 * 86'400'000 - 1, zone));
    CHECK(month_to_file(books, over + 2 * 86'400'000, zone) == month);
    CHECK(month_to_file(books, over + 70 * 86'400'000LL, zone) == month);
    WriteRegister row;
    row.kind = kRepairsFiled;
    row.subject = format_date(month).substr(0, 7);
    row.event = "repairs.frozen";
    row.by_itself = row.once = true;
    row.body = filed_repairs(books, month, zone, "CNY");
    CHECK(row.body.find("a lamp") == std::string::npos);
    CHECK(row.body.find(number) != std::string::npos);
    CHECK(row.body.find(R"("foots":true)") != std::string::npos);
    CHECK(keys.work(row).kind == ReplyKind::created);
    CHECK(keys.work(row).type == "written-already");
    keys.house.pass(2'000);
    CHECK_FALSE(month_to_file(books, over + 2 * 86'400'000, zone));
    // Words that go do not amend it; a move that was written down in that month does.
    REQUIRE(keys.move(number, TicketAction::cancel).kind == ReplyKind::ok);
    CHECK(filed_repairs(books, month, zone, "CNY") != row.body);
}

TEST_CASE("a reopening in the next month changes nothing of the month that is over") {
    KeyHouse keys;
    const std::string number = keys.ticket("u-1");
    const auto finish = [&](Fen labour, const char* rating) {
        for (const TicketAction action :
             {TicketAction::dispatch, TicketAction::accept, TicketAction::start})
            REQUIRE(keys.move(number, action).kind == ReplyKind::ok);
        TicketAct done;
        done.number = number;
        done.move.action = TicketAction::done;
        done.move.by = "s-1";
        done.move.labour = labour;
        REQUIRE(keys.work(done).kind == ReplyKind::ok);
        TicketAct visit = done;
        visit.move.labour.reset();
        visit.move.action = TicketAction::visit;
        visit.move.rating = rating;
        REQUIRE(keys.work(visit).kind == ReplyKind::ok);
    };
    finish(Fen{5'000}, "C");
    const auto owned = make_zone(keys.house.options.timezone);
    const Zone& zone = *owned;
    const LocalDate today = zone.local(keys.house.clock.wall_ms()).date;
    const LocalDate month{today.year, today.month, 1};
    StoreReader reader(keys.house.path());
    KeyBooks books = reader.key_books();
    for (int i = 0; i < 12; ++i) keys.house.pass(kDay);
    const std::string filed = filed_repairs(books, month, zone, "CNY");
    CHECK(filed.find(R"("fees":"50.00")") != std::string::npos);
    CHECK(filed.find(R"("rated_c":1)") != std::string::npos);
    REQUIRE(keys.move(number, TicketAction::reopen).kind == ReplyKind::ok);
    CHECK(filed_repairs(books, month, zone, "CNY") == filed);
    finish(Fen{2'000}, "A");
    CHECK(filed_repairs(books, month, zone, "CNY") == filed);
    const std::string next = filed_repairs(books, next_month(month), zone, "CNY");
    CHECK(next.find(R"("fees":"20.00")") != std::string::npos);
    CHECK(next.find(R"("rated_a":1,"rated_b":0,"rated_c":0)") != std::string::npos);
}

TEST_CASE("a ticket counts in the month of its report until that is filed, and then as entered") {
    KeyHouse keys;
    const auto owned = make_zone(keys.house.options.timezone);
    const Zone& zone = *owned;
    const LocalDate today = zone.local(keys.house.clock.wall_ms()).date;
    const LocalDate month{today.year, today.month, 1};
    const int before = month.year * 12 + month.month - 2;
    const LocalDate last{before / 12, before % 12 + 1, 1};
    const std::string late = format_date(last).substr(0, 8) + "28T16:00";
    const std::string first = reported_at(keys, late);
    CHECK(counts_of(keys, last, zone) == std::vector<int>{0, 1, 0, 0, 1});
    CHECK(counts_of(keys, month, zone) == std::vector<int>{1, 0, 0, 0, 1});
    StoreReader reader(keys.house.path());
    KeyBooks books = reader.key_books();
    KeyBooks::TicketFilter filter;
    filter.from = zone.midnight(last);
    filter.to = zone.midnight(month);
    CHECK(books.tickets(filter, 10).size() == 1);
    const UtcMs third = zone.midnight(month) + 2 * 86'400'000;
    CHECK(month_to_file(books, third, zone) == last);
    WriteRegister row;
    row.kind = kRepairsFiled;
    row.subject = format_date(last).substr(0, 7);
    row.event = "repairs.frozen";
    row.by_itself = row.once = true;
    row.body = filed_repairs(books, last, zone, "CNY");
    CHECK(row.body.find("entered_late") == std::string::npos);
    REQUIRE(keys.work(row).kind == ReplyKind::created);
    const std::string second = reported_at(keys, late);
    CHECK(counts_of(keys, last, zone) == std::vector<int>{0, 1, 0, 0, 1});
    CHECK(counts_of(keys, month, zone) == std::vector<int>{1, 1, 0, 0, 2});
    CHECK(filed_repairs(books, last, zone, "CNY") == row.body);
    const RepairMonth now = read_repair_month(
        books, zone.midnight(month), zone.midnight(next_month(month)), keys.house.clock.wall);
    CHECK(now.entered_late == std::set<std::string>{second});
    CHECK(now.tickets.size() == 2);
    // What was done then and is typed now counts where its report does.
    TicketAct act;
    act.number = second;
    act.move.by = "s-1";
    act.move.crew = {"s-2"};
    act.move.at = parse_iso8601(late, zone).value() + 3'600'000;
    for (const TicketAction action :
         {TicketAction::dispatch, TicketAction::accept, TicketAction::start, TicketAction::done}) {
        act.move.action = action;
        REQUIRE(keys.work(act).kind == ReplyKind::ok);
    }
    CHECK(counts_of(keys, last, zone) == std::vector<int>{0, 1, 0, 0, 1});
    CHECK(counts_of(keys, month, zone) == std::vector<int>{1, 1, 1, 0, 1});
    const RepairMonth done = read_repair_month(
        books, zone.midnight(month), zone.midnight(next_month(month)), keys.house.clock.wall);
    CHECK(done.total.on_time == 1);
    CHECK(done.total.durations_ms == std::vector<std::int64_t>{3'600'000});
    CHECK(done.total.responses_ms == std::vector<std::int64_t>{3'600'000});
    CHECK(done.tickets.back().dispatched_at == act.move.at);
    CHECK(done.tickets.back().started_at == act.move.at);
    REQUIRE(keys.move(first, TicketAction::cancel).kind == ReplyKind::ok);
    CHECK(counts_of(keys, month, zone) == std::vector<int>{1, 1, 1, 1, 0});
}

TEST_CASE("each visit has the rating that it was given") {
    KeyHouse keys;
    const std::string number = keys.ticket("u-1");
    const auto visited = [&](const char* rating) {
        for (const TicketAction action : {TicketAction::dispatch, TicketAction::accept,
                                          TicketAction::start, TicketAction::done})
            REQUIRE(keys.move(number, action).kind == ReplyKind::ok);
        TicketAct visit;
        visit.number = number;
        visit.move.action = TicketAction::visit;
        visit.move.by = "s-1";
        visit.move.rating = rating;
        REQUIRE(keys.work(visit).kind == ReplyKind::ok);
    };
    visited("C");
    keys.house.pass(kMinute);
    REQUIRE(keys.move(number, TicketAction::reopen).kind == ReplyKind::ok);
    visited("A");
    StoreReader reader(keys.house.path());
    KeyBooks books = reader.key_books();
    const Ticket ticket = ticket_of(*books.ticket(number));
    std::string ratings;
    const auto moves = books.moves(number);
    for (const CountedOutcome& one : counted_outcomes(ticket, moves))
        for (const TicketMoveRow& move : moves)
            if (move.id == one.move && is_visit(move)) ratings += one.outcome.rating;
    CHECK(ratings == "CA");
}

TEST_CASE("a slip typed later joins the key that was taken for it") {
    KeyHouse keys;
    const auto owned = make_zone(keys.house.options.timezone);
    const std::string number = keys.ticket("u-1");
    const UtcMs sent = keys.house.clock.wall_ms();
    keys.house.pass(kMinute);
    REQUIRE(keys.push({keys.event(T::key_removed, 0, "s-2", 1)}).kind == ReplyKind::ok);
    keys.house.pass(kMinute);
    REQUIRE(keys.push({keys.event(T::key_returned, 0, "s-2", 1)}).kind == ReplyKind::ok);
    for (int i = 0; i < 24; ++i) keys.house.pass(5 * kMinute);
    TicketAct act;
    act.number = number;
    act.move.action = TicketAction::dispatch;
    act.move.by = "s-1";
    act.move.crew = {"s-2"};
    act.move.at = sent + 1'000;
    REQUIRE(keys.work(act).kind == ReplyKind::ok);
    StoreReader reader(keys.house.path());
    const auto links = reader.key_books().links_of_ticket(number);
    REQUIRE(links.size() == 1);
    CHECK(links[0].kind == "auto");
}

TEST_CASE("a ticket of another system that comes again changed is refused, and says what changed") {
    KeyHouse keys;
    OpenTicket first;
    first.kind = "repair";
    first.unit = "u-1";
    first.text = "a lamp";
    first.by = "s-1";
    first.external_no = "E-1";
    first.urgency = "normal";
    first.channel = "phone";
    const auto owned = make_zone(keys.house.options.timezone);
    const UtcMs now = keys.house.clock.wall_ms();
    first.reported_at = format_iso8601(now - 600'000, *owned);
    first.appointment_at = format_iso8601(now + 600'000, *owned);
    REQUIRE(keys.work(first).kind == ReplyKind::created);
    CHECK(keys.work(first).kind == ReplyKind::ok);
    OpenTicket less = first;
    less.urgency = less.channel = less.reported_at = less.appointment_at = "";
    CHECK(keys.work(less).kind == ReplyKind::ok);
    const auto changed = [&](const char* what, auto change) {
        OpenTicket again = first;
        change(again);
        const Reply reply = keys.work(again);
        INFO(what);
        CHECK(reply.type == "external-no-used");
        CHECK(reply.detail.find(std::string("with another ") + what) != std::string::npos);
    };
    changed("urgency", [](OpenTicket& one) { one.urgency = "urgent"; });
    changed("channel", [](OpenTicket& one) { one.channel = "app"; });
    changed("emergency", [](OpenTicket& one) { one.emergency = true; });
    changed("text", [](OpenTicket& one) { one.text = "two lamps"; });
    changed("reported_at",
            [&](OpenTicket& one) { one.reported_at = format_iso8601(now - 1'000, *owned); });
    changed("appointment_at",
            [&](OpenTicket& one) { one.appointment_at = format_iso8601(now + 9'000'000, *owned); });
}

TEST_CASE("nobody is written down as having left with a key") {
    KeyHouse keys;
    REQUIRE(keys.push({keys.event(T::key_removed, 5'000, "s-2", 1)}).kind == ReplyKind::ok);
    FileTexts left;
    left["staff.csv"] = "staff,name,roles,active_to\ns-2,Two,tech,2026-01-31\n";
    const Reply refused = keys.house.import(left);
    CHECK(refused.kind == ReplyKind::invalid);
    REQUIRE_FALSE(refused.errors.empty());
    CHECK(refused.errors[0].message.find("`s-2` has the key k-1") != std::string::npos);
    FileTexts later;  // it is still to come
    later["staff.csv"] = "staff,name,roles,active_to\ns-2,Two,tech,2099-01-31\n";
    CHECK(keys.house.import(later).kind == ReplyKind::ok);
    REQUIRE(keys.push({keys.event(T::key_returned, 0, "s-2", 1)}).kind == ReplyKind::ok);
    CHECK(keys.house.import(left).kind == ReplyKind::ok);
}
