#!/usr/bin/python3
"""A month is closed on the built programs: its checklist names the meter that was not read, its
files are the same bytes under their SHA-256 after a power cut, what comes late is a correction in
the open month that points back, and a sealed byte that changes is named. The daemon's wall clock is
the test's own.
"""
import datetime
import hashlib
import json
import socket
import sqlite3
import zoneinfo
from decimal import Decimal

from house import FLAT, House, charge, check, equal, main, wait_for

FILES = ("readings", "charges", "ledger", "summary")


def pull(house, month, name, headers=""):
    """A file as it comes over the socket: status, ETag, bytes."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(house.socket)
        connection.sendall(
            f"GET /api/v1/periods/{month}/{name} HTTP/1.1\r\nHost: gatehouse\r\n"
            f"Connection: close\r\n{headers}\r\n".encode()
        )
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    tags = [line.split(": ", 1)[1] for line in lines if line.lower().startswith("etag: ")]
    return int(lines[0].split(" ")[1]), tags[0] if tags else None, body


def go_to_month_end(house):
    """Ten seconds before the month ends; returns its name and its last day."""
    local = house.clock.now().astimezone(zoneinfo.ZoneInfo(house.zone))
    begun = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    edge = (begun + datetime.timedelta(days=32)).replace(day=1)
    house.clock.set(edge - datetime.timedelta(seconds=10))
    return begun.strftime("%Y-%m"), (edge - datetime.timedelta(days=1)).date()


def entries(house, account):
    return house.get(f"/accounts/{account}/ledger?limit=1000")["items"]


def close(house, month, last):
    refusal = house.refused("period", "close", month, "--by", "s-99")
    equal("nobody closes nothing", (refusal.code, refusal.problem["errors"][0]["pointer"]),
          (2, "/by"))  # fmt: skip
    wait_for(
        f"{last} is posted",
        lambda: any(e["cause"] == f"day:{last}" for e in entries(house, "a-1")),
    )
    # The account of the silent meter is posted when its meter was waited for.
    items = house.ctl("period", "show", month)["checklist"]["items"]
    unread = [item for item in items if item["kind"] == "unread"]
    equal("who was not read", [item["meter"] for item in unread], ["e-2"])
    check(f"and what to do: {unread}", "correction" in unread[0]["text"])
    house.clock.set(house.clock.now() + datetime.timedelta(minutes=6))

    def closed():
        try:
            return house.ctl("period", "close", month, "--by", "s-01")
        except Exception as refused:
            check(f"only unposted days are waited for: {refused}", "not posted" in str(refused))
            return None

    document = wait_for("the month closes", closed)
    equal("its state", (document["state"], document["closed_by"]), ("closed", "s-01"))
    check("in the log", any(e["kind"] == "period.closed" for e in
                            house.get("/events?limit=1000")["items"]))  # fmt: skip
    return {file["name"]: file["sha256"] for file in document["files"]}


def same_bytes(house, month, hashes):
    bodies = {}
    for name in FILES:
        status, tag, body = pull(house, month, name)
        equal(f"{name}: status", status, 200)
        equal(f"{name}: ETag", tag, f'"{hashes[name]}"')
        equal(f"{name}: SHA-256 of its bytes", hashlib.sha256(body).hexdigest(), hashes[name])
        equal(f"{name}: pulled by who has it", pull(house, month, name,
              f"If-None-Match: {tag}\r\n")[0], 304)  # fmt: skip
        bodies[name] = json.loads(body)
    return bodies


def feet(files, used):
    charges = files["charges"]["items"]
    total = sum(Decimal(row["amount"]) for row in charges)
    equal("charged", total, used)
    summary = files["summary"]
    equal("total", Decimal(summary["charges"]["total"]), total)
    bridge = summary["charges"]
    equal("the bridge from use to booking",
          total - Decimal(bridge["booked_later"]) + Decimal(bridge["of_earlier_periods"]),
          Decimal(bridge["booked_in_period"]))  # fmt: skip
    ledger = summary["ledger"]
    moved = sum(Decimal(row["amount"]) for row in files["ledger"]["items"])
    equal("moved", Decimal(ledger["moved"]), moved)
    equal("closing", Decimal(ledger["opening"]) + moved, Decimal(ledger["closing"]))
    rows = {row["meter"]: row for row in files["readings"]["items"]}
    equal("e-1", (rows["e-1"]["quantity"], rows["e-1"]["quality"]), ("10.500", "good"))
    equal("e-2", rows["e-2"]["quality"], "unread")


def late(house, month):
    """The silent meter comes back with 20 kWh more, most of them of the closed month."""
    house.slaves.register("b2", 1, 220)
    house.slaves.ask(op="mute", bus="b2", unit=1, on=False)

    def corrections():
        return [e for e in entries(house, "a-2") if e["kind"] == "correction"]

    wait_for("the closed month is corrected", corrections)
    check(f"in the open month: {corrections()}", all(e["month"] > month for e in corrections()))
    why = house.ctl("why", "a-2", "--month", month)
    equal("and points back", sum(Decimal(line["posted"]) for line in why["lines"]),
          -sum(Decimal(e["amount"]) for e in corrections()))  # fmt: skip


def tampered(house, month):
    house.kill()
    books = sqlite3.connect(house.folder / "gatehouse.db")
    books.execute("DROP TRIGGER period_content_keeps")
    (deflated,) = books.execute(
        "SELECT deflated FROM period_content WHERE name='charges'"
    ).fetchone()
    broken = bytes([*deflated[:-1], deflated[-1] ^ 1])
    books.execute("UPDATE period_content SET deflated=? WHERE name='charges'", (broken,))
    books.commit()
    books.close()
    house.launch()
    refusal = house.refused("verify")
    equal("verify says no", refusal.code, 1)
    check(f"and names it: {refusal.stdout}", f"period {month}" in refusal.stdout)
    equal("nothing wrong is served", pull(house, month, "charges")[0] >= 500, True)


def test():
    with House(mqtt=False) as house:
        house.own_clock(day=28)
        house.tcp_bus("b1")
        house.tcp_bus("b2")
        house.slaves.register("b1", 1, 100)
        house.slaves.register("b2", 1, 200)
        house.write_config()
        house.write_registry(
            [("e-1", "u-1", "b1", 1), ("e-2", "u-2", "b2", 1)],
            [("a-1", "u-1", "flat", "500.00"), ("a-2", "u-2", "flat", "500.00")],
        )
        house.launch()
        house.ctl("import", house.registry)
        house.wait_register("e-1", 100)
        house.wait_register("e-2", 200)
        house.slaves.register("b1", 1, 110.5)
        house.wait_register("e-1", 110.5)
        house.slaves.ask(op="mute", bus="b2", unit=1, on=True)
        house.kill()
        month, last = go_to_month_end(house)
        house.launch()
        refusal = house.refused("period", "close", month, "--by", "s-01")
        check(f"it runs: {refusal}", "runs until the end" in str(refusal)
              or "not posted" in str(refusal))  # fmt: skip
        hashes = close(house, month, last)
        feet(same_bytes(house, month, hashes), charge(FLAT, Decimal("10.5")))
        house.kill()
        house.launch()
        late(house, month)
        same_bytes(house, month, hashes)
        equal("verify", house.ctl("verify")["ok"], True)
        tampered(house, month)


if __name__ == "__main__":
    main(test)
