#!/usr/bin/python3
"""A price that comes late and a figure that was wrong, on the built programs: what they change is
shown before, refused without two people and a reason, posted once whatever is killed meanwhile, and
proved; a price or a reading that somebody changes in the file is named. The daemon's wall clock is
the test's own; amounts are Decimal, never the daemon's.
"""
import datetime
import sqlite3
import subprocess
import zoneinfo
from decimal import Decimal

from house import CONTROL, FLAT, House, TARIFFS, charge, check, equal, main, wait_for

LATE = "0.6000"
METERS = {"e-1": ("a-1", 1), "e-2": ("a-2", 2)}
SIGNED = ("--by", "s-01", "--second", "s-02", "--reason", "the council decided late")


def with_version(day):
    """The flat tariff with one more version; the other tariff as it was."""
    flat, _, ladder = TARIFFS.partition("[[tariff]]\nid = \"ladder\"")
    return (
        f"{flat}[[tariff.version]]\nvalid_from = \"{day}\"\nladder = \"none\"\n"
        f"tiers = [ {{ price = \"{LATE}\" }} ]\n\n[[tariff]]\nid = \"ladder\"{ladder}"
    )


def entries(house, account, *kinds):
    items = house.get(f"/accounts/{account}/ledger?limit=1000")["items"]
    return [e for e in items if not kinds or e["kind"] in kinds]


def amounts(items):
    return [Decimal(e["amount"]) for e in items]


def day_ends(house, faces):
    """Power cut until just after the next midnight, from which on the meters show these faces;
    the day that ended."""
    local = house.clock.now().astimezone(zoneinfo.ZoneInfo(house.zone))
    edge = local.replace(hour=0, minute=0, second=20, microsecond=0) + datetime.timedelta(days=1)
    house.kill()
    for meter, face in faces.items():
        house.slaves.register("b1", METERS[meter][1], face)
    house.clock.set(edge)
    house.launch()
    ended = edge.date() - datetime.timedelta(days=1)
    for meter, face in faces.items():
        house.wait_register(meter, face)
        account = METERS[meter][0]
        cause = f"day:{ended}"
        wait_for(f"{cause} of {account} is posted",
                 lambda a=account, c=cause: c in {e["cause"] for e in entries(house, a)})
    return ended


def shown_and_refused(house, day):
    (house.registry / "tariffs" / "all.toml").write_text(with_version(day))
    shown = house.ctl("import", house.registry, "--dry-run")
    money = {row["account"]: row for row in shown["money"]}
    # 10 and 20 kWh before, 20 and 5 on the day.
    old, new = charge(FLAT, Decimal(30)), charge(FLAT, Decimal(10)) + charge(LATE, Decimal(20))
    equal("a-1 before", Decimal(money["a-1"]["old"]), old)
    equal("a-1 after", Decimal(money["a-1"]["new"]), new)
    equal("the difference", Decimal(money["a-1"]["difference"]), new - old)
    equal("what its ledger gets", Decimal(money["a-1"]["amount"]), old - new)
    refusal = house.refused("import", house.registry)
    equal("exit code", refusal.code, 2)
    words = str(refusal.problem["errors"])
    check(f"file, version and remedy: {words}", "tariffs/all.toml:" in words
          and f"version {day} of tariff `flat`" in words and "--second" in words)  # fmt: skip
    equal("nothing was posted", entries(house, "a-1", "price_settlement"), [])
    same = house.refused("import", house.registry, "--by", "s-01", "--second", "s-01",
                         "--reason", "x")  # fmt: skip
    check(f"two people: {same}", "/second" in str(same.problem["errors"]))


