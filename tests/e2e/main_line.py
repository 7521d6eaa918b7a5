#!/usr/bin/python3
"""The main line, whole: registers move on a TCP and on a serial line, balances fall by the exact
amount, the alert arrives at the broker once, a top-up clears it, and the books explain all of it.
"""
import json
from decimal import Decimal

from house import FLAT, House, charge, check, equal, half_up, main, sent_value, wait_for

TIERS = [(Decimal("100"), "0.4883"), (Decimal("50"), "0.5383"), (None, "0.7883")]


def ladder_lines(quantity):
    """What each tier takes of it, and what that costs, one line a tier."""
    lines, left = [], quantity
    for width, price in TIERS:
        taken = left if width is None else min(left, width)
        if taken > 0:
            lines.append((taken, charge(price, taken)))
        left -= taken
    return lines


class Story:
    """e-1 on TCP, flat; e-2 on a serial line, a ladder. Each step leaves the house as it finds
    described in the next."""

    def __init__(self, house):
        self.house = house

    def open_house(self):
        house = self.house
        house.broker.start()
        house.tcp_bus("b1")
        house.pty_bus("b2")
        house.slaves.register("b1", 1, 1234.5)
        house.slaves.register("b2", 7, 88.75)
        house.write_config()
        house.write_registry(
            [("e-1", "1-0101", "b1", 1), ("e-2", "1-0102", "b2", 7)],
            [("a-1", "1-0101", "flat", "100.00"), ("a-2", "1-0102", "ladder", "200.00")],
        )
        self.subscriber = house.subscribe()
        house.launch()
        wait_for("online at the broker", lambda: self.last("/status") == "online")
        equal("added", house.ctl("import", house.registry)["added"] != 0, True)
        house.wait_register("e-1", 1234.5)
        house.wait_register("e-2", 88.75)
        self.expect_balance("a-1", Decimal("100.00"))
        self.expect_balance("a-2", Decimal("200.00"))

    def last(self, topic):
        messages = self.subscriber.messages(topic)
        return messages[-1].text if messages else None

    def alerts(self):
        return [m.json for m in self.subscriber.messages("/alert/low_balance")]

    def expect_balance(self, account, balance, level=None):
        """The balance in HTTP and in the retained topic."""
        house = self.house
        wait_for(
            f"{account} stands at {balance}: {house.account(account)}",
            lambda: Decimal(house.account(account)["balance"]) == balance,
        )
        topic = f"/account/{account}/balance"
        wait_for(
            f"{topic} says {balance}",
            lambda: (text := self.last(topic)) and Decimal(json.loads(text)["balance"]) == balance,
        )
        check(f"{topic} is retained", self.subscriber.messages(topic)[-1].retained)
        if level is not None:
            equal(f"level of {account}", house.account(account)["level"], level)

    def registers_move(self):
        """The balance falls by the exact amount of what the wire carried."""
        house = self.house
        house.slaves.register("b1", 1, 1270.3)  # no single-precision number: 1270.300048828125
        used = half_up(sent_value(1270.3), 3) - Decimal("1234.500")
        house.wait_register("e-1", 1270.3)
        self.expect_balance("a-1", Decimal("100.00") - charge(FLAT, used), level=0)
        equal("e-2 was not touched", Decimal(house.account("a-2")["balance"]), Decimal("200.00"))

        house.slaves.register("b2", 7, 269.25)
        used = half_up(sent_value(269.25), 3) - Decimal("88.750")
        lines = ladder_lines(used)
        equal("tiers that this reaches", len(lines), 3)
        house.wait_register("e-2", 269.25)
        self.expect_balance("a-2", Decimal("200.00") - sum(cost for _, cost in lines), level=0)
        equal("alerts so far", self.alerts(), [])
        self.every_fen_is_told(lines)

    def every_fen_is_told(self, lines):
        """Before anything is posted `why` says line by line what lies between ledger and balance,
        and from which words."""
        why = self.house.ctl("why", "a-2")
        told = [(Decimal(line["quantity"]), Decimal(line["target"])) for line in why["lines"]]
        equal("lines of a-2", told, lines)
        equal("posted of them", {line["posted"] for line in why["lines"]}, {"0.00"})
        equal("not posted", Decimal(why["unposted"]), sum(cost for _, cost in lines))
        for line in why["lines"]:
            ends = [(Decimal(r["register"]), r["raw"]) for r in line["readings"]]
            equal("its readings", ends,
                  [(Decimal("88.75"), "42b1 8000"), (Decimal("269.25"), "4386 a000")])  # fmt: skip

    def alert_arrives_once(self):
        house = self.house
        house.slaves.register("b1", 1, 1333.125)
        used = Decimal("1333.125") - Decimal("1234.500")
        self.low = Decimal("100.00") - charge(FLAT, used)
        check("the step passes the threshold", Decimal("10.00") < self.low < Decimal("50.00"))
        self.expect_balance("a-1", self.low, level=1)
        wait_for("the alert at the broker", self.alerts)
        house.wait_polls("b1", 8)
        alerts = self.alerts()
        equal("transitions", [a["state"] for a in alerts], ["raised"])
        alert = alerts[0]
        expected = {"kind": "low_balance", "account": "a-1", "unit": "1-0101", "level": 1,
                    "subject": "a-1", "service": "electricity", "currency": "CNY",
                    "balance": str(self.low), "reason": "balance", "prev": 0,
                    "quality": "confirmed"}  # fmt: skip
        equal("the alert", {name: alert.get(name) for name in expected}, expected)
        equal("its threshold", Decimal(alert["threshold"]), Decimal("50.00"))
        check("it has a sentence", "Flat 1-0101" in alert["text"])
        check("not retained", not self.subscriber.messages("/alert/low_balance")[0].retained)
        self.active = f"/alert/active/{alert['id']}"
        wait_for("the open alert, retained", lambda: self.subscriber.messages(self.active))
        open_copy = self.subscriber.messages(self.active)[0]
        equal("the retained copy", (open_copy.retained, open_copy.json), (True, alert))
        low = house.ctl("accounts", "--low")["items"]
        equal("accounts --low", [a["account"] for a in low], ["a-1"])
        listed = [a["id"] for a in house.ctl("alerts", "--open")["items"]]
        equal("open alerts", listed, [alert["id"]])

    def topup_clears_it(self):
        house = self.house
        words = ("topup", "a-1", "60.00", "--key", "k-1", "--by", "s-01")
        receipt = house.ctl(*words)
        equal("balance on the receipt", Decimal(receipt["balance"]), self.low + 60)
        self.expect_balance("a-1", self.low + 60, level=0)
        wait_for("cleared", lambda: len(self.alerts()) == 2)
        raised, cleared = self.alerts()
        equal("state", (cleared["state"], cleared["cleared_by"]), ("cleared", "topup"))
        equal("same alert", cleared["id"], raised["id"])
        equal("chained", cleared["prev"], raised["seq"])
        wait_for("the retained copy is gone", lambda: self.last(self.active) == "")
        equal("accounts --low", house.ctl("accounts", "--low")["items"], [])

        equal("the same key again gives the same receipt", house.ctl(*words), receipt)
        other = house.refused("topup", "a-1", "61.00", "--key", "k-1", "--by", "s-01")
        equal("another body under that key: exit", other.code, 2)
        equal("its status", other.problem["status"], 422)
        nobody = house.refused("topup", "a-1", "60.00", "--key", "k-2", "--by", "s-99")
        equal("nobody of the staff: exit", nobody.code, 2)
        nothing = house.refused("topup", "a-9", "60.00", "--key", "k-3", "--by", "s-01")
        equal("no such account: exit", nothing.code, 1)
        self.expect_balance("a-1", self.low + 60)

    def books_explain(self):
        house = self.house
        why = house.ctl("why", "a-1")
        kinds = [(e["kind"], Decimal(e["amount"])) for e in why["entries"]]
        equal("entries", kinds, [("opening", Decimal("100.00")), ("topup", Decimal("60.00"))])
        equal("ledger", Decimal(why["ledger"]), Decimal("160.00"))
        equal("unposted", Decimal(why["unposted"]), Decimal("100.00") - self.low)
        equal("balance", Decimal(why["balance"]), self.low + 60)
        equal("verify", house.ctl("verify")["ok"], True)
        status = house.ctl("status")
        equal("meters online", (status["meters"]["online"], status["meters"]["total"]), (2, 2))
        equal("buses", [b["phase"] for b in status["buses"]], ["online", "online"])
        check("connected", status["mqtt"]["connected"])
        wait_for("everything is acknowledged", lambda: house.get("/status")["mqtt"]["backlog"] == 0)
        read = house.ctl("read", "e-2", "--raw")
        equal("read", (read["result"], Decimal(read["register"])), ("ok", Decimal("269.25")))
        check("the bytes on the wire", any("43 86 a0 00" in e["reply"].lower() or
              "4386a000" in e["reply"].lower() for e in read["exchanges"]))  # fmt: skip
        again = house.ctl("import", house.registry)
        equal("a second import changes nothing", (count(again["added"]), count(again["changed"])),
              (0, 0))  # fmt: skip

    def will_and_offline(self):
        house = self.house
        balance = self.low + 60
        house.kill()
        wait_for("the will says offline", lambda: self.last("/status") == "offline")
        house.launch()
        wait_for("online again", lambda: self.last("/status") == "online")
        house.wait_register("e-1", 1333.125)
        self.expect_balance("a-1", balance, level=0)
        house.wait_polls("b1", 4)
        equal("no alert was made up", len({a["seq"] for a in self.alerts()}), 2)
        equal("verify", house.ctl("verify")["ok"], True)
        equal("a clean stop", house.daemon.stop(), 0)
        wait_for("offline on a clean stop", lambda: self.last("/status") == "offline")
        retained = [m.retained for m in self.subscriber.messages("/status")]
        check("every word of status is retained", all(retained))


def count(value):
    """A count, as a number or as an object by table."""
    return sum(value.values()) if isinstance(value, dict) else value


def test():
    with House() as house:
        story = Story(house)
        story.open_house()
        story.registers_move()
        story.alert_arrives_once()
        story.topup_clears_it()
        story.books_explain()
        story.will_and_offline()


if __name__ == "__main__":
    main(test)
