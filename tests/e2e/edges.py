#!/usr/bin/python3
"""Registry changes as edges on the built programs: a change of tariff while the meter is silent,
with kill -9 between the import and the next sample, a change of multiplier under way, the seal of
the day at the broker, hours, and an import that names all that is wrong with it at once.
"""
import datetime
import subprocess
from decimal import Decimal
from fractions import Fraction

from house import DAEMON, FLAT, House, charge, check, equal, main, wait_for

OPENING = Decimal("500.00")
DEAR = "1.25"
DEAR_TARIFF = f"""
[[tariff]]
id = "dear"
service = "electricity"
source = "the end-to-end tests"
[[tariff.version]]
valid_from = "2020-01-01"
ladder = "none"
tiers = [ {{ price = "{DEAR}" }} ]
"""


def charges(house):
    items = house.get("/accounts/a-1/ledger?limit=1000")["items"]
    return {e["cause"]: -Decimal(e["amount"]) for e in items if e["kind"] == "charge"}


def readings(house):
    return house.get("/readings?after=0&limit=1000")["items"]


def at(reading):
    return datetime.datetime.fromisoformat(reading["at"])


def imported(house):
    """The newest import's seq in the event log."""
    events = house.get("/events?after=0&limit=1000")["items"]
    return max(e["seq"] for e in events if e["kind"] == "registry.imported")


def wait_balance(house, balance):
    wait_for(
        f"the balance is {balance}: {house.account('a-1')}",
        lambda: Decimal(house.account("a-1")["balance"]) == balance,
    )


def off_for(house, killed=True, **delta):
    """kill -9, or a clean stop that keeps the readings of the last seconds; the time passes."""
    if killed:
        house.kill()
    else:
        equal("a clean stop", house.daemon.stop(), 0)
    house.clock.set(house.clock.now() + datetime.timedelta(**delta))


def tariff_while_silent(house):
    """110 at the change's last sample, 114 an hour after it: the total at the edge lies on the line
    between, what is before it costs the old price and what is after it the new."""
    house.slaves.register("b1", 1, 110)
    off_for(house, minutes=10)
    house.launch()
    house.wait_register("e-1", 110)
    house.slaves.ask(op="mute", bus="b1", unit=1, on=True)
    off_for(house, killed=False, hours=1)
    house.launch()
    (house.registry / "tariffs" / "dear.toml").write_text(DEAR_TARIFF)
    house.write_registry([("e-1", "u-1", "b1", 1)], [("a-1", "u-1", "dear", OPENING)])
    equal("edges", house.ctl("import", house.registry)["edges"], ["e-1"])
    cause = f"registry:{imported(house)}"
    equal("nothing is booked yet", charges(house), {})
    off_for(house, hours=1)
    house.slaves.register("b1", 1, 114)
    house.slaves.ask(op="mute", bus="b1", unit=1, on=False)
    house.launch()
    house.wait_register("e-1", 114)
    wait_for(f"{cause} is posted", lambda: cause in charges(house))
    rows = readings(house)
    edge = next(r for r in rows if r["kind"] == "switch")
    # Times are whole seconds here, and several rows may share one.
    before = max((at(r), r["seq"], r["total"]) for r in rows if at(r) < at(edge))
    after = min((at(r), r["seq"], r["total"]) for r in rows if at(r) > at(edge))
    equal("around the edge", (Decimal(before[2]), Decimal(after[2])), (110, 114))
    equal("the edge is estimated", edge["quality"], "estimated")
    share = Fraction((at(edge) - before[0]) / datetime.timedelta(seconds=1)) / Fraction(
        (after[0] - before[0]) / datetime.timedelta(seconds=1)
    )
    total = Decimal(edge["total"])
    line = 110 + 4 * share  # the API's times are whole seconds: within two of them
    near = abs(Fraction(total) - line) < Fraction(4, 900)
    check(f"{total} lies on the line: {float(line)}", near)
    equal("at the old price", charges(house), {cause: charge(FLAT, total - 100)})
    wait_balance(house, OPENING - charge(FLAT, total - 100) - charge(DEAR, 114 - total))
    return charge(FLAT, total - 100), total


def multiplier_under_way(house, flat, total):
    """The meter answers all the time: the first sample after the import stands on the edge."""
    (house.registry / "meters.csv").write_text(
        "meter,unit,service,multiplier\ne-1,u-1,electricity,10\n"
    )
    house.ctl("import", house.registry)
    cause = f"registry:{imported(house)}"
    wait_for(f"{cause} is posted", lambda: cause in charges(house))
    equal("the old multiplier's part", charges(house)[cause], charge(DEAR, 114 - total))
    house.slaves.register("b1", 1, 115)
    house.wait_register("e-1", 115)
    wait_balance(house, OPENING - flat - charge(DEAR, 114 - total + 10))
    equal("total", Decimal(house.meter("e-1")["total"]), 124)


