#include "daemon/core/ledger.hpp"

#include <set>

#include "tests/support/catch.hpp"
#include "tests/unit/tariffs.hpp"

using namespace gatehouse;
using namespace gatehouse::test;

namespace {

Due one_due() {
    Due item;
    item.key = {Service::water, "2026-11", "beijing-home-water", {2026, 1, 1}, "", "", 2};
    item.price = price("7");
    item.quantity = quantity("3.5");
    item.target = fen("24.50");
    item.amount = fen("4.50");
    return item;
}

Entry entry_of(EntryKind kind, const char* amount, const char* other) {
    Entry entry;
    entry.kind = kind;
    entry.account = "a-1";
    entry.amount = fen(amount);
    entry.legs = {{"household:a-1", entry.amount}, {other, -entry.amount}};
    entry.cause = "c";
    if (kind == EntryKind::charge || kind == EntryKind::correction ||
        kind == EntryKind::price_settlement)
        entry.line = one_due().key;
    if (kind == EntryKind::reversal) entry.reverses = "e-0";
    return entry;
}

AccountFacts account() {
    AccountFacts out;
    out.account = "a-1";
    out.balance = fen("10.00");
    return out;
}

std::vector<std::string> types(const TopUpJudgement& judgement) {
    std::vector<std::string> out;
    for (const Refusal& refusal : judgement.refusals) out.push_back(refusal.type);
    return out;
}

}  // namespace

TEST_CASE("kinds and methods have the contract's words, there and back") {
    const char* kinds[] = {"topup",      "charge",           "fee",       "opening",   "transfer",
                           "adjustment", "refund",           "round_off", "write_off", "banked",
                           "correction", "price_settlement", "reversal"};
    for (const char* word : kinds) {
        REQUIRE(parse_entry_kind(word));
        CHECK(std::string(to_string(*parse_entry_kind(word))) == word);
    }
    for (const char* word : {"cash", "card", "transfer", "qr", "cheque"}) {
        REQUIRE(parse_method(word));
        CHECK(std::string(to_string(*parse_method(word))) == word);
    }
    CHECK_FALSE(parse_entry_kind("top-up"));
    CHECK_FALSE(parse_method("Cash"));
    CHECK_FALSE(parse_method(""));
}

TEST_CASE("a top-up stands against where the money arrived") {
    struct Row {
        Method method;
        const char* other;
    };
    const Row rows[] = {
        {Method::cash, "cash:s-01"},         {Method::card, "clearing:card"},
        {Method::transfer, "clearing:bank"}, {Method::qr, "clearing:qr"},
        {Method::cheque, "clearing:cheque"},
    };
    for (const Row& row : rows) {
        const Entry entry = topup_entry("a-1", fen("100.00"), row.method, "s-01", "topup:k");
        CHECK(entry.kind == EntryKind::topup);
        CHECK(entry.amount == fen("100.00"));
        CHECK(entry.by == "s-01");
        CHECK(entry.legs ==
              std::vector<Leg>{{"household:a-1", fen("100.00")}, {row.other, fen("-100.00")}});
        CHECK(entry_fault(entry).empty());
    }
}

TEST_CASE("a charge takes what is due and names its line") {
    const Entry entry = charge_entry("a-1", one_due(), "day:2026-11-23");
    CHECK(entry.amount == fen("-4.50"));
    CHECK(entry.line == one_due().key);
    CHECK(entry.legs ==
          std::vector<Leg>{{"household:a-1", fen("-4.50")}, {"revenue:water", fen("4.50")}});
    CHECK(entry_fault(entry).empty());
}

TEST_CASE("an opening balance may be a debt") {
    CHECK(entry_fault(opening_entry("a-1", fen("36.42"))).empty());
    CHECK(entry_fault(opening_entry("a-1", fen("-36.42"))).empty());
    CHECK(opening_entry("a-1", fen("1.00")).cause == "opening");
    CHECK(opening_entry("a-1", fen("1.00")).legs[1] == Leg{"opening", fen("-1.00")});
}