def killed_and_done(house):
    """The import is killed with the daemon at some instant, and asked for again."""
    child = subprocess.Popen([CONTROL, "--socket", house.socket, "import", house.registry, *SIGNED],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    wait_for("the import is asked for", lambda: True)
    house.kill()
    child.wait(60)
    house.launch()
    house.ctl("import", house.registry, *SIGNED)
    for account, before, after in (("a-1", 30, 10), ("a-2", 25, 20)):
        wait_for(f"{account} is settled", lambda a=account: entries(house, a, "price_settlement"))
        rows = entries(house, account, "price_settlement")
        taken = charge(FLAT, Decimal(before)) - charge(FLAT, Decimal(after))
        equal("both lines, once", amounts(rows), [taken, -charge(LATE, Decimal(before - after))])
        equal("signed", {(e["by"], e["second"]) for e in rows}, {("s-01", "s-02")})
        equal("one cause", len({e["cause"] for e in rows}), 1)
    again = house.ctl("import", house.registry)
    equal("the same folder again", (again["changed"], again["money"]), (0, []))
    equal("nothing more", len(entries(house, "a-1", "price_settlement")), 2)
    equal("verify", house.ctl("verify")["ok"], True)


def explained(house):
    why = house.ctl("why", "a-1")
    lines = {line["line"]: line for line in why["lines"]}
    rows = [e for e in why["entries"] if e["kind"] == "price_settlement"]
    equal("each names its line", [lines[e["line"]]["version"] for e in rows],
          ["2020-01-01", rows and max(line["version"] for line in lines.values())])  # fmt: skip
    check("and the reason", all(e["reason"] == SIGNED[-1] for e in rows))
    for line in lines.values():
        posted = -sum(Decimal(e["amount"]) for e in why["entries"] if e.get("line") == line["line"])
        equal(f"line {line['line']}", (posted, Decimal(line["target"])),
              (Decimal(line["posted"]), posted))  # fmt: skip
        used = sum(Decimal(part["quantity"]) for part in line["parts"])
        equal("its parts", used, Decimal(line["quantity"]))


def corrected(house):
    """The first midnight's figure of e-1 was 2 too high."""
    rows = house.get("/readings?after=0&limit=1000")["items"]
    wrong = next(r for r in rows if r["meter"] == "e-1" and r["kind"] in ("freeze", "month")
                 and Decimal(r["register"]) == 110)  # fmt: skip
    late = house.refused("dial", "e-1", "108", "--at", wrong["at"], "--by", "s-01",
                         "--second", "s-02")  # fmt: skip
    check(f"a reading of the past names its remedy: {late}", "supersedes" in str(late))
    seq = ("--supersedes", str(wrong["seq"]))
    alone = house.refused("dial", "e-1", "108", *seq, "--by", "s-01", "--second", "s-02")
    check(f"a reason is wanted: {alone}", "/reason" in str(alone.problem["errors"]))
    beyond = house.refused("dial", "e-1", "131", *seq, *SIGNED)
    check(f"between its neighbours: {beyond}", "must lie between" in str(beyond))
    shown = house.ctl("dial", "e-1", "108", *seq, "--dry-run")
    before = len(entries(house, "a-1"))
    done = house.ctl("dial", "e-1", "108", *seq, *SIGNED)
    equal("as it was shown", (shown["dry_run"], "reading" in shown, shown["money"]),
          (True, False, done["money"]))  # fmt: skip
    equal("and nothing was booked by looking", before, len(entries(house, "a-1")) - 2)
    cause = f"correction:{done['reading']}"
    moved = [e for e in entries(house, "a-1") if e["cause"] == cause]
    equal("what it moved", [(e["kind"], Decimal(e["amount"])) for e in moved],
          [("correction", charge(FLAT, Decimal(10)) - charge(FLAT, Decimal(8))),
           ("charge", charge(LATE, Decimal(20)) - charge(LATE, Decimal(22)))])  # fmt: skip
    row = next(r for r in house.get("/readings?after=0&limit=1000")["items"]
               if r["seq"] == done["reading"])  # fmt: skip
    equal("the new row", (row["supersedes"], Decimal(row["register"]), row["quality"], row["at"]),
          (wrong["seq"], Decimal(108), "manual", wrong["at"]))  # fmt: skip
    equal("asked again", house.ctl("dial", "e-1", "108", *seq, *SIGNED)["reading"], row["seq"])
    equal("nothing more", len([e for e in entries(house, "a-1") if e["cause"] == cause]), 2)
    house.kill()
    house.launch()
    house.wait_register("e-1", 130)
    total = charge(FLAT, Decimal(8)) + charge(LATE, Decimal(22))
    equal("the balance", Decimal(house.account("a-1")["balance"]), 500 - total)
    equal("verify", house.ctl("verify")["ok"], True)


def tampered(house):
    house.kill()
    books = sqlite3.connect(house.folder / "gatehouse.db")
    for sql, undo, words in (
        ("UPDATE tariff_tier SET price=price+1000000 WHERE tariff='flat'",
         "UPDATE tariff_tier SET price=price-1000000 WHERE tariff='flat'", "tariff flat, version"),
        ("UPDATE reading SET total=total+1000 WHERE seq=(SELECT max(reading) FROM mark)",
         "UPDATE reading SET total=total-1000 WHERE seq=(SELECT max(reading) FROM mark)",
         "reading "),
        ("UPDATE reading SET total=total+1000 WHERE supersedes IS NOT NULL",
         "UPDATE reading SET total=total-1000 WHERE supersedes IS NOT NULL", "which supersedes"),
    ):  # fmt: skip
        books.execute("DROP TRIGGER IF EXISTS reading_keeps")
        books.execute(sql)
        books.commit()
        house.launch()
        refusal = house.refused("verify")
        equal("verify says no", refusal.code, 1)
        check(f"{words} is named: {refusal.stdout}", words in refusal.stdout)
        house.kill()
        books.execute(undo)
        books.commit()
    books.close()


def test():
    with House(mqtt=False) as house:
        house.own_clock(day=10)
        house.tcp_bus("b1")
        for meter, (_, unit) in METERS.items():
            house.slaves.register("b1", unit, 100)
        house.write_config()
        house.write_registry(
            [(meter, f"u-{unit}", "b1", unit) for meter, (_, unit) in METERS.items()],
            [(account, f"u-{unit}", "flat", "500.00") for account, unit in METERS.values()],
        )
        house.launch()
        house.ctl("import", house.registry)
        for meter in METERS:
            house.wait_register(meter, 100)
        day_ends(house, {"e-1": 110, "e-2": 120})
        day = day_ends(house, {"e-1": 130, "e-2": 125})
        shown_and_refused(house, day)
        killed_and_done(house)
        explained(house)
        corrected(house)
        tampered(house)


if __name__ == "__main__":
    main(test)
