#!/usr/bin/python3
"""A day of a desk on the built programs: money in the wrong room, a payment that is undone, a
refund in coins, a correction, two cashiers at once, an account that ends and a flat that changes
hands. After each act the daemon is killed; asked again under the same key it answers alike, and
nothing is booked twice. In the end every ledger sums up, the broker says the same, and `verify` is
clean.
"""
import json
import threading
from decimal import Decimal

from house import FLAT, House, UnixConnection, charge, check, equal, main, wait_for

TWO = ("--by", "s-01", "--second", "s-02")
CAP = Decimal("300.00")


class Desk:
    def __init__(self, house, subscriber):
        self.house, self.subscriber = house, subscriber

    def balance(self, account):
        return Decimal(self.house.account(account)["balance"])

    def expect(self, account, balance, level=None):
        """The balance in HTTP, and what the broker keeps for whoever comes."""
        wait_for(
            f"{account} stands at {balance}: {self.house.account(account)}",
            lambda: self.balance(account) == balance,
        )

        def told():
            messages = [one for one in self.subscriber.messages(f"/account/{account}/balance")
                        if one.text]  # fmt: skip
            last = json.loads(messages[-1].text) if messages else {}
            return last and Decimal(last["balance"]) == balance and level in (None, last["level"])

        wait_for(f"the broker says {balance} of {account}", told)

    def expect_end(self, account):
        """Nothing is left, and the broker keeps nothing of it; killed as it closed, the daemon may
        not have told the last figure."""
        equal(f"left of {account}", self.balance(account), Decimal("0.00"))
        wait_for(
            f"the broker keeps nothing of {account}",
            lambda: not self.subscriber.messages(f"/account/{account}/balance")[-1].text,
        )

    def act(self, *words, reason="a day at the desk"):
        """An act of two people: done, killed, and asked again."""
        words = (*words, "--reason", reason, *TWO)
        done = self.house.ctl(*words)
        self.house.kill()
        self.house.launch()
        equal(f"{words[0]} asked again", self.house.ctl(*words), done)
        return done

    def refused(self, status, kind, *words):
        problem = self.house.refused(*words, "--reason", "x", *TWO).problem
        equal(f"{words} is refused", (problem["status"], problem["type"].rsplit(":", 1)[1]),
              (status, kind))  # fmt: skip
        return problem

    def post(self, account, amount, key, answers):
        answers.append(UnixConnection.request(
            self.house.socket, "POST", f"/api/v1/accounts/{account}/topups",
            {"amount": amount, "by": "s-01"}, {"Idempotency-Key": key}))  # fmt: skip


def wrong_room(desk):
    house = desk.house
    house.ctl("topup", "a-1", "100.00", "--key", "t-1", "--by", "s-01")
    desk.expect("a-1", Decimal("200.00"))
    moved = desk.act("transfer", "a-1", "a-2", "100.00", "--key", "x-1")
    equal("both", (moved["balance"], moved["to_balance"]), ("100.00", "100.00"))
    desk.expect("a-1", Decimal("100.00"), level=0)
    desk.expect("a-2", Decimal("100.00"), level=0)
    shown = house.get("/accounts/a-2/ledger")["items"][-1]
    equal("its own side", (shown["kind"], shown["amount"], shown["from"], shown["by"],
                           shown["second"], shown["authenticated"]),
          ("transfer", "100.00", "a-1", "s-01", "s-02", False))  # fmt: skip
    desk.refused(422, "balance", "transfer", "a-1", "a-2", "100.01", "--key", "x-2")


def undone(desk):
    house = desk.house
    paid = house.ctl("topup", "a-3", "50.00", "--key", "t-2", "--by", "s-01")
    desk.act("reverse", paid["entry"], "--key", "r-1")
    desk.expect("a-3", Decimal("20.00"), level=1)
    desk.refused(409, "already-reversed", "reverse", paid["entry"], "--key", "r-2")
    last = house.get("/accounts/a-3/ledger")["items"][-1]["entry"]
    desk.refused(422, "not-reversible", "reverse", last, "--key", "r-2")
    alone = house.refused("reverse", paid["entry"], "--key", "r-2", "--reason", "x",
                          "--by", "s-02", "--second", "s-01").problem  # fmt: skip
    check(f"who collected does not approve: {alone}",
          any(e["pointer"] == "/second" for e in alone["errors"]))  # fmt: skip


def coins(desk):
    used = charge(FLAT, Decimal("10"))
    desk.house.slaves.register("b1", 1, 1010)
    desk.expect("a-1", Decimal("100.00") - used)
    back = desk.act("refund", "a-1", "14.42", "--key", "f-1", reason="paid too much")
    equal("in coins", (back["paid"], back["round_off"], back["amount"]),
          ("14.40", "0.02", "-14.42"))  # fmt: skip
    left = Decimal("100.00") - used - Decimal("14.42")
    desk.expect("a-1", left)
    desk.refused(422, "balance", "refund", "a-1", left + Decimal("0.01"), "--key", "f-2")
    for amount in ("0", "-1", "1.001", "1e3", "１２", "12345678901234567890"):
        desk.refused(422, "amount", "refund", "a-1", amount, "--key", "f-2")
    desk.act("adjust", "a-2", "-3.27", "--key", "d-1", "--reference", "test report 7")
    desk.expect("a-2", Decimal("96.73"))
    return left


