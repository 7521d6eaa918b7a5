// What a paid repair needs before it begins and before it ends, and limits that stand.
#include "daemon/core/ticket.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/ticket_play.hpp"

using namespace gatehouse;
using namespace gatehouse::test;

TEST_CASE("a paid repair begins once its price is agreed") {
    Ticket ticket = reported();
    ticket.kind = TicketKind::paid_service;
    ticket.state = TicketState::accepted;
    CHECK(play(ticket, TicketAction::start, at("2026-11-23T12:00")) == "invalid");
    TicketMove agreed;
    agreed.agreed_price = Fen{8'000};
    CHECK(play(ticket, TicketAction::start, at("2026-11-23T12:00"), agreed) == "working");
    CHECK(ticket.agreed_price == Fen{8'000});
}

TEST_CASE("a paid repair is not closed before it says what was taken, how and under what number") {
    Ticket ticket = reported();
    ticket.kind = TicketKind::paid_service;
    ticket.state = TicketState::visited;
    ticket.done_at = at("2026-11-23T11:00");
    ticket.agreed_price = Fen{80'00};
    const UtcMs noon = at("2026-11-23T12:00");
    TicketMove move;
    CHECK(play(ticket, TicketAction::close, noon, move) == "invalid");
    move.labour = Fen{90'00};
    move.pay_method = "cash";
    move.receipt = "R-7";
    CHECK(play(ticket, TicketAction::close, noon, move) == "invalid");
    move.labour = Fen{80'00};
    SECTION("without a number") {
        move.receipt.clear();
        CHECK(play(ticket, TicketAction::close, noon, move) == "invalid");
    }
    SECTION("with all of it") {
        CHECK(play(ticket, TicketAction::close, noon, move) == "closed");
        CHECK(ticket.labour == Fen{80'00});
        CHECK(ticket.receipt == "R-7");
        CHECK(ticket.outcomes.back().what == "fees");
        CHECK(ticket.outcomes.back().labour == Fen{80'00});
    }
    SECTION("free after all") {
        TicketMove free;
        free.labour = Fen{};
        CHECK(play(ticket, TicketAction::close, noon, free) == "closed");
    }
}

TEST_CASE("the limit of what is done is not moved any more") {
    for (const TicketState state :
         {TicketState::done, TicketState::visit_due, TicketState::visited}) {
        Ticket ticket = reported();
        ticket.state = state;
        TicketMove move;
        move.reason = "waits for a part";
        move.until = at("2026-12-01T12:00");
        CHECK(play(ticket, TicketAction::extend, at("2026-11-23T12:00"), move) == "ticket-state");
    }
}