TEST_CASE("every kind has its legs and its sign") {
    struct Row {
        EntryKind kind;
        const char *amount, *other;
        bool right;
    };
    const Row rows[] = {
        {EntryKind::topup, "1.00", "suspense", true},
        {EntryKind::topup, "-1.00", "cash:s-01", false},
        {EntryKind::topup, "1.00", "revenue:water", false},
        {EntryKind::topup, "1.00", "cash:", false},
        {EntryKind::charge, "-1.00", "revenue:water", true},
        {EntryKind::charge, "-1.00", "pool:p-1", true},
        {EntryKind::charge, "1.00", "revenue:water", false},
        {EntryKind::charge, "-1.00", "revenue:electricity", false},
        {EntryKind::fee, "-1.00", "fees", true},
        {EntryKind::fee, "-1.00", "fees:x", false},
        {EntryKind::opening, "1.00", "opening", true},
        {EntryKind::transfer, "-1.00", "household:a-2", true},
        {EntryKind::transfer, "1.00", "household:a-2", true},
        {EntryKind::transfer, "1.00", "household:a-1", false},
        {EntryKind::adjustment, "1.00", "revenue:electricity", true},
        {EntryKind::adjustment, "1.00", "cash:s-01", false},
        {EntryKind::refund, "-1.00", "cash:s-01", true},
        {EntryKind::refund, "-1.00", "finance:cash", true},
        {EntryKind::refund, "1.00", "finance:cash", false},
        {EntryKind::round_off, "-0.09", "over_short", true},
        {EntryKind::round_off, "-0.10", "over_short", false},
        {EntryKind::round_off, "0.10", "over_short", false},
        {EntryKind::write_off, "1.00", "over_short", true},
        {EntryKind::write_off, "-1.00", "over_short", false},
        {EntryKind::correction, "1.00", "revenue:water", true},
        {EntryKind::correction, "-1.00", "revenue:water", true},
        {EntryKind::price_settlement, "1.00", "revenue:water", true},
        {EntryKind::price_settlement, "1.00", "fees", false},
        {EntryKind::reversal, "-1.00", "cash:s-01", true},
        {EntryKind::reversal, "1.00", "fees", true},
        {EntryKind::reversal, "1.00", "revenue:water", false},
        {EntryKind::fee, "0.00", "fees", false},
    };
    for (const Row& row : rows) {
        const Entry entry = entry_of(row.kind, row.amount, row.other);
        CAPTURE(to_string(row.kind), row.amount, row.other, entry_fault(entry));
        CHECK(entry_fault(entry).empty() == row.right);
    }
}

TEST_CASE("cash banked moves no household's money") {
    Entry entry;
    entry.kind = EntryKind::banked;
    entry.cause = "banked:1";
    entry.legs = {{"finance:cash", fen("5.00")}, {"clearing:bank", fen("-5.00")}};
    CHECK(entry_fault(entry).empty());
    entry.account = "a-1";
    CHECK_FALSE(entry_fault(entry).empty());
    entry.account.clear();
    entry.legs = {{"finance:cash", fen("-5.00")}, {"clearing:bank", fen("5.00")}};
    CHECK_FALSE(entry_fault(entry).empty());
}

TEST_CASE("an entry that is out of balance or out of form is found") {
    const Entry right = charge_entry("a-1", one_due(), "day:2026-11-23");
    const auto fault = [&](auto change) {
        Entry wrong = right;
        change(wrong);
        return entry_fault(wrong);
    };
    CHECK(fault([](Entry& e) { e.legs[1].amount += Fen{1}; }) == "the legs do not sum to zero");
    CHECK(fault([](Entry& e) { e.amount -= Fen{1}; }) ==
          "charge: the first leg is not the household's amount");
    CHECK(fault([](Entry& e) { e.account = "a-2"; }) ==
          "charge: the first leg is not the household's amount");
    CHECK(fault([](Entry& e) { e.line.reset(); }) == "charge names no line");
    CHECK(fault([](Entry& e) { e.cause.clear(); }) == "charge without a cause");
    CHECK(fault([](Entry& e) { e.account.clear(); }) == "charge names no account");
    CHECK(fault([](Entry& e) { e.reverses = "e-1"; }) ==
          "only a reversal names an entry that it undoes");
    CHECK(fault([](Entry& e) { e.legs.push_back({"fees", Fen{0}}); }) == "charge has not two legs");
}

