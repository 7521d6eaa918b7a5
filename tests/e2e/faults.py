#!/usr/bin/python3
"""One bad part stays one bad part: the broker absent and back, a wrong registry, a wrong
configuration, an unknown profile, a dead slave, a plug pulled and put back.
"""
import re
import sqlite3
import subprocess
from decimal import Decimal

from house import DAEMON, FLAT, House, charge, check, equal, half_up, main, sent_value, wait_for

METERS = [
    ("e-1", "u-1", "b1", 1),
    ("e-2", "u-2", "b1", 2),
    ("e-3", "u-3", "b2", 3),
    ("e-4", "u-4", "b1", 4, "acme-9000"),
    ("e-5", "u-5", "b3", 5),
]
ACCOUNTS = [(f"a-{n}", f"u-{n}", "flat", "60.00") for n in range(1, 6)]


def run_daemon(*arguments):
    return subprocess.run([DAEMON, *map(str, arguments)], capture_output=True, text=True,
                          timeout=90, check=False)  # fmt: skip


def wrong_configuration(house):
    """Every problem at once, at its place, exit 2, and nothing was started or written."""
    wrong = house.folder / "wrong.toml"
    wrong.write_text(
        'schema = 1\n[site]\nid = "Not an id"\nname = "x"\ntimezone = "Mars/Olympus"\n'
        'currency = "CNY"\nlangauge = "en"\n[[bus]]\nid = "b1"\nurl = "modbus+tpc://h:1"\n'
    )
    for arguments in (["--config", wrong, "--check-config"], ["--config", wrong]):
        done = run_daemon(*arguments)
        equal(f"exit of {arguments[2:]}", done.returncode, 2)
        places = re.findall(rf"^{re.escape(str(wrong))}:(\d+):(\d+): ", done.stderr, re.M)
        lines = {int(line) for line, _ in places}
        check(f"all four lines are named: {done.stderr}", {3, 5, 7, 10} <= lines)
        check("the nearest name", "language" in done.stderr)
    check("nothing was written", not list(house.folder.glob("*.db*")))
    good = run_daemon("--config", house.config, "--check-config")
    equal(f"a good one ({good.stderr})", good.returncode, 0)
    text = house.config.read_text()
    wrong.write_text(
        text + '\n[[cabinet]]\nid = "kc-01"\nurl = "modbus+tcp://127.0.0.1:1"\nprofile = "kcm-7"\n'
    )
    done = run_daemon("--config", wrong, "--check-config")
    equal("a cabinet that no profile fits", done.returncode, 2)
    line = text.count("\n") + 5
    check(f"its line and the nearest name: {done.stderr}",
          f"{wrong}:{line}:" in done.stderr and '"kcm-1"' in done.stderr)  # fmt: skip
    wrong.write_text(
        text + '\n[[cabinet]]\nid = "kc-01"\nurl = "http:"\nprofile = "kcm-7"\nlabel = "x"\n'
        '[profiles]\npath = "/nonexistent"\n'
    )
    done = run_daemon("--config", wrong, "--check-config")
    equal("one that pushes is of a known model too", done.returncode, 2)
    for at, what in ((line, "contacts, kcm-1"), (line + 1, "label"), (line + 3, "does not exist")):
        check(f"beside what else is wrong, {what}: {done.stderr}",
              re.search(rf"^(warning: )?{re.escape(str(wrong))}:{at}:\d+: .*{what}", done.stderr,
                        re.M))  # fmt: skip


def dry_run(house):
    """Writes nothing, not even what SQLite keeps beside a database that is open."""
    house.daemon.stop()
    before = sorted(house.folder.glob("*.db*"))
    done = run_daemon("--config", house.config, "--dry-run")
    equal(f"exit ({done.stderr})", done.returncode, 0)
    check(f"it read: {done.stdout}", "e-1" in done.stdout)
    equal("files beside the books", sorted(house.folder.glob("*.db*")), before)


