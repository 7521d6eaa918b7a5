#!/usr/bin/python3
"""Alerts that no money makes, at a real broker: a silent meter, a dead bus that does not drown
anybody, a held reading, a balance without readings, reminders and the daily digest; each transition
once, over power cuts. The daemon's wall clock is the test's own.
"""
import datetime
import zoneinfo
from decimal import Decimal

from house import House, check, equal, main, wait_for

METERS = [
    ("e-1", "u-1", "b1", 1),
    ("e-2", "u-2", "b1", 2),
    ("e-3", "u-3", "b1", 3),
    ("e-4", "u-4", "b2", 4),
    ("e-5", "u-5", "b2", 5),
]
ACCOUNTS = [(f"a-{n}", f"u-{n}", "flat", "500.00") for n in (1, 2, 3, 4)]
ACCOUNTS.append(("a-5", "u-5", "flat", "40.00"))


def told(subscriber, kind):
    """Bodies on one topic of alerts, each seq once, oldest first."""
    bodies = {m.json["seq"]: m.json for m in subscriber.messages(f"/alert/{kind}") if m.text}
    return [bodies[seq] for seq in sorted(bodies)]


def steps(subscriber, kind, subject):
    return [b["state"] for b in told(subscriber, kind) if b["subject"] == subject]


def all_events(house):
    events, after, more = [], 0, True
    while more:
        page = house.get(f"/events?limit=1000&after={after}")
        events += page["items"]
        after, more = page["next"], page["has_more"]
    return events


def first_monday(house):
    """Of the next month, not before its third, at ten: the digest is due, and no edge is near."""
    zone = zoneinfo.ZoneInfo(house.zone)
    day = datetime.datetime.now(zone).replace(day=1) + datetime.timedelta(days=34)
    day = day.replace(day=3)
    return (day + datetime.timedelta(days=-day.weekday() % 7)).day


def cut_to(house, moment):
    """A power cut, and the box comes back at that moment."""
    house.kill()
    house.clock.set(moment)
    house.launch()


def digest(house, subscriber):
    wait_for("the digest", lambda: told(subscriber, "digest"))
    (body,) = told(subscriber, "digest")
    equal("looked at", (body["checked"], body["not_read"]), (5, 0))
    equal("levels", body["levels"], {"0": 4, "1": 1, "2": 0, "3": 0, "4": 0})
    check(f"its sentence: {body}", "5 accounts checked" in body["text"] and "1 low" in body["text"])
    check("retained", subscriber.messages("/alert/digest")[0].retained)


def held_reading(house, subscriber):
    house.slaves.register("b2", 4, 90000)
    wait_for("held", lambda: steps(subscriber, "reading_held", "e-4") == ["raised"])
    body = told(subscriber, "reading_held")[0]
    equal("why", (body["reason"], body["account"], body["quality"]), ("cap", "a-4", "held"))
    house.slaves.register("b2", 4, 200)
    wait_for("over", lambda: steps(subscriber, "reading_held", "e-4") == ["raised", "cleared"])


def silence(house, subscriber):
    """One meter of b2, and the whole of b1, at once."""
    house.slaves.ask(op="mute", bus="b2", unit=4, on=True)
    house.slaves.ask(op="close", bus="b1")
    wait_for("the meter", lambda: steps(subscriber, "meter_offline", "e-4") == ["raised"], 240)
    wait_for("the bus", lambda: steps(subscriber, "meter_offline", "bus:b1") == ["raised"], 240)
    for meter in ("e-1", "e-2", "e-3"):
        wait_for(meter, lambda meter=meter: steps(subscriber, "meter_offline", meter) == ["raised"])
    bodies = {b["subject"]: b for b in told(subscriber, "meter_offline")}
    equal("how loud", {subject: b["severity"] for subject, b in bodies.items()},
          {"e-4": "warning", "bus:b1": "critical", "e-1": "info", "e-2": "info", "e-3": "info"})
    equal("how many", bodies["bus:b1"]["meters"], 3)
    check("the bus first", all(bodies["bus:b1"]["seq"] < bodies[m]["seq"] for m in ("e-1", "e-3")))
    check(f"{bodies['e-1']['text']}", "bus b1" in bodies["e-1"]["text"])
    equal("five open", sum(a["kind"] == "meter_offline"
                           for a in house.get("/alerts?state=open")["items"]), 5)  # fmt: skip
    house.slaves.ask(op="mute", bus="b2", unit=4, on=False)
    wait_for("the meter is back",
             lambda: steps(subscriber, "meter_offline", "e-4") == ["raised", "cleared"], 240)