TEST_CASE("the bytes under the hash are as documented, and differ wherever an entry does") {
    Entry entry = charge_entry("a-1", one_due(), "day:2026-11-23");
    entry.entry = "e-9";
    entry.month = "2026-11";
    CHECK(canonical_bytes(entry, 42, {3, 5000, 1'795'000'000'000}) ==
          "17:gatehouse-entry-1,2:42,3:e-9,6:charge,3:a-1,4:-450,14:day:2026-11-23,7:2026-11,"
          "0:,0:,0:,0:,1:3,4:5000,13:1795000000000,1:7,5:water,7:2026-11,18:beijing-home-water,"
          "10:2026-01-01,0:,0:,1:2,1:2,13:household:a-1,4:-450,13:revenue:water,3:450,");

    const Stamp stamp{1, 2, 3};
    std::set<std::string> seen{canonical_bytes(entry, 1, stamp), canonical_bytes(entry, 2, stamp),
                               canonical_bytes(entry, 1, {2, 2, 3}),
                               canonical_bytes(entry, 1, {1, 3, 3}),
                               canonical_bytes(entry, 1, {1, 2, 4})};
    void (*const changes[])(Entry&) = {
        [](Entry& e) { e.kind = EntryKind::correction; },
        [](Entry& e) { e.account = "a-2"; },
        [](Entry& e) { e.amount += Fen{1}; },
        [](Entry& e) { e.legs[1].account = "revenue:electricity"; },
        [](Entry& e) { e.legs[1].amount += Fen{1}; },
        [](Entry& e) { e.line.reset(); },
        [](Entry& e) { e.line->tier = 3; },
        [](Entry& e) { e.line->scope = "2026-12"; },
        [](Entry& e) { e.cause = "day:2026-11-24"; },
        [](Entry& e) { e.entry = "e-8"; },
        [](Entry& e) { e.receipt = "R1"; },
        [](Entry& e) { e.month = "2026-12"; },
        [](Entry& e) { e.by = "R1"; },
        [](Entry& e) { e.second = "R1"; },
        [](Entry& e) { e.reverses = "R1"; },
    };
    std::size_t count = seen.size();
    CHECK(count == 5);
    for (const auto change : changes) {
        Entry other = entry;
        change(other);
        seen.insert(canonical_bytes(other, 1, stamp));
        CHECK(seen.size() == ++count);
    }
}

TEST_CASE("V21: the same key makes the same entry, another amount another one") {
    const Stamp stamp{1, 2, 3};
    const Entry first = topup_entry("a-1", fen("100.00"), Method::cash, "s-01", "topup:k-1");
    const Entry again = topup_entry("a-1", fen("100.00"), Method::cash, "s-01", "topup:k-1");
    const Entry other = topup_entry("a-1", fen("200.00"), Method::cash, "s-01", "topup:k-1");
    CHECK(first == again);
    CHECK(first.cause == other.cause);
    CHECK(canonical_bytes(first, 1, stamp) == canonical_bytes(again, 1, stamp));
    CHECK(canonical_bytes(first, 1, stamp) != canonical_bytes(other, 1, stamp));
}

TEST_CASE("an amount is a plain decimal above zero and within the limit") {
    for (const char* good : {"0.01", "1", "100.0", "100.00", "1000000.00"}) {
        const TopUpJudgement judged = judge_topup(account(), good, "cash", "");
        CAPTURE(good);
        REQUIRE(judged.refusals.empty());
        CHECK(judged.amount == fen(good));
        CHECK(judged.method == Method::cash);
    }
    const char* bad[] = {"",
                         "0",
                         "0.00",
                         "-1",
                         "-0.01",
                         "100.001",
                         "1e3",
                         "+1",
                         " 1",
                         "1 ",
                         "1,00",
                         "12345678901234567890",
                         "１００",
                         "0x10",
                         "NaN",
                         ".5.",
                         "1000000.01",
                         "1000001",
                         "99999999999999999"};
    for (const char* amount : bad) {
        const TopUpJudgement judged = judge_topup(account(), amount, "cash", "");
        CAPTURE(amount);
        REQUIRE(types(judged) == std::vector<std::string>{"amount"});
        CHECK(judged.refusals[0].pointer == "/amount");
        CHECK_FALSE(judged.refusals[0].rule);
        CHECK(judged.refusals[0].message.find("'" + std::string(amount) + "'") !=
              std::string::npos);
    }
}

