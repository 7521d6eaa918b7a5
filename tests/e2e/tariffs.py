#!/usr/bin/python3
"""Tariffs on the built programs: a day in bands that the calendar prices, fixed fees and a minimum
over a month's end, whole steps with their rest, and another number of persons as an edge. The
daemon's wall clock is the test's own; amounts are Decimal and Fraction, never the daemon's.
"""
import datetime
import zoneinfo
from decimal import Decimal

from house import House, charge, check, equal, main, wait_for

OPENING = Decimal("500.00")
TARIFFS = """
[[tariff]]
id = "bands"
service = "electricity"
source = "the end-to-end tests"
[[tariff.version]]
valid_from = "2020-01-01"
ladder = "month"
bands = [
  { name = "peak", from = "08:00", to = "22:00", price = "0.568", days = "workday" },
  { name = "valley", from = "22:00", to = "08:00", price = "0.288", days = "workday" },
  { name = "rest", from = "00:00", to = "24:00", price = "0.25", days = "weekend" },
  { name = "feast", from = "00:00", to = "24:00", price = "0.10", days = "holiday" },
]
tiers = [ { up_to = "20", adder = "0.00" }, { adder = "0.05" } ]

[[tariff]]
id = "fees"
service = "electricity"
source = "the end-to-end tests"
[[tariff.version]]
valid_from = "2020-01-01"
ladder = "none"
tiers = [ { price = "1.00" } ]
minimum = "30.00"
fixed = [
  { name = "service", per = "month", amount = "2.00" },
  { name = "line", per = "day", amount = "0.10" },
]

[[tariff]]
id = "steps"
service = "electricity"
source = "the end-to-end tests"
[[tariff.version]]
valid_from = "2020-01-01"
ladder = "none"
tiers = [ { price = "5.00" } ]
quantity_step = "1"

[[tariff]]
id = "persons"
service = "electricity"
source = "the end-to-end tests"
[[tariff.version]]
valid_from = "2020-01-01"
ladder = "month"
tiers = [ { up_to = "10", price = "0.50" }, { price = "1.00" } ]
per_person = { from = 5, up_to_plus = "10" }
"""
METERS = ("bands", "fees", "steps", "persons")


def booked(house, account):
    items = house.get(f"/accounts/{account}/ledger?limit=1000")["items"]
    return [(e["kind"], Decimal(e["amount"]), e["cause"]) for e in items if e["kind"] != "opening"]


def lines(house, account, month):
    found = house.ctl("why", account, "--month", month)["lines"]
    return {
        line.get("band") or line["tier"]: (Decimal(line["quantity"]), Decimal(line["posted"]))
        for line in found
    }


def balance(house, account):
    return Decimal(house.account(account)["balance"])


def wait_balance(house, account, amount):
    wait_for(
        f"the balance of {account} is {amount}: {house.account(account)}",
        lambda: balance(house, account) == amount,
    )


class Site:
    """Four meters, one tariff each; registers are set together and time is moved by restarts."""

    def __init__(self, house):
        self.house = house
        self.zone = zoneinfo.ZoneInfo(house.zone)
        self.faces = dict.fromkeys(METERS, Decimal(100))

    def set(self, **more):
        for name, quantity in more.items():
            self.faces[name] += Decimal(quantity)
        for unit, name in enumerate(METERS, 1):
            self.house.slaves.register("b1", unit, float(self.faces[name]))

    def confirmed(self):
        for name in METERS:
            self.house.wait_register(f"e-{name}", float(self.faces[name]))

    def at(self, moment, **more):
        """Power cut before that local time; from it on the meters show what they used."""
        self.house.kill()
        self.set(**more)
        self.house.clock.set(moment)
        self.house.launch()
        self.confirmed()


def registry(house):
    house.write_registry(
        [(f"e-{name}", f"u-{name}", "b1", unit) for unit, name in enumerate(METERS, 1)],
        [(f"a-{name}", f"u-{name}", name, OPENING) for name in METERS],
    )
    (house.registry / "tariffs" / "all.toml").write_text(TARIFFS)
    persons(house, 4)


def persons(house, count):
    rows = "".join(f"u-{name},{count}\n" for name in METERS)
    (house.registry / "units.csv").write_text("unit,persons\n" + rows)


def begin(house, month_end):
    """The day before the last of the month, 10:00; the last day is a feast."""
    house.clock.set(month_end - datetime.timedelta(days=1, hours=14))
    registry(house)
    feast = (month_end - datetime.timedelta(days=1)).date()
    worked = feast - datetime.timedelta(days=1)
    (house.registry / "calendar.csv").write_text(
        f"date,kind\n{worked},workday\n{feast},holiday\n{month_end.date()},workday\n"
    )
    site = Site(house)
    site.set()
    house.launch()
    house.ctl("import", house.registry)
    site.confirmed()
    return site, worked, feast


