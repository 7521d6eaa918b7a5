#include "daemon/core/ledger_acts.hpp"

#include "tests/support/catch.hpp"
#include "tests/unit/tariffs.hpp"

using namespace gatehouse;
using namespace gatehouse::test;

namespace {

const Signature kTwo{"s-01", "s-02", "act:k-1"};

AccountFacts account(const char* balance, const char* id = "a-1") {
    AccountFacts facts;
    facts.account = id;
    facts.balance = fen(balance);
    return facts;
}

std::vector<std::string> types(const std::vector<Refusal>& refusals) {
    std::vector<std::string> out;
    for (const Refusal& refusal : refusals) out.push_back(refusal.type);
    return out;
}

using Types = std::vector<std::string>;
using Legs = std::vector<Leg>;

const char* const kBadAmounts[] = {"",       "0.001",     "100.001", "1e3",
                                   "+1",     " 1",        "1,00",    "12345678901234567890",
                                   "１００", "1000000.01"};

}  // namespace

TEST_CASE("a refund in coins leaves what coins cannot pay as a round-off of its own") {
    struct Row {
        const char* amount;
        Method method;
        const char *paid, *rest, *other;
    };
    // rest = amount mod 0.10 in cash, 0 elsewhere; paid = amount - rest.
    const Row rows[] = {
        {"36.42", Method::cash, "-36.40", "-0.02", "cash:s-01"},
        {"36.40", Method::cash, "-36.40", "", "cash:s-01"},
        {"36.49", Method::cash, "-36.40", "-0.09", "cash:s-01"},
        {"0.09", Method::cash, "", "-0.09", ""},
        {"0.10", Method::cash, "-0.10", "", "cash:s-01"},
        {"36.42", Method::transfer, "-36.42", "", "clearing:bank"},
        {"0.01", Method::qr, "-0.01", "", "clearing:qr"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.amount, to_string(row.method));
        std::vector<Entry> wanted;
        const auto entries = refund_entries("a-1", fen(row.amount), row.method, kTwo);
        std::size_t at = 0;
        Fen sum;
        for (const Entry& entry : entries) {
            CHECK(entry_fault(entry).empty());
            CHECK(entry.by == "s-01");
            CHECK(entry.second == "s-02");
            CHECK(entry.cause == "act:k-1");
            sum += entry.amount;
        }
        CHECK(sum == -fen(row.amount));
        if (*row.paid != '\0') {
            REQUIRE(entries.size() > at);
            CHECK(entries[at].kind == EntryKind::refund);
            CHECK(entries[at].legs ==
                  Legs{{"household:a-1", fen(row.paid)}, {row.other, -fen(row.paid)}});
            ++at;
        }
        if (*row.rest != '\0') {
            REQUIRE(entries.size() > at);
            CHECK(entries[at].kind == EntryKind::round_off);
            CHECK(entries[at].legs ==
                  Legs{{"household:a-1", fen(row.rest)}, {"over_short", -fen(row.rest)}});
            ++at;
        }
        CHECK(entries.size() == at);
    }
}

TEST_CASE("a transfer stands in both households and in no drawer") {
    const Entry entry = transfer_entry("a-1", "a-2", fen("50.00"), kTwo);
    CHECK(entry.account == "a-1");
    CHECK(entry.amount == fen("-50.00"));
    CHECK(entry.legs == Legs{{"household:a-1", fen("-50.00")}, {"household:a-2", fen("50.00")}});
    CHECK(entry_fault(entry).empty());
}

TEST_CASE("an adjustment stands against the revenue of its service, a debt against over/short") {
    const Entry taken = adjustment_entry("a-1", Service::water, fen("-3.27"), kTwo);
    CHECK(taken.legs == Legs{{"household:a-1", fen("-3.27")}, {"revenue:water", fen("3.27")}});
    CHECK(entry_fault(taken).empty());
    CHECK(entry_fault(adjustment_entry("a-1", Service::electricity, fen("3.27"), kTwo)).empty());
    const Entry debt = write_off_entry("a-1", fen("12.30"), kTwo);
    CHECK(debt.legs == Legs{{"household:a-1", fen("12.30")}, {"over_short", fen("-12.30")}});
    CHECK(entry_fault(debt).empty());
}

