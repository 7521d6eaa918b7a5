#!/usr/bin/python3
"""Shared areas on the built programs: a pool charges nobody until two people approved the sheet of
a month; its shares sum to the fen, are charged from the next day on and once, and the sheet and the
balance that it lowers can be printed. The daemon's wall clock is the test's own.
"""
import datetime
import socket
import zoneinfo
from decimal import Decimal

from house import FLAT, House, UnixConnection, charge, check, equal, main, wait_for


def page(house, target):
    """A page as a browser gets it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(house.socket)
        connection.sendall(
            f"GET /api/v1{target} HTTP/1.1\r\nHost: gatehouse\r\nAccept: text/html\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    check(f"a page: {head}", b" 200 " in head and b"Content-Type: text/html" in head)
    return body.decode()


def over_month_end(house, registers):
    """Ten seconds before the month that the clock stands in ends, with these registers, to a minute
    after; returns the month."""
    house.kill()
    local = house.clock.now().astimezone(zoneinfo.ZoneInfo(house.zone))
    begun = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    edge = (begun + datetime.timedelta(days=32)).replace(day=1)
    house.clock.set(edge - datetime.timedelta(seconds=10))
    for address, value in registers.items():
        house.slaves.register("b1", address, value)
    house.launch()
    for address, value in registers.items():
        house.wait_register(f"e-{address}", value)
    last = (edge - datetime.timedelta(days=1)).date()

    def posted():
        return all(
            any(e["cause"] == f"day:{last}" for e in entries(house, f"a-{n}")) for n in (1, 2, 3)
        )

    if registers[1] != 100:
        wait_for(f"{last} is posted", posted)
    else:
        wait_for("the next month has begun", lambda: house.clock.now() > edge)

    # The main meter is charged to nobody, so that no posting waits for its freeze.
    def frozen():
        rows = house.get("/readings?after=0&limit=1000&kind=month")["items"]
        there = {r["meter"] for r in rows if r["at"] == edge.isoformat()}
        return there >= {f"e-{address}" for address in registers}

    wait_for("the freezes are there", frozen)
    return begun.strftime("%Y-%m")


def entries(house, account):
    return house.get(f"/accounts/{account}/ledger?limit=1000")["items"]


def fees(house, account):
    return [e["amount"] for e in entries(house, account) if e["kind"] == "fee"]


def document(house, month):
    return house.get(f"/pools/stairs?month={month}")["approval"]


def leave(house, month, share):
    """Who moves out before the day pays the share with the end, and is told so before."""
    sign = ("--by", "s-01", "--second", "s-02", "--reason", "moves out")
    left = Decimal(house.account("a-3")["balance"]) - share
    refusal = house.refused("close", "a-3", *sign, "--key", "c-1")
    detail = refusal.problem["detail"]
    check(f"what is left after it: {detail}", f"a-3 has {left} left" in detail
          and f"share {share} of pool stairs, {month}" in detail)  # fmt: skip
    house.ctl("refund", "a-3", left, "--method", "transfer", "--reference", "B1", *sign, "--key",
              "f-1")  # fmt: skip
    closed = house.ctl("close", "a-3", *sign, "--key", "c-1")
    equal("named", closed["pools"],
          [{"pool": "stairs", "month": month, "amount": str(share)}])  # fmt: skip
    entry = next(e for e in entries(house, "a-3") if e["kind"] == "fee")
    printed = page(house, f"/entries/{entry['entry']}")
    check(f"on paper: {printed}", "stairs" in printed and month in printed)
    booked = house.clock.now().astimezone(zoneinfo.ZoneInfo(house.zone)).strftime("%Y-%m")
    why = page(house, f"/accounts/a-3/why?month={booked}")
    check(f"and why: {why}", f"stairs, {month}" in why)


def test():
    with House(mqtt=False) as house:
        house.own_clock(day=28)
        house.tcp_bus("b1")
        for address, value in {1: 100, 2: 200, 3: 300, 9: 5000}.items():
            house.slaves.register("b1", address, value)
        house.write_config()
        house.write_registry(
            [(f"e-{n}", f"u-{n}", "b1", n) for n in (1, 2, 3, 9)],
            [(f"a-{n}", f"u-{n}", "flat", "500.00") for n in (1, 2, 3)],
        )
        meters = (house.registry / "meters.csv").read_text().splitlines()
        head = "meter,unit,service,role,bus,address,profile,rated_amps"
        rows = []
        for row in meters[1:]:
            cells = row.split(",")
            role = "main" if cells[0] == "e-9" else "unit"
            rows.append(",".join([*cells[:3], role, *cells[3:]]))
        (house.registry / "meters.csv").write_text("\n".join([head, *rows]) + "\n")
        (house.registry / "pools.csv").write_text(
            "pool,service,main,subs,share,members,tariff\n"
            "stairs,electricity,e-9,e-1;e-2;e-3,equal,u-1;u-2;u-3,flat\n"
        )
        house.launch()
        house.ctl("import", house.registry)
        over_month_end(house, {1: 100, 2: 200, 3: 300, 9: 5000})
        # 60 kWh in the flats, 71 at the main meter: 11 are shared.
        month = over_month_end(house, {1: 110, 2: 220, 3: 330, 9: 5071})

        shown = house.ctl("pool", "show", "stairs", "--month", month)
        sheet = shown["sheet"]
        equal("nothing stands in the way", sheet["problems"], [])
        equal("what is shared", sheet["quantity"], "11.000")
        amount = charge(FLAT, Decimal(11))
        equal("its amount", Decimal(sheet["amount"]), amount)
        shares = [Decimal(m["amount"]) for m in sheet["members"]]
        equal("no fen is lost", sum(shares), amount)
        equal("nobody pays yet", [fees(house, f"a-{n}") for n in (1, 2, 3)], [[], [], []])
        sign = ("--by", "s-01", "--second", "s-02", "--reason", "stairs and lift")

        refusal = house.refused("pool", "approve", "stairs", "--month", month, "--by", "s-01",
                                "--second", "s-01", "--reason", "x", "--key", "k-1")  # fmt: skip
        equal("one person is not two", refusal.problem["errors"][0]["pointer"], "/second")
        refusal = house.refused("pool", "approve", "stairs", "--month", month, "--sheet", "0" * 64,
                                *sign, "--key", "k-1")  # fmt: skip
        check(f"another sheet than was looked at: {refusal}", "pool-moved" in str(refusal.problem))
        done = house.ctl("pool", "approve", "stairs", "--month", month, "--sheet",
                         shown["sha256"], *sign, "--key", "k-1")  # fmt: skip
        equal("the same sheet", done["sha256"], shown["sha256"])
        again = house.ctl("pool", "approve", "stairs", "--month", month, "--sheet",
                          shown["sha256"], *sign, "--key", "k-1")  # fmt: skip
        equal("asked again", again, done)
        printed = page(house, f"/pools/stairs?month={month}")
        check(f"it hangs in the hall: {printed}", shown["sha256"] in printed
              and "Flat u-1" in printed and str(amount) in printed)  # fmt: skip

        equal("nothing falls on the site", (done["left_amount"], document(house, month)["left"]),
              ("0.00", []))  # fmt: skip
        leave(house, month, shares[2])
        house.kill()
        house.before_midnight(5)
        house.launch()
        wait_for("the shares are charged", lambda: all(fees(house, f"a-{n}") for n in (1, 2, 3)))
        equal("each as the sheet says",
              [[Decimal(f) for f in fees(house, f"a-{n}")] for n in (1, 2, 3)],
              [[-s] for s in shares])  # fmt: skip
        house.kill()
        house.launch()
        equal("once", len(fees(house, "a-1")), 1)
        approval = document(house, month)
        equal("charged", (approval["state"], Decimal(approval["charged_amount"])),
              ("charged", amount))  # fmt: skip
        raw = UnixConnection.request(house.socket, "GET", f"/api/v1/pools/stairs?month={month}")[1]
        equal("as it was approved", raw["sheet"], sheet)
        why = page(house, f"/accounts/a-1/why?month={month}")
        line = house.ctl("why", "a-1", "--month", month)["lines"][0]
        check(f"why, on paper: {why}", line["exact"] in why and "raw" not in why
              and "source" not in why and line["source"] in why)  # fmt: skip
        equal("the product before rounding", Decimal(line["exact"]),
              Decimal(line["quantity"]) * Decimal(line["price"]))  # fmt: skip
        equal("verify", house.ctl("verify")["ok"], True)


if __name__ == "__main__":
    main(test)