def two_cashiers(desk, left):
    """Each alone would fit under the cap, both do not."""
    answers = []
    cashiers = [
        threading.Thread(target=desk.post, args=("a-1", "150.00", f"c-{n}", answers))
        for n in (1, 2)
    ]
    for cashier in cashiers:
        cashier.start()
    for cashier in cashiers:
        cashier.join()
    equal("one of them", sorted(status for status, _ in answers), [201, 422])
    problem = next(document for status, document in answers if status == 422)
    equal("why", problem["type"], "urn:gatehouse:problem:hoarding-cap")
    check("within the cap", left + Decimal("150.00") <= CAP < left + Decimal("300.00"))
    desk.expect("a-1", left + Decimal("150.00"))


def the_end(desk):
    house = desk.house
    problem = desk.refused(409, "balance-left", "close", "a-2", "--key", "e-1")
    check(f"what is left: {problem}", "96.73" in problem["detail"])
    desk.act("refund", "a-2", "96.73", "--method", "transfer", "--reference", "B1", "--key", "f-3")
    closed = desk.act("close", "a-2", "--key", "e-1")
    check(f"since when: {closed}", closed["closed"] and closed["balance"] == "0.00")
    desk.expect_end("a-2")
    equal("closed", (house.account("a-2")["open"], house.meter("e-2").get("account") or ""),
          (False, ""))  # fmt: skip
    taken = house.refused("topup", "a-2", "1.00", "--key", "t-9", "--by", "s-01").problem
    equal("no more", taken["type"], "urn:gatehouse:problem:account-closed")


def changed_hands(desk, left):
    house = desk.house
    house.slaves.register("b1", 1, 1020)
    used = charge(FLAT, Decimal("20")) - charge(FLAT, Decimal("10"))
    desk.expect("a-1", left + Decimal("150.00") - used)
    rest = left + Decimal("150.00") - used
    desk.refused(422, "settle", "occupant", "u-1", "--holder", "p-2", "--settle", "debt",
                 "--key", "o-1")  # fmt: skip
    moved = desk.act("occupant", "u-1", "--holder", "p-2", "--settle", "transfer", "--key", "o-1")
    new = moved["account"]
    equal("the new account", new, "a-1.2")
    desk.expect_end("a-1")
    desk.expect(new, rest)
    house.slaves.register("b1", 1, 1030)
    desk.expect(new, rest - charge(FLAT, Decimal("10")))
    equal("the old one stays", desk.balance("a-1"), Decimal("0.00"))
    items = house.get("/readings?kind=move")["items"]
    mine = [i for i in items if i["meter"] == "e-1"]
    equal("one row for both", [(Decimal(i["total"]), i["account"]) for i in mine],
          [(Decimal("1020"), "a-1")])  # fmt: skip
    why = house.ctl("why", new)
    equal("from that row on", why["lines"][0]["readings"][0]["seq"], mine[0]["seq"])
    equal("nothing of the old one", [e["kind"] for e in why["entries"]], ["transfer"])
    file = house.get("/units/u-1")
    equal("nor in the household's file", [a["account"] for a in file["accounts"]], [new])
    return new


def sums_up(desk, accounts):
    for account in accounts:
        items = desk.house.get(f"/accounts/{account}/ledger?limit=1000")["items"]
        total = sum((Decimal(i["amount"]) for i in items), Decimal(0))
        equal(f"ledger of {account}", total, Decimal(desk.house.account(account)["ledger"]))
        after = Decimal(0)
        for item in items:
            after += Decimal(item["amount"])
            equal(f"{account} after {item['entry']}", Decimal(item["balance_after"]), after)


def write_accounts(house):
    house._csv("people.csv", "person,kind,name,unit",
               [("p-1", "tenant", "Old", "u-1"), ("p-2", "tenant", "New", "u-1")])  # fmt: skip
    house._csv("accounts.csv",
               "account,unit,service,tariff,opening_balance,hoarding_cap,holder",
               [("a-1", "u-1", "electricity", "flat", "100.00", CAP, "p-1"),
                ("a-2", "u-2", "electricity", "flat", "", "", ""),
                ("a-3", "u-3", "electricity", "flat", "20.00", "", "")])  # fmt: skip


def test():
    with House() as house:
        house.broker.start()
        house.tcp_bus("b1")
        for unit in (1, 2, 3):
            house.slaves.register("b1", unit, 1000)
        house.write_config()
        house.write_registry([(f"e-{n}", f"u-{n}", "b1", n) for n in (1, 2, 3)], [])
        write_accounts(house)
        desk = Desk(house, house.subscribe("gatehouse/e2e/account/#"))
        house.launch()
        house.ctl("import", house.registry)
        for unit in (1, 2, 3):
            house.wait_register(f"e-{unit}", 1000)
        wrong_room(desk)
        undone(desk)
        left = coins(desk)
        two_cashiers(desk, left)
        the_end(desk)
        new = changed_hands(desk, left)
        sums_up(desk, ["a-1", "a-2", "a-3", new])
        equal("verify", house.ctl("verify")["ok"], True)
        same = house.ctl("import", house.registry)
        equal("the same folder again", (same["added"], same["changed"]), (0, 0))
        export = house.folder / "export"
        house.ctl("export", export)
        again = house.ctl("import", export)
        equal("an import of the export", (again["added"], again["changed"]), (0, 0))


if __name__ == "__main__":
    main(test)