TEST_CASE("a long or broken amount is shown short and printable") {
    const TopUpJudgement long_one =
        judge_topup(account(), std::string(39, '1') + "１２", "cash", "");
    REQUIRE(long_one.refusals.size() == 1);
    CHECK(long_one.refusals[0].message.find("'" + std::string(39, '1') + "...'") !=
          std::string::npos);
    const TopUpJudgement control = judge_topup(account(), "1\n2", "cash", "");
    CHECK(control.refusals.at(0).message.find("'1?2'") != std::string::npos);
}

TEST_CASE("a payment that left a paper names it") {
    CHECK(judge_topup(account(), "1", "cash", "").refusals.empty());
    CHECK(judge_topup(account(), "1", "qr", "42000001").refusals.empty());
    CHECK(judge_topup(account(), "1", "qr", std::string(64, '7')).refusals.empty());
    for (const char* method : {"card", "transfer", "qr", "cheque"})
        for (const char* none : {"", "  "})
            CHECK(types(judge_topup(account(), "1", method, none)) ==
                  std::vector<std::string>{"reference"});
    CHECK(types(judge_topup(account(), "1", "qr", std::string(65, '7'))) ==
          std::vector<std::string>{"reference"});
    CHECK(types(judge_topup(account(), "1", "cash", "a\tb")) ==
          std::vector<std::string>{"reference"});
    const TopUpJudgement word = judge_topup(account(), "1", "wechat", "1");
    REQUIRE(types(word) == std::vector<std::string>{"method"});
    CHECK(word.refusals[0].pointer == "/method");
    CHECK(word.refusals[0].message ==
          "the method 'wechat' is none of cash, card, transfer, qr, cheque");
}

TEST_CASE("V17: an overdrawn account is filled, and the hoarding cap refuses whole") {
    AccountFacts overdrawn = account();
    overdrawn.balance = fen("-3.27");
    overdrawn.hoarding_cap = fen("2000");
    const TopUpJudgement filled = judge_topup(overdrawn, "50.00", "cash", "");
    REQUIRE(filled.refusals.empty());
    CHECK(format(overdrawn.balance + filled.amount) == "46.73");

    AccountFacts full = account();
    full.balance = fen("1873.40");
    full.hoarding_cap = fen("2000");
    const TopUpJudgement refused = judge_topup(full, "200.00", "cash", "");
    REQUIRE(types(refused) == std::vector<std::string>{"hoarding-cap"});
    CHECK(refused.refusals[0].rule);
    CHECK(refused.refusals[0].message ==
          "1873.40 + 200.00 = 2073.40 would pass the hoarding cap of 2000.00 of account a-1; "
          "nothing was booked, at most 126.60 fits");
    CHECK(judge_topup(full, "126.60", "cash", "").refusals.empty());
    CHECK_FALSE(judge_topup(full, "126.61", "cash", "").refusals.empty());
}

TEST_CASE("accounts that take no top-up say why") {
    AccountFacts closed = account();
    closed.open = false;
    CHECK(types(judge_topup(closed, "1", "cash", "")) ==
          std::vector<std::string>{"account-closed"});
    for (const Billing billing : {Billing::internal, Billing::none}) {
        AccountFacts other = account();
        other.billing = billing;
        CHECK(types(judge_topup(other, "1", "cash", "")) == std::vector<std::string>{"billing"});
    }
    AccountFacts later = account();
    later.not_yet = "bands";
    CHECK(judge_topup(later, "1", "cash", "").refusals.at(0).message ==
          "account a-1 is not served yet: its tariff needs bands; name a flat or laddered tariff "
          "in accounts.csv");
    AccountFacts trial = account();
    trial.live_from = LocalDate{2026, 12, 1};
    CHECK(judge_topup(trial, "1", "cash", "").refusals.at(0).message ==
          "account a-1 is on trial until 2026-12-01; until then take the payment in the old "
          "system");
    trial.open = false;
    CHECK(types(judge_topup(trial, "0", "cow", "")) ==
          std::vector<std::string>{"amount", "method", "account-closed", "trial"});
}