TEST_CASE("a reversal turns every leg of what it undoes") {
    Entry paid = topup_entry("a-1", fen("100.00"), Method::cash, "s-01", "topup:k");
    paid.entry = "e7";
    const Entry undone = reversal_entry(paid, {"s-03", "s-02", "reversal:k"});
    CHECK(undone.reverses == "e7");
    CHECK(undone.amount == fen("-100.00"));
    // The drawer of who took the money, not of who undoes it.
    CHECK(undone.legs == Legs{{"household:a-1", fen("-100.00")}, {"cash:s-01", fen("100.00")}});
    CHECK(entry_fault(undone).empty());
    Entry refund = refund_entries("a-1", fen("5.00"), Method::qr, kTwo).at(0);
    refund.entry = "e8";
    CHECK(reversal_entry(refund, kTwo).amount == fen("5.00"));
    CHECK(entry_fault(reversal_entry(refund, kTwo)).empty());
}

TEST_CASE("what may be undone, once, and who may agree to it") {
    struct Row {
        EntryKind kind;
        Types refused;
    };
    const Row rows[] = {
        {EntryKind::topup, {}},
        {EntryKind::fee, {}},
        {EntryKind::refund, {}},
        {EntryKind::reversal, {"not-reversible"}},
        {EntryKind::charge, {"not-reversible"}},
        {EntryKind::opening, {"not-reversible"}},
        {EntryKind::transfer, {"not-reversible"}},
        {EntryKind::adjustment, {"not-reversible"}},
        {EntryKind::round_off, {"not-reversible"}},
        {EntryKind::write_off, {"not-reversible"}},
        {EntryKind::banked, {"not-reversible"}},
        {EntryKind::correction, {"not-reversible"}},
        {EntryKind::price_settlement, {"not-reversible"}},
    };
    for (const Row& row : rows) {
        CAPTURE(to_string(row.kind));
        Entry entry;
        entry.kind = row.kind;
        entry.entry = "e7";
        entry.account = "a-1";
        entry.by = "s-01";
        CHECK(types(judge_reversal({&entry, "", true, "s-02"})) == row.refused);
    }
    Entry entry = topup_entry("a-1", fen("1.00"), Method::cash, "s-01", "topup:k");
    entry.entry = "e7";
    CHECK(types(judge_reversal({&entry, "e9", true, "s-02"})) == Types{"already-reversed"});
    CHECK(types(judge_reversal({&entry, "", false, "s-02"})) == Types{"account-closed"});
    const auto alone = judge_reversal({&entry, "", true, "s-01"});
    REQUIRE(types(alone) == Types{"second"});
    CHECK(alone[0].pointer == "/second");
    CHECK_FALSE(alone[0].rule);
}

TEST_CASE("a refund never exceeds the balance") {
    CHECK(judge_refund(account("36.42"), "36.42", "cash", "").refusals.empty());
    const ActJudgement above = judge_refund(account("36.42"), "36.43", "cash", "");
    REQUIRE(types(above.refusals) == Types{"balance"});
    CHECK(above.refusals[0].message ==
          "account a-1 has 36.42 and 36.43 is more; at most that can be refunded");
    CHECK(types(judge_refund(account("-0.01"), "0.01", "cash", "").refusals) == Types{"balance"});
    CHECK(types(judge_refund(account("0.00"), "0.01", "cash", "").refusals) == Types{"balance"});
    CHECK(judge_refund(account("50.00"), "1.00", "qr", "4200").method == Method::qr);
    CHECK(types(judge_refund(account("50.00"), "1.00", "qr", "").refusals) == Types{"reference"});
    for (const char* amount : {"0", "-1.00"})
        CHECK(types(judge_refund(account("50.00"), amount, "cash", "").refusals) ==
              Types{"amount"});
    for (const char* amount : kBadAmounts) {
        CAPTURE(amount);
        CHECK(types(judge_refund(account("50.00"), amount, "cash", "").refusals) ==
              Types{"amount"});
    }
}

