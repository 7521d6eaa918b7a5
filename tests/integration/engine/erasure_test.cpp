// A person is erased: the words about them are gone from every byte of the books, what they paid
// and used stands, and an older copy that is put back forgets them again.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "daemon/engine/key_room.hpp"
#include "daemon/store/reader.hpp"
#include "tests/integration/engine/engine_house.hpp"
#include "tests/support/catch.hpp"

namespace gatehouse::testing {
namespace {

constexpr std::int64_t kDay = 86'400'000;

FileTexts with_people() {
    FileTexts files = three_homes();
    files["people.csv"] =
        "person,kind,name,phone,unit,company\n"
        "p-1,owner,Ouyang Feilong,13912345678,1-101,Feilong Trading\n"
        "p-2,tenant,Hu Fei,13700001111,1-101,\n";
    files["keys.csv"] = "key,class,place,opens\nk-1,entrusted,drawer,1-101\n";
    files["accounts.csv"] =
        "account,unit,service,tariff,opening_balance,opening_ladder,hoarding_cap,holder\n"
        "a-101,1-101,all,flat;water,100.00,,500.00,p-1\n"
        "a-102,1-102,electricity,beijing,200.00,2879,,\n"
        "a-103,1-103,electricity,flat,,,,\n";
    return files;
}

class Erasing : public House {
  public:
    Erasing() {
        open();
        REQUIRE(import(with_people()).kind == ReplyKind::ok);
        for (const auto& [meter, face] : std::map<std::string, std::string>{
                 {"e-101", "1000.00"}, {"w-101", "50.000"}, {"e-102", "500.00"}}) {
            settle(meter, face);
        }
        TopUp paid;
        paid.actor = "local";
        paid.account = "a-101";
        paid.amount = "20.00";
        paid.by = "s-01";
        paid.payer = "Ouyang Feilong";
        paid.note = "brought by Mrs Ouyang";
        paid.reference = "slip Ouyang 7";
        paid.idempotency_key = "k-paid";
        paid.body_hash = "h";
        REQUIRE(ask(paid).kind == ReplyKind::created);
    }
    Act act(const std::string& key = "") {
        return {"local", "s-01", "s-02", "asked in writing", key, "h" + key};
    }
    void move_out() {
        ChangeOccupant change;
        change.act = act("k-moved");
        change.act.reason = "Ouyang Feilong moved to Wuhan";
        change.unit = "1-101";
        change.holder = "p-2";
        change.settle = "refund";
        REQUIRE(ask(change).kind == ReplyKind::created);
    }
    Reply erase(const std::string& person = "p-1") {
        ErasePerson command;
        command.act = act();
        command.person = person;
        command.traces = StoreReader(path()).traces(person);
        return ask(command);
    }
    [[nodiscard]] bool on_disk(const std::string& text) const {
        for (const char* end : {"", "-wal", ".erased"}) {
            std::ifstream file(path() + end, std::ios::binary);
            std::stringstream bytes;
            bytes << file.rdbuf();
            if (bytes.str().find(text) != std::string::npos) return true;
        }
        return false;
    }
    std::shared_ptr<const Registry> registry() { return engine().snapshot()->registry; }
    std::string name_of(const std::string& id) {
        for (const Person& person : registry()->people)
            if (person.person == id) return person.name + person.phone + person.company;
        return "none";
    }
    template <class Work>
    Reply work(Work what) {
        RoomCommand command;
        command.work = std::make_shared<const RoomWork>(RoomWork{std::move(what)});
        return ask(std::move(command));
    }
    // What the office writes of a flat and of who is there: all of it names Ouyang.
    void write_of_the_flat() {
        OpenTicket open;
        open.kind = "repair";
        open.unit = "1-101";
        open.text = "Ouyang says that the lamp is dark";
        open.by = "s-01";
        REQUIRE(work(open).kind == ReplyKind::created);
        open.text = "Ouyang's tap drips";
        REQUIRE(work(open).kind == ReplyKind::created);
        open.unit = "1-102";
        open.text = "the neighbours complain";
        REQUIRE(work(open).kind == ReplyKind::created);
        TicketAct cancel;
        cancel.number = StoreReader(path()).key_books().tickets({}, 10).front().number;
        cancel.move.action = TicketAction::cancel;
        cancel.move.by = "s-01";
        cancel.move.reason = "Mr Ouyang did it himself";
        REQUIRE(work(cancel).kind == ReplyKind::ok);
        // The tap was mended and somebody was asked how.
        TicketAct visit;
        visit.number = StoreReader(path()).key_books().tickets({}, 10)[1].number;
        visit.move.by = "s-01";
        visit.move.crew = {"s-01"};
        visit.move.rating = "A";
        for (const TicketAction action :
             {TicketAction::dispatch, TicketAction::accept, TicketAction::start, TicketAction::done,
              TicketAction::visit, TicketAction::reopen}) {
            visit.move.action = action;
            visit.move.spoken_to = action == TicketAction::visit ? "Mrs Ouyang" : "";
            visit.move.reason = action == TicketAction::reopen ? "it drips again" : "";
            REQUIRE(work(visit).kind == ReplyKind::ok);
        }
        for (const auto& [kind, event, body] :
             {std::tuple{"call", "call.logged", R"({"text":"Ouyang asks","by":"s-01"})"},
              std::tuple{
                  "handover", "unit.handover",
                  R"({"direction":"out","keys":{"door":"5"},"witness":"Ouyang","by":"s-01"})"},
              std::tuple{"document", "document.issued",
                         R"({"name":"notice","receiver":"Ouyang","by":"s-01"})"}}) {
            WriteRegister row;
            row.kind = kind;
            row.event = event;
            row.unit = "1-101";
            row.by = "s-01";
            row.body = body;
            if (row.kind == "call") row.log_body = R"({"by":"s-01"})";
            REQUIRE(work(row).kind == ReplyKind::created);
        }
        KeyAct take;
        take.key = "k-1";
        take.by = "s-01";
        take.person = "p-1";
        take.reason = "Ouyang forgot his own";
        REQUIRE(work(take).kind == ReplyKind::created);
    }
    void bring_the_key() {
        KeyAct bring;
        bring.what = KeyAct::What::bring;
        bring.key = "k-1";
        bring.by = "s-01";
        REQUIRE(work(bring).kind == ReplyKind::ok);
    }
    void keep_copy() {
        crash();
        std::filesystem::copy_file(path(), path() + ".copy");
        open();
    }
    void put_back() {
        crash();
        std::filesystem::remove(path() + "-wal");
        std::filesystem::remove(path() + "-shm");
        std::filesystem::copy_file(path() + ".copy", path(),
                                   std::filesystem::copy_options::overwrite_existing);
        open();
    }
};

}  // namespace

TEST_CASE_METHOD(Erasing, "who holds an account is not erased, nor is anybody by one person") {
    const Reply held = erase();
    CHECK(held.kind == ReplyKind::refused);
    CHECK(held.type == "holds-account");
    CHECK(erase("p-9").kind == ReplyKind::not_found);
    ErasePerson alone;
    alone.act = act();
    alone.act.second = alone.act.by;
    alone.person = "p-2";
    CHECK(ask(alone).kind == ReplyKind::invalid);
    CHECK(name_of("p-2") == "Hu Fei13700001111");
    CHECK(events("person.erased").empty());
}

TEST_CASE_METHOD(Erasing, "an erased person is in no byte of the books, and the books prove") {
    move_out();
    CHECK(on_disk("Ouyang"));
    const auto booked = book("a-101");
    const std::string balance_left = balance("a-101.2");
    const Reply done = erase();
    REQUIRE(done.kind == ReplyKind::ok);
    CHECK(field(done.json, "person") == "p-1");
    CHECK(name_of("p-1") == "***");
    CHECK(name_of("p-2") == "Hu Fei13700001111");
    CHECK_FALSE(on_disk("Ouyang"));
    CHECK_FALSE(on_disk("13912345678"));
    CHECK_FALSE(on_disk("Feilong"));
    CHECK(on_disk("Hu Fei"));
    CHECK(book("a-101") == booked);
    CHECK(balance("a-101.2") == balance_left);
    REQUIRE(events("person.erased").size() == 1);
    std::size_t removed = 0;
    for (const StoredEvent& event : events()) removed += event.removed == "erased" ? 1U : 0U;
    CHECK(removed >= 1);
    CHECK(proof() == "");

    SECTION("asked again it is the same erasure") {
        CHECK(erase().kind == ReplyKind::ok);
        CHECK(events("person.erased").size() == 1);
    }
    SECTION("the same payment under its key is still the same payment") {
        CHECK(top_up("a-101", "20.00", "k-paid", "h").kind != ReplyKind::created);
        CHECK(book("a-101") == booked);
    }
    SECTION("a file that brings the name back is refused at its cell") {
        const Reply refused = import({{"people.csv", with_people()["people.csv"]}});
        CHECK(refused.kind == ReplyKind::invalid);
        REQUIRE_FALSE(refused.errors.empty());
        CHECK(refused.errors.front().message.find("p-1") != std::string::npos);
        const std::string masked = "person,kind,name,phone,unit\np-1,owner,***,,1-101\n";
        CHECK(import({{"people.csv", masked}}).kind == ReplyKind::ok);
    }
    SECTION("nobody moves in as one who was erased") {
        ChangeOccupant change;
        change.act = act("k-back");
        change.unit = "1-101";
        change.holder = "p-1";
        change.settle = "refund";
        CHECK(ask(change).kind == ReplyKind::invalid);
    }
    SECTION("a restart knows it") {
        reopen();
        CHECK(erase().kind == ReplyKind::ok);
        CHECK(events("person.erased").size() == 1);
        CHECK(proof() == "");
    }
}

TEST_CASE_METHOD(Erasing, "a move and its record are one: the accounts in it, once, or neither") {
    ChangeOccupant change;
    change.act = act("k-moved");
    change.unit = "1-101";
    change.holder = "p-2";
    change.settle = "refund";
    WriteRegister row;
    row.kind = "handover";
    row.event = "unit.handover";
    row.unit = "1-101";
    row.by = "s-01";
    row.body = R"({"direction":"in","keys":{"door":"5"},"by":"s-01"})";
    change.record = std::make_shared<const RoomWork>(RoomWork{row});
    ChangeOccupant wrong = change;
    wrong.act.idempotency_key = "k-wrong";
    wrong.holder = "p-9";
    CHECK(ask(wrong).kind == ReplyKind::invalid);
    REQUIRE(ask(change).kind == ReplyKind::created);
    CHECK(ask(change).kind == ReplyKind::ok);
    StoreReader reader(path());
    const auto rows = reader.key_books().registers("handover", "1-101", 0, 10);
    REQUIRE(rows.size() == 1);
    INFO(rows[0].body);
    CHECK(field(rows[0].body, "holder") == "p-2");
    CHECK(rows[0].body.find(R"("opened":[{"account":"a-101.2")") != std::string::npos);
    CHECK(rows[0].body.find(R"("keys":{"door":"5"})") != std::string::npos);
    CHECK(events("unit.handover").size() == 1);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Erasing, "words of tickets, calls, hand-overs and loans go, and the rows stay") {
    write_of_the_flat();
    pass(2'000);
    move_out();
    OpenTicket later;  // of who lives there now
    later.kind = "repair";
    later.unit = "1-101";
    later.text = "a tap of the new tenant";
    later.by = "s-01";
    REQUIRE(work(later).kind == ReplyKind::created);
    const Reply held = erase();
    CHECK(held.type == "holds-key");
    CHECK(on_disk("Ouyang"));
    bring_the_key();
    KeyPush push;  // what nobody reads of a cabinet's word is somebody's word as well
    push.source = "kc-01";
    push.events.resize(1);
    push.events[0].id = {"kc-01", 0, 1};
    push.events[0].type = KeyEventType::key_fault;
    push.events[0].person = "p-1";
    push.events[0].extra = R"({"raw":"Ouyang"})";
    REQUIRE(work(push).kind == ReplyKind::ok);
    SECTION("at once") {
        const Reply done = erase();
        INFO(done.detail);
        REQUIRE(done.kind == ReplyKind::ok);
    }
    SECTION("and when an older copy is put back") {
        keep_copy();
        REQUIRE(erase().kind == ReplyKind::ok);
        put_back();
        CHECK(events("person.erased").size() == 1);
    }
    pass(2'000);
    CHECK_FALSE(on_disk("Ouyang"));
    StoreReader reader(path());
    KeyBooks books = reader.key_books();
    const auto tickets = books.tickets({}, 10);
    REQUIRE(tickets.size() == 4);
    for (const std::size_t theirs : {0U, 1U})
        CHECK(tickets[theirs].body.find(R"("text":"***")") != std::string::npos);
    CHECK(tickets[2].body.find("the neighbours complain") != std::string::npos);
    CHECK(tickets[3].body.find("a tap of the new tenant") != std::string::npos);
    CHECK(tickets[1].body.find(R"("what":"visit")") != std::string::npos);
    CHECK(tickets[1].body.find("spoken_to") == std::string::npos);
    REQUIRE(books.moves(tickets[0].number).size() == 2);
    CHECK(books.moves(tickets[0].number)[1].note.empty());
    const auto handovers = books.registers("handover", "1-101", 0, 10);
    REQUIRE(handovers.size() == 1);
    CHECK(handovers[0].body == R"({"direction":"out","keys":{"door":"5"},"by":"s-01"})");
    CHECK(books.registers("call", "1-101", 0, 10).size() == 1);
    const auto loans = books.loans_of("k-1", 10);
    REQUIRE(loans.size() == 1);
    CHECK(loans[0].holder == "p-1");
    CHECK(proof() == "");
    // What was in memory is gone as well: a ticket that moves on writes its row anew.
    TicketAct sent;
    sent.number = tickets[1].number;
    sent.move.action = TicketAction::dispatch;
    sent.move.by = "s-01";
    sent.move.crew = {"s-01"};
    REQUIRE(work(sent).kind == ReplyKind::ok);
    pass(2'000);
    CHECK_FALSE(on_disk("Ouyang"));
}

TEST_CASE_METHOD(Erasing, "who lives in a flat and holds no account of it is erased as well") {
    FileTexts people;
    people["people.csv"] =
        "person,kind,name,phone,unit,company\np-5,tenant,Nakamura,13812345678,1-103,\n";
    REQUIRE(import(people).kind == ReplyKind::ok);
    OpenTicket open;
    open.kind = "repair";
    open.unit = "1-103";
    open.text = "Nakamura asks for a lamp";
    open.by = "s-01";
    REQUIRE(work(open).kind == ReplyKind::created);
    open.unit = "1-102";
    open.text = "call 13812345678 before you come";
    REQUIRE(work(open).kind == ReplyKind::created);
    open.text = "the tap of the other flat";
    REQUIRE(work(open).kind == ReplyKind::created);
    WriteRegister row;  // of no flat
    row.kind = "document";
    row.event = "document.issued";
    row.by = "s-01";
    row.body = R"({"name":"notice","receiver":"Nakamura","by":"s-01"})";
    row.log_body = R"({"by":"s-01"})";
    REQUIRE(work(row).kind == ReplyKind::created);
    TopUp other;  // of another household, by a bank whose number has theirs in it
    other.actor = "local";
    other.account = "a-102";
    other.amount = "1.00";
    other.method = "qr";
    other.reference = "42000138123456789";
    other.by = "s-01";
    other.idempotency_key = "k-other";
    other.body_hash = "h";
    REQUIRE(ask(other).kind == ReplyKind::created);
    AckAlert ack{"local", "", "s-01", "phone", "", "13812345678 is answered by a friend"};
    settle("e-103", "1000.00");
    clock.pass(10 * 60'000);
    settle("e-103", "1010.00");
    const auto alerts = engine().snapshot()->open_alerts;
    REQUIRE(alerts.size() == 1);
    ack.alert = alerts.front()->id;
    REQUIRE(ask(ack).kind == ReplyKind::ok);
    CHECK(events("alert.acknowledged").back().body.find("13812345678") == std::string::npos);
    REQUIRE(on_disk("Nakamura"));
    REQUIRE(on_disk("13812345678"));
    const Reply done = erase("p-5");
    INFO(done.detail);
    REQUIRE(done.kind == ReplyKind::ok);
    pass(2'000);
    CHECK_FALSE(on_disk("Nakamura"));
    CHECK_FALSE(on_disk("call 13812345678"));
    CHECK_FALSE(on_disk("13812345678 is answered"));
    CHECK(entries("a-102").back().reference == "42000138123456789");
    const auto tickets = StoreReader(path()).key_books().tickets({}, 10);
    REQUIRE(tickets.size() == 3);
    CHECK(tickets[2].body.find("the tap of the other flat") != std::string::npos);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Erasing, "after two years tickets have no words, calls are gone, and all proves") {
    write_of_the_flat();
    bring_the_key();
    clock.pass(729 * kDay);
    for (int i = 0; i < 20; ++i) pass(1'000);
    CHECK(StoreReader(path()).key_books().registers("call", "", 0, 10).size() == 1);
    clock.pass(3 * kDay);
    for (int i = 0; i < 60; ++i) pass(1'000);
    pass(31'000);
    StoreReader reader(path());
    KeyBooks books = reader.key_books();
    CHECK(books.registers("call", "", 0, 10).empty());
    CHECK(books.registers("handover", "", 0, 10).size() == 1);
    const auto tickets = books.tickets({}, 10);
    REQUIRE(tickets.size() == 3);
    CHECK(tickets[0].body.find(R"("text":"***")") != std::string::npos);
    // They are not over, so they are still worked on.
    CHECK(tickets[1].body.find("tap drips") != std::string::npos);
    CHECK(tickets[2].body.find("the neighbours complain") != std::string::npos);
    std::size_t removed = 0;
    for (const char* kind : {"ticket.reported", "ticket.cancelled"})
        for (const StoredEvent& event : events(kind)) removed += event.removed == "retention";
    CHECK(removed == 2);
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Erasing, "the cards of who is erased are nobody's, also in what is told late") {
    FileTexts files;
    files["people.csv"] = "person,kind,name,phone,unit\np-5,contractor,Nakamura,13812345678,\n";
    files["staff.csv"] = "staff,name,roles,cards,active_to\np-5,Five,contractor,w34:000000111,\n";
    REQUIRE(import(files).kind == ReplyKind::ok);
    pass(60'000);
    const UtcMs then = clock.wall_ms();
    pass(3'600'000);
    // He left, and the card lies in the drawer.
    files["staff.csv"] =
        "staff,name,roles,cards,active_to\np-5,Five,contractor,,2026-11-22\n"
        "s-01,Alice,desk,w34:000000222,\n";
    REQUIRE(import(files).kind == ReplyKind::ok);
    pass(2'000);
    const auto cards = [&] {
        std::string all;
        for (const auto& [card, spans] : StoreReader(path()).key_books().bases("card"))
            all += card + spans;
        return all;
    };
    REQUIRE(cards().find("p-5") != std::string::npos);
    REQUIRE(cards().find("s-01") != std::string::npos);
    REQUIRE(erase("p-5").kind == ReplyKind::ok);
    const auto nobody = [&](std::int64_t seq) {
        KeyPush push;
        push.source = "kc-01";
        push.boot = 1;
        KeyEvent badge;
        badge.id = {"kc-01", 1, seq};
        badge.type = KeyEventType::access_granted;
        badge.card = "w34:000000111";
        badge.at = then;
        push.events = {badge};
        REQUIRE(work(std::move(push)).kind == ReplyKind::ok);
        const auto told = events("access.granted");
        REQUIRE(told.size() == static_cast<std::size_t>(seq));
        return told.back().body.find("\"person\"") == std::string::npos;
    };
    CHECK(cards().find("p-5") == std::string::npos);
    CHECK(cards().find("s-01") != std::string::npos);
    CHECK(nobody(1));
    reopen();
    pass(2'000);
    CHECK(cards().find("p-5") == std::string::npos);
    CHECK(nobody(2));
    CHECK_FALSE(on_disk("000000111"));
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Erasing, "an older copy that is put back forgets the person again") {
    move_out();
    keep_copy();
    REQUIRE(erase().kind == ReplyKind::ok);
    put_back();
    CHECK(name_of("p-1") == "***");
    CHECK_FALSE(on_disk("Ouyang"));
    REQUIRE(events("person.erased").size() == 1);
    CHECK(events("person.erased").front().body.find(R"("restored":true)") != std::string::npos);
    CHECK(proof() == "");
    reopen();
    CHECK(events("person.erased").size() == 1);
}

TEST_CASE_METHOD(Erasing, "a list whose last line a power cut tore is read up to it, and goes on") {
    move_out();
    keep_copy();
    REQUIRE(erase().kind == ReplyKind::ok);
    {
        std::ofstream list(path() + ".erased", std::ios::app | std::ios::binary);
        list << "p-2 17639";
    }
    put_back();
    CHECK(name_of("p-1") == "***");
    CHECK(name_of("p-2") == "Hu Fei13700001111");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Erasing, "looks into files are kept three years, and then the log forgets why") {
    REQUIRE(ask(NoteView{"staff:s-01", "1-101", "a cheque", "names and phones"}).kind ==
            ReplyKind::ok);
    AskAccess asked_for{"staff:s-02", "s-02", "1-101", "a complaint", 24};
    REQUIRE(ask(asked_for).kind == ReplyKind::created);
    clock.pass(2 * 365 * kDay);
    REQUIRE(ask(NoteView{"staff:s-01", "1-101", "a leak", ""}).kind == ReplyKind::ok);
    for (int i = 0; i < 20; ++i) pass(1'000);
    CHECK(StoreReader(path()).views("1-101", 0, 10).size() == 2);
    clock.pass(366 * kDay + 35 * kDay);
    for (int i = 0; i < 60; ++i) pass(1'000);
    pass(31'000);
    const auto views = StoreReader(path()).views("1-101", 0, 10);
    REQUIRE(views.size() == 1);
    CHECK(views.front().reason == "a leak");
    CHECK(StoreReader(path()).accesses().empty());
    const auto looks = events("file.viewed");
    REQUIRE(looks.size() == 2);
    CHECK(looks.front().removed == "retention");
    CHECK(looks.back().removed.empty());
    CHECK(events("file.access_asked").front().removed == "retention");
    CHECK(proof() == "");
}

TEST_CASE_METHOD(Erasing, "an import that looked at another registry takes nothing") {
    ImportRegistry again;
    again.actor = "local";
    again.files = {{"units.csv", "unit,label\n1-101,new\n"}};
    again.seen = engine().snapshot()->registry;
    REQUIRE(import({{"units.csv", "unit,label\n1-102,other\n"}}).kind == ReplyKind::ok);
    CHECK(ask(again).kind == ReplyKind::stale);
    again.seen = engine().snapshot()->registry;
    CHECK(ask(again).kind == ReplyKind::ok);
}

TEST_CASE_METHOD(Erasing, "thresholds change while running and are judged at once") {
    CHECK(account("a-101").level == 0);
    ChangeSettings change{options.alerts, options.store_interval_ms};
    change.alerts.base.low_balance = Fen{150'00};
    const int told = asked.registries;
    CHECK(ask(change).kind == ReplyKind::ok);
    CHECK(account("a-101").thresholds.low_balance == Fen{150'00});
    CHECK(account("a-101").level == 1);
    CHECK(asked.registries == told + 1);
}

}  // namespace gatehouse::testing
