#!/usr/bin/python3
"""Days end: what was used is posted at local midnight, under the day that ended, from a freeze of
the register; days that passed while the box was off are posted each under its own key, estimated;
and the sum is exact all the same. The daemon's wall clock is the test's own.
"""
import datetime
from decimal import Decimal

from house import FLAT, House, charge, check, equal, main, wait_for

OPENING = Decimal("500.00")


def charges(house):
    items = house.get("/accounts/a-1/ledger?limit=1000")["items"]
    return [(e["cause"], -Decimal(e["amount"])) for e in items if e["kind"] == "charge"]


def freezes(house):
    readings = house.get("/readings?after=0&limit=1000")["items"]
    return [reading for reading in readings if reading["kind"] == "freeze"]


def wait_charge(house, day):
    cause = f"day:{day}"
    wait_for(f"{cause} is posted: {charges(house)}", lambda: cause in dict(charges(house)))
    return dict(charges(house))[cause]


def a_midnight(house):
    """With the daemon up: the freeze stands on the edge and everything before it is posted."""
    house.slaves.register("b1", 1, 110.5)
    house.wait_register("e-1", 110.5)
    house.kill()
    day = house.before_midnight(10)
    house.launch()
    equal(f"what {day} used", wait_charge(house, day), charge(FLAT, Decimal("10.5")))
    why = house.ctl("why", "a-1")
    equal("unposted", Decimal(why["unposted"]), Decimal(0))
    lines = [(Decimal(line["quantity"]), Decimal(line["posted"])) for line in why["lines"]]
    equal("its line", lines, [(Decimal("10.5"), charge(FLAT, Decimal("10.5")))])
    readings = why["lines"][0]["readings"]
    equal("its readings", [Decimal(r["register"]) for r in readings],
          [Decimal("100"), Decimal("110.5")])  # fmt: skip
    check(f"the words on the wire: {readings}", readings[-1]["raw"] == "42dd 0000")
    frozen = freezes(house)
    equal("freezes", [(Decimal(r["register"]), r["quality"]) for r in frozen],
          [(Decimal("110.5"), "good")])  # fmt: skip
    return day


def three_days_off(house, day):
    """Two whole days and half of a third pass while it is off and the meter counts on."""
    house.kill()
    noon = house.clock.now() + datetime.timedelta(days=2, hours=12)
    house.clock.set(noon)
    house.slaves.register("b1", 1, 143.75)
    house.launch()
    house.wait_register("e-1", 143.75)
    missed = [day + datetime.timedelta(days=n) for n in (1, 2)]
    for one in missed:
        check(f"{one} used something", wait_charge(house, one) > 0)
    causes = [cause for cause, _ in charges(house)]
    equal("each day once, oldest first", causes, [f"day:{d}" for d in (day, *missed)])
    frozen = freezes(house)
    equal("their freezes", [r["quality"] for r in frozen], ["good", "estimated", "estimated"])
    used = Decimal("43.75")
    wait_for(
        f"the balance is exact: {house.account('a-1')}",
        lambda: Decimal(house.account("a-1")["balance"]) == OPENING - charge(FLAT, used),
    )
    house.kill()
    last = house.before_midnight(10)
    equal("the day that is left", last, missed[-1] + datetime.timedelta(days=1))
    house.launch()
    wait_charge(house, last)
    equal("posted, whole", sum(amount for _, amount in charges(house)), charge(FLAT, used))
    equal("ledger", Decimal(house.account("a-1")["ledger"]), OPENING - charge(FLAT, used))


def test():
    with House(mqtt=False) as house:
        house.own_clock(day=3)
        house.tcp_bus("b1")
        house.slaves.register("b1", 1, 100)
        house.write_config()
        house.write_registry([("e-1", "u-1", "b1", 1)], [("a-1", "u-1", "flat", OPENING)])
        house.launch()
        house.ctl("import", house.registry)
        house.wait_register("e-1", 100)
        day = a_midnight(house)
        three_days_off(house, day)
        equal("verify", house.ctl("verify")["ok"], True)


if __name__ == "__main__":
    main(test)