def seal_and_hours(house, subscriber):
    house.kill()
    day = house.before_midnight(10)
    house.launch()

    def seal():
        seals = [m for m in subscriber.messages("/bridge/seal") if m.json["date"] == str(day)]
        return seals[-1] if seals else None

    message = wait_for(f"the seal of {day}", seal)
    check("retained, QoS 1", message.retained and message.qos == 1)
    head = message.json
    row = house.get(f"/events?after={head['seq'] - 1}&limit=1")["items"][0]
    equal("the log's head", (row["seq"], row["h"]), (head["seq"], head["h"]))
    begun = datetime.datetime.combine(day, datetime.time(), at(readings(house)[0]).tzinfo)
    check("its row is of that day", at(row) < begun + datetime.timedelta(days=1))
    wait_for("the day has a freeze", lambda: [r for r in readings(house) if r["kind"] == "freeze"])
    # A retained message that was there before is there for whoever comes later.
    later = house.subscribe("gatehouse/e2e/bridge/seal", "later")
    wait_for("the seal for one who comes later", lambda: later.messages("/bridge/seal"))
    for step in ("hour", "day", "month"):
        span = f"from={day}T00:00:00Z&to={day + datetime.timedelta(days=2)}T00:00:00Z"
        wait_for(
            f"step={step} answers with the total",
            lambda: [p for p in house.get(f"/meters/e-1/readings?step={step}&{span}")["items"]
                     if Decimal(p["total"]) == 124],
        )  # fmt: skip


def seals_of_days_without_a_daemon(house, subscriber):
    day = house.clock.now().astimezone(at(readings(house)[0]).tzinfo).date()
    house.kill()
    house.clock.set(house.clock.now() + datetime.timedelta(days=3))
    house.launch()
    days = [str(day + datetime.timedelta(days=n)) for n in range(3)]

    def told():
        return [m.json["date"] for m in subscriber.messages("/bridge/seal")][-3:]

    wait_for("each day without a daemon, in order, the newest last", lambda: told() == days)


def problems_at_once(house):
    """A wrong cell here hides no wrong name there."""
    folder = house.folder / "wrong"
    (folder / "tariffs").mkdir(parents=True)
    (folder / "units.csv").write_text("unit,area\nu-1,wide\nu-2,10\n")
    (folder / "meters.csv").write_text(
        "meter,unit,service,bus,address\nm-1,u-1,electricity,b1,x\nm-2,u-22,water,b2,2\n"
        "m-2,u-2,water,b1,3\n"
    )
    (folder / "accounts.csv").write_text("account,unit,service,tariff\na-2,u-2,water,dear\n")
    (folder / "tariffs" / "hole.toml").write_text(
        '[[tariff]]\nid = "hole"\nservice = "electricity"\nsource = "a test"\n'
        '[[tariff.version]]\nvalid_from = "2020-01-01"\nladder = "none"\nminimum = "some"\n'
        'bands = [ { name = "d", from = "08:00", to = "20:00", price = "1" } ]\n'
    )
    refusal = house.refused("import", folder)
    equal("exit", refusal.code, 2)
    told = [error["detail"] if "detail" in error else error["message"]
            for error in refusal.problem["errors"]]  # fmt: skip
    wanted = ["accounts.csv:2:", "meters.csv:2:", "meters.csv:3:5: ", "meters.csv:3:", "b1",
              "meters.csv:4:1: ", "tariffs/hole.toml:8:", "tariffs/hole.toml:9:",
              "units.csv:2:5: area"]  # fmt: skip
    for one in wanted:
        check(f"{one} in {told}", any(one in text for text in told))
    check("the nearest unit", any("'u-22'" in text and "did you mean" in text for text in told))
    equal("and nothing else", len(told), 8)
    wrong = house.folder / "wrong.toml"
    text = house.config.read_text().replace('poll_interval = "250ms"', 'poll_intervall = "x"')
    wrong.write_text(text.replace("[site]", '[sitee]\nid = "x"\n[site]').replace('"CNY"', '"RMBX"'))
    done = subprocess.run([DAEMON, "--check-config", "--config", wrong], capture_output=True,
                          text=True, check=False)  # fmt: skip
    equal("--check-config", done.returncode, 2)
    for one in ("'site'", "'poll_interval'", "RMBX"):
        check(f"{one} in {done.stderr}", one in done.stderr)


def test():
    with House() as house:
        house.own_clock(day=3)
        house.broker.start()
        subscriber = house.subscribe()
        house.tcp_bus("b1")
        house.slaves.register("b1", 1, 100)
        house.write_config()
        house.write_registry([("e-1", "u-1", "b1", 1)], [("a-1", "u-1", "flat", OPENING)])
        house.launch()
        house.ctl("import", house.registry)
        house.wait_register("e-1", 100)
        multiplier_under_way(house, *tariff_while_silent(house))
        seal_and_hours(house, subscriber)
        listed = house.get("/charges?after=0&limit=1000")["items"]
        equal("the charges of all accounts", {e["cause"]: -Decimal(e["amount"]) for e in listed},
              charges(house))  # fmt: skip
        problems_at_once(house)
        seals_of_days_without_a_daemon(house, subscriber)
        equal("verify", house.ctl("verify")["ok"], True)


if __name__ == "__main__":
    main(test)