def before_the_feast(house, site, worked):
    """12 in the peak, and from 22:00 on 3 in the valley; a freeze stands on each edge."""
    night = datetime.datetime.combine(worked, datetime.time(22), site.zone)
    site.at(night + datetime.timedelta(seconds=30), bands="12", steps="0.75")
    peak = charge("0.568", Decimal(12))
    wait_balance(house, "a-bands", OPENING - peak)
    wait_balance(house, "a-steps", OPENING)
    begun = datetime.datetime.combine(worked, datetime.time(), site.zone)
    site.at(begun + datetime.timedelta(days=1, seconds=20),
            bands="3", steps="0.75", fees="4", persons="15")  # fmt: skip
    cause = f"day:{worked}"
    wait_for(f"{cause} is posted", lambda: cause in [row[2] for row in booked(house, "a-bands")])
    valley = charge("0.288", Decimal(3))
    equal("bands", sorted(booked(house, "a-bands")),
          sorted([("charge", -peak, cause), ("charge", -valley, cause)]))  # fmt: skip
    equal("steps", booked(house, "a-steps"), [("charge", Decimal("-5.00"), cause)])
    equal("fees", booked(house, "a-fees"),
          [("charge", Decimal("-4.00"), cause),
           ("fee", Decimal("-2.00"), f"fee:fees/service/{worked:%Y-%m}"),
           ("fee", Decimal("-0.10"), f"fee:fees/line/{worked}")])  # fmt: skip
    wait_balance(house, "a-persons", OPENING - 10 * Decimal("0.50") - 5)
    rows = house.get("/readings?after=0&limit=1000")["items"]
    edges = [r for r in rows if r["kind"] == "switch" and r["meter"] == "e-bands"]
    equal("the freeze at the edge", [(Decimal(r["total"]), r["quality"]) for r in edges],
          [(Decimal(112), "good")])  # fmt: skip
    equal("its time", datetime.datetime.fromisoformat(edges[0]["at"]), night)
    equal("no edges of others", {r["meter"] for r in rows if r["kind"] == "switch"}, {"e-bands"})


def another_person(house, site, feast):
    """Six persons from noon of the feast on: limits of 10 become 30."""
    noon = datetime.datetime.combine(feast, datetime.time(12), site.zone)
    site.at(noon, bands="10", persons="5")
    persons(house, 6)
    equal("edges", sorted(house.ctl("import", house.registry)["edges"]),
          [f"e-{name}" for name in sorted(METERS)])  # fmt: skip
    wait_for("the edge is passed", lambda: [r for r in booked(house, "a-persons")
                                            if r[2].startswith("registry:")])  # fmt: skip
    site.at(noon + datetime.timedelta(hours=1), persons="12")
    # 20 counted under the old limit; 10 of the 12 find room below the new one.
    wait_balance(house, "a-persons", OPENING - 10 * Decimal("0.50") - 10 - 10 * Decimal("0.50") - 2)


def month_end_comes(house, site, feast, month_end):
    site.at(month_end + datetime.timedelta(seconds=20), bands="10", steps="0.25", fees="1")
    cause = f"day:{feast}"
    month = f"{feast:%Y-%m}"
    wait_for(f"{cause} is posted", lambda: cause in [row[2] for row in booked(house, "a-fees")])
    # 35 in the month: 12 x 0.568, 3 x 0.288, 20 x 0.10, and 15 above the limit x 0.05.
    wait_for("the bands' day is posted", lambda: cause in [r[2] for r in booked(house, "a-bands")])
    equal("bands", lines(house, "a-bands", month),
          {1: (20, 0), 2: (15, Decimal("0.75")), "peak": (12, charge("0.568", Decimal(12))),
           "valley": (3, charge("0.288", Decimal(3))), "feast": (20, Decimal("2.00"))})  # fmt: skip
    # The account was opened in this month: its minimum waits for the next.
    equal("fees", lines(house, "a-fees", month), {1: (5, 5)})
    equal("steps", lines(house, "a-steps", month), {1: (1, 5)})
    equal("posted", sum(row[1] for row in booked(house, "a-fees")), Decimal("-7.20"))
    return month


def a_month_later(house, site, month_end):
    """Nobody reads the site for a month: 31 kWh at most a line, and the minimum fills it up."""
    later = (month_end + datetime.timedelta(days=32)).replace(day=1)
    site.at(later + datetime.timedelta(hours=6), fees="10", steps="0.5")
    month = f"{month_end:%Y-%m}"
    last = later.date() - datetime.timedelta(days=1)
    newest = f"fee:fees/line/{last}"
    wait_for(f"{newest} is booked", lambda: newest in [r[2] for r in booked(house, "a-fees")])
    found = lines(house, "a-fees", month)
    used = found[1][0]
    check(f"{used} of the 10 kWh lie in the month", Decimal(9) < used < Decimal(10))
    filled = Decimal(30) - charge("1.00", used)
    equal("the minimum", found["minimum"], (filled, filled))
    days = (last - month_end.date()).days + 1
    fees = [row for row in booked(house, "a-fees") if row[0] == "fee"]
    equal("fees of days", sum(1 for row in fees if "/line/" in row[2]), days + 2)
    equal("fees of months", sum(1 for row in fees if "/service/" in row[2]), 2)
    equal("each once", len({row[2] for row in fees}), len(fees))
    # 1.75 + 0.5: two whole ones in all, a quarter is carried.
    wait_balance(house, "a-steps", OPENING - 10)


def test():
    with House(mqtt=False) as house:
        house.own_clock(day=3)
        house.tcp_bus("b1")
        house.write_config()
        zone = zoneinfo.ZoneInfo(house.zone)
        here = house.clock.now().astimezone(zone)
        month_end = (here.replace(day=1) + datetime.timedelta(days=32)).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0)  # fmt: skip
        site, worked, feast = begin(house, month_end)
        before_the_feast(house, site, worked)
        another_person(house, site, feast)
        month_end_comes(house, site, feast, month_end)
        a_month_later(house, site, month_end)
        equal("verify", house.ctl("verify")["ok"], True)


if __name__ == "__main__":
    main(test)