def broker_absent(house):
    """The daemon reads, charges and logs on; when the broker comes every event arrives in order."""
    house.launch()
    house.ctl("import", house.registry)
    for meter, number in (("e-1", 100), ("e-2", 200), ("e-3", 300)):
        house.wait_register(meter, number)
    house.slaves.register("b1", 1, 130)
    house.wait_register("e-1", 130)
    wait_for("the alert opens without a broker", lambda: house.get("/alerts?state=open")["items"])
    house.ctl("topup", "a-1", "30.00", "--key", "early", "--by", "s-01")
    house.slaves.register("b2", 3, 325)
    house.wait_register("e-3", 325)
    wait_for("two transitions and one more", lambda: len(alert_events(house)) == 3)
    status = house.get("/status")["mqtt"]
    check(f"it says that it waits: {status}", not status["connected"] and status["reason"])
    house.broker.start()
    subscriber = house.subscribe()
    wait_for("connected", lambda: house.get("/status")["mqtt"]["connected"])
    expect_alerts(house, subscriber)
    return subscriber


def alert_events(house):
    """The life of the balances' alerts; meters that fall silent have alerts of their own."""
    events = house.get("/events?limit=1000")["items"]
    return [event for event in events if event["body"].get("kind") == "low_balance"]


def expect_alerts(house, subscriber):
    """Every alert of the log at the subscriber, in order, once duplicate seqs are removed."""

    def heard():
        return list(dict.fromkeys(m.json["seq"] for m in subscriber.messages("/alert/low_balance")))

    expected = [event["seq"] for event in alert_events(house)]
    wait_for(f"{expected} arrive", lambda: len(heard()) >= len(expected))
    equal("alerts", heard(), expected)


def broker_lost(house, subscriber):
    house.broker.stop()
    wait_for("it notices", lambda: not house.get("/status")["mqtt"]["connected"])
    house.slaves.register("b1", 2, 225)
    house.wait_register("e-2", 225)
    wait_for("the fourth transition", lambda: len(alert_events(house)) == 4)
    house.broker.start()
    wait_for("back", lambda: house.get("/status")["mqtt"]["connected"])
    again = house.subscribe(name="after")
    wait_for("the backlog is empty", lambda: house.get("/status")["mqtt"]["backlog"] == 0)
    wait_for("retained again", lambda: again.messages("/account/a-2/balance"))
    still_open = {
        a["id"] for a in house.get("/alerts?state=open")["items"] if a["kind"] == "low_balance"
    }
    equal("open alerts", len(still_open), 2)
    # The broker forgot the retained ones with its restart; what was sent since must be there.
    newest = alert_events(house)[-1]
    wait_for(
        "the newest alert at one of the two",
        lambda: newest["seq"]
        in {m.json["seq"] for s in (subscriber, again) for m in s.messages("/alert/low_balance")},
    )


def wrong_registry(house):
    """All problems of all files, exit 2, nothing changed: first what no cell may hold, then what
    points nowhere."""
    before = house.get("/registry")["files"]
    seq = house.get("/status")["store"]["event_seq"]
    good = {name: (house.registry / name).read_text() for name in ("meters.csv", "accounts.csv")}
    meters = "meter,unit,service,bus,address,profile,multiplier\n"
    accounts = "account,unit,service,"
    for wrong_meters, wrong_accounts, named in (
        (
            meters + "e-1,u-1,electricity,b1,1,eastron-sdm120,\n"
            "2.02E+11,u-1,electricity,b1,7,eastron-sdm120,\n"
            "e-8,u-1,electricity,b1,999,eastron-sdm120,0\n",
            accounts + "tarif\na-1,u-1,electricity,flat\n",
            ("meters.csv:3:1", "2.02E+11", "meters.csv:4:", "999", "accounts.csv:1:", "tariff"),
        ),
        (
            meters + "e-6,u-9,electricity,b1,6,eastron-sdm120,\n"
            "e-7,u-1,electricity,b9,7,eastron-sdm120,\n",
            accounts + "tariff\na-9,u-1,electricity,falt\n",
            ("meters.csv:2:", "u-9", "meters.csv:3:", "b9", "accounts.csv:2:", "falt"),
        ),
    ):
        (house.registry / "meters.csv").write_text(wrong_meters)
        (house.registry / "accounts.csv").write_text(wrong_accounts)
        refusal = house.refused("import", house.registry)
        equal("exit", refusal.code, 2)
        for word in named:
            check(f"{word} is named: {refusal.stderr}", word in refusal.stderr)
    for name, content in good.items():
        (house.registry / name).write_text(content)
    equal("the registry is as it was", house.get("/registry")["files"], before)
    kinds = [e["kind"] for e in house.get(f"/events?after={seq}&limit=1000")["items"]]
    check(f"no event of the registry: {kinds}", not [k for k in kinds if k.startswith("registry")])