TEST_CASE("a transfer goes to another account that has a balance") {
    const AccountFacts from = account("10.00"), to = account("-3.00", "a-2");
    CHECK(judge_transfer(from, to, "10.00", "").refusals.empty());
    CHECK(types(judge_transfer(from, to, "10.01", "").refusals) == Types{"balance"});
    CHECK(types(judge_transfer(to, from, "1.00", "").refusals) == Types{"balance"});
    const ActJudgement same = judge_transfer(from, from, "1.00", "");
    REQUIRE(types(same.refusals) == Types{"to"});
    CHECK(same.refusals[0].pointer == "/to");
    AccountFacts closed = to;
    closed.open = false;
    const ActJudgement shut = judge_transfer(from, closed, "1.00", "");
    REQUIRE(types(shut.refusals) == Types{"account-closed"});
    CHECK(shut.refusals[0].pointer == "/to");
    CHECK(types(judge_transfer(closed, from, "1.00", "").refusals) == Types{"account-closed"});
    AccountFacts capped = to;
    capped.hoarding_cap = fen("0.00");
    CHECK(judge_transfer(from, capped, "10.00", "").refusals.empty());
    CHECK(types(judge_transfer(from, to, "1.00", std::string(65, '7')).refusals) ==
          Types{"reference"});
    for (const char* amount : kBadAmounts) {
        CAPTURE(amount);
        CHECK(types(judge_transfer(from, to, amount, "").refusals) == Types{"amount"});
    }
}

TEST_CASE("an adjustment has a sign, and may leave a debt") {
    CHECK(judge_adjustment(account("1.00"), "-20.00", "").amount == fen("-20.00"));
    CHECK(judge_adjustment(account("1.00"), "20.00", "test report 7").refusals.empty());
    for (const char* amount : {"0", "0.00", "-0.00", "-1000000.01", "-1e3", "--1"}) {
        CAPTURE(amount);
        CHECK(types(judge_adjustment(account("1.00"), amount, "").refusals) == Types{"amount"});
    }
    for (const char* amount : kBadAmounts) {
        CAPTURE(amount);
        CHECK(types(judge_adjustment(account("1.00"), amount, "").refusals) == Types{"amount"});
    }
}

TEST_CASE("an account without a ledger of its own has no money to move") {
    AccountFacts trial = account("0.00");
    trial.live_from = LocalDate{2026, 12, 1};
    AccountFacts internal = account("0.00");
    internal.billing = Billing::internal;
    AccountFacts later = account("0.00");
    later.not_yet = "account 'a-1' is not yet served: tariff 't' needs bands";
    struct Row {
        const AccountFacts* facts;
        const char* type;
    };
    for (const Row& row :
         {Row{&trial, "trial"}, Row{&internal, "billing"}, Row{&later, "not-yet"}}) {
        CAPTURE(row.type);
        CHECK(types(judge_refund(*row.facts, "1.00", "cash", "").refusals) == Types{row.type});
        CHECK(types(judge_adjustment(*row.facts, "1.00", "").refusals) == Types{row.type});
        CHECK(types(judge_transfer(account("9.00", "a-9"), *row.facts, "1.00", "").refusals) ==
              Types{row.type});
    }
}

TEST_CASE("what is left is settled the way that it can be") {
    struct Row {
        const char* balance;
        Settle settle;
        bool fits;
    };
    const Row rows[] = {
        {"36.42", Settle::refund, true},    {"36.42", Settle::transfer, true},
        {"36.42", Settle::debt, false},     {"-0.01", Settle::refund, false},
        {"-0.01", Settle::transfer, false}, {"-0.01", Settle::debt, true},
        {"0.00", Settle::refund, true},     {"0.00", Settle::transfer, true},
        {"0.00", Settle::debt, true},
    };
    for (const Row& row : rows) {
        CAPTURE(row.balance, to_string(row.settle));
        CHECK(judge_settle("a-1", fen(row.balance), row.settle).has_value() != row.fits);
    }
    CHECK(judge_settle("a-1", fen("-3.27"), Settle::refund)->message ==
          "settle `refund` does not fit: account a-1 owes 3.27; take a top-up of that amount, or "
          "write it off as a debt (settle: debt)");
    for (const char* word : {"refund", "transfer", "debt"})
        CHECK(to_string(*parse_settle(word)) == std::string(word));
    CHECK_FALSE(parse_settle("Refund"));
    CHECK_FALSE(parse_settle(""));
}

TEST_CASE("the account that follows another has the next number") {
    CHECK(successor_id("a-101") == "a-101.2");
    CHECK(successor_id("a-101.2") == "a-101.3");
    CHECK(successor_id("a-101.9", 2) == "a-101.12");
    CHECK(successor_id("a.1") == "a.1.2");
    CHECK(successor_id("a.x") == "a.x.2");
    CHECK(successor_id("3.2-1201") == "3.2-1201.2");
    CHECK(successor_id(".5") == ".5.2");
    CHECK(successor_id("a.99999") == "a.99999.2");
    const std::string longest(64, 'a');
    CHECK(successor_id(longest) == std::string(62, 'a') + ".2");
}