def a_day_later(house, subscriber):
    """The bus is still dead: three balances are a day old; nobody is told of it twice."""
    before = len(told(subscriber, "meter_offline"))
    cut_to(house, house.clock.now() + datetime.timedelta(hours=25))
    for account in ("a-1", "a-2", "a-3"):
        wait_for(f"{account} is stale",
                 lambda a=account: steps(subscriber, "stale_balance", a) == ["raised"])
    wait_for("the second digest", lambda: len(told(subscriber, "digest")) == 2)
    equal("not read", told(subscriber, "digest")[1]["not_read"], 3)
    equal("no outage is told again", len(told(subscriber, "meter_offline")), before)
    house.kill()
    house.launch()
    house.wait_register("e-5", 300)
    house.slaves.ask(op="tcp", bus="b1", port=int(house.buses["b1"].rsplit(":", 1)[1]))
    for subject in ("a-1", "a-2", "a-3"):
        wait_for(f"{subject} is read",
                 lambda s=subject: steps(subscriber, "stale_balance", s) == ["raised", "cleared"],
                 240)
    for subject in ("bus:b1", "e-1", "e-2", "e-3"):
        wait_for(f"{subject} is back",
                 lambda s=subject: steps(subscriber, "meter_offline", s) == ["raised", "cleared"],
                 240)


def a_week_later(house, subscriber, monday):
    """a-5 was told of on Monday and nobody called; a-5 is reminded of once, in working hours."""
    night = (monday + datetime.timedelta(days=7)).replace(hour=20)
    cut_to(house, night)
    house.wait_register("e-5", 300)
    house.wait_polls("b2", 20)
    equal("nobody at night", steps(subscriber, "low_balance", "a-5"), ["raised"])
    cut_to(house, (night + datetime.timedelta(days=1)).replace(hour=10))
    wait_for("in the morning",
             lambda: steps(subscriber, "low_balance", "a-5") == ["raised", "reminded"])
    house.kill()
    house.launch()
    house.wait_register("e-5", 300)
    house.wait_polls("b2", 20)
    equal("once", steps(subscriber, "low_balance", "a-5"), ["raised", "reminded"])
    reminder = told(subscriber, "low_balance")[-1]
    equal("as it stands", (Decimal(reminder["balance"]), reminder["threshold"]),
          (Decimal("40.00"), "50.00"))  # fmt: skip


def all_arrived(house, subscriber):
    """Every transition of the log at the subscriber, in order, and what is open is retained."""
    wait_for("no backlog", lambda: house.get("/status")["mqtt"]["backlog"] == 0)
    events = [e for e in all_events(house) if e["kind"].startswith("alert.")]
    for kind in sorted({e["body"]["kind"] for e in events}):
        expected = [e["body"] for e in events if e["body"]["kind"] == kind]
        wait_for(f"all of {kind}", lambda k=kind, n=len(expected): len(told(subscriber, k)) >= n)
        equal(kind, told(subscriber, kind), expected)
        equal(f"prev of {kind}", [b["prev"] for b in expected],
              [0, *(b["seq"] for b in expected[:-1])])  # fmt: skip
    active = {}
    for message in subscriber.messages():
        if "/alert/active/" in message.topic:
            active[message.topic.rsplit("/", 1)[1]] = message.text
    still_open = {a["id"] for a in house.get("/alerts?state=open")["items"]}
    equal("retained", {i for i, text in active.items() if text}, still_open)
    equal("verify", house.ctl("verify")["ok"], True)


def test():
    with House() as house:
        house.own_clock(day=first_monday(house))
        monday = house.clock.now().astimezone(zoneinfo.ZoneInfo(house.zone))
        house.broker.start()
        house.tcp_bus("b1")
        house.tcp_bus("b2")
        for n in (1, 2, 3):
            house.slaves.register("b1", n, 100)
        house.slaves.register("b2", 4, 200)
        house.slaves.register("b2", 5, 300)
        house.write_config()
        house.write_registry(METERS, ACCOUNTS)
        # The one that will read too much; the others may jump as they like.
        meters = house.registry / "meters.csv"
        rows = meters.read_text().splitlines()
        rows[4] = rows[4].replace("10000000", "60")
        meters.write_text("\n".join(rows) + "\n")
        subscriber = house.subscribe()
        house.launch()
        house.ctl("import", house.registry)
        for n, number in ((1, 100), (2, 100), (3, 100), (4, 200), (5, 300)):
            house.wait_register(f"e-{n}", number)
        wait_for("a-5 is low", lambda: steps(subscriber, "low_balance", "a-5") == ["raised"])
        digest(house, subscriber)
        held_reading(house, subscriber)
        silence(house, subscriber)
        a_day_later(house, subscriber)
        a_week_later(house, subscriber, monday)
        all_arrived(house, subscriber)


if __name__ == "__main__":
    main(test)