def database_locked(house):
    """Another program holds the database: top-ups are refused honestly, reading goes on, and all
    is well again without a restart."""
    balance = Decimal(house.account("a-1")["balance"])
    other = sqlite3.connect(house.folder / "gatehouse.db", timeout=60, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    words = ("topup", "a-1", "5.00", "--key", "locked", "--by", "s-01")
    refusal = house.refused(*words)
    equal("exit", refusal.code, 1)
    equal("status", refusal.problem["status"], 503)
    house.wait_polls("b1", 3)
    store = house.get("/status")["store"]
    check(f"it says why: {store}", not store["ok"] and store["reason"])
    other.execute("ROLLBACK")
    other.close()
    wait_for("it writes again", lambda: house.get("/status")["store"]["ok"])
    receipt = house.ctl(*words)
    equal("booked once, now", Decimal(receipt["balance"]), balance + 5)


def unknown_profile(house):
    meter = house.meter("e-4")
    equal("enabled", meter["enabled"], False)
    check(f"it says why: {meter['reason']}", "acme-9000" in meter["reason"])
    equal("the others read on", [house.meter(m)["enabled"] for m in ("e-1", "e-2")], [True, True])
    equal("disabled", house.get("/status")["meters"]["disabled"], 1)


def dead_slave(house):
    """A slave that falls silent disturbs nobody on its bus, and comes back by itself."""
    house.slaves.ask(op="mute", bus="b1", unit=2, on=True)
    wait_for("e-2 is offline", lambda: house.meter("e-2")["availability"] == "offline")
    check("it says why", house.meter("e-2")["reason"])
    house.slaves.register("b1", 1, 131)
    house.wait_register("e-1", 131)
    equal("the bus stays", house.bus("b1")["phase"], "online")
    used = half_up(sent_value(225), 3) - 200
    equal("its balance stays", Decimal(house.account("a-2")["balance"]),
          Decimal("60.00") - charge(FLAT, used))  # fmt: skip
    equal("its quality", house.account("a-2")["quality"], "meter_offline")
    house.slaves.register("b1", 2, 226)
    house.slaves.ask(op="mute", bus="b1", unit=2, on=False)
    house.wait_register("e-2", 226)
    equal("back", house.meter("e-2")["availability"], "online")


def pulled_plugs(house):
    """Port closed, terminal gone: the bus is offline, says why, and recovers by itself. A port
    that was never there is the same."""
    missing = house.bus("b3")
    equal("never there", missing["phase"] != "online", True)
    check(f"b3 says why: {missing}", missing["reason"])
    port = int(house.buses["b1"].rsplit(":", 1)[1])
    for bus, other, meter, number in (("b1", "b2", "e-1", 132), ("b2", "b1", "e-3", 326)):
        house.slaves.ask(op="close", bus=bus)
        wait_for(f"{bus} is offline", lambda bus=bus: house.bus(bus)["phase"] == "offline")
        check(f"{bus} says why: {house.bus(bus)}", house.bus(bus)["reason"])
        wait_for(
            f"{meter} is offline",
            lambda meter=meter: house.meter(meter)["availability"] == "offline",
        )
        house.wait_polls(other, 3)
        house.slaves.register(bus, int(meter[2:]), number)
        if bus == "b1":
            house.slaves.ask(op="tcp", bus=bus, port=port)
        else:
            house.slaves.ask(op="pty", bus=bus, link=str(house.folder / "tty-b2"))
        wait_for(f"{bus} recovers", lambda bus=bus: house.bus(bus)["phase"] == "online")
        house.wait_register(meter, number)
    house.slaves.register("b3", 5, 500)
    house.slaves.ask(op="tcp", bus="b3", port=int(house.buses["b3"].rsplit(":", 1)[1]))
    house.wait_register("e-5", 500)


def test():
    with House() as house:
        house.tcp_bus("b1")
        house.pty_bus("b2")
        house.tcp_bus("b3", serve=False)
        for bus, unit, number in (("b1", 1, 100), ("b1", 2, 200), ("b2", 3, 300)):
            house.slaves.register(bus, unit, number)
        house.write_config()
        house.write_registry(METERS, ACCOUNTS)
        wrong_configuration(house)
        subscriber = broker_absent(house)
        wrong_registry(house)
        unknown_profile(house)
        database_locked(house)
        broker_lost(house, subscriber)
        dead_slave(house)
        pulled_plugs(house)
        equal("verify", house.ctl("verify")["ok"], True)
        dry_run(house)


if __name__ == "__main__":
    main(test)
