#!/usr/bin/python3
"""The billing office on the built programs: its loop over the readings from zero, as pages and as
CSV, while the daemon writes and is killed, without gap or duplicate; the event stream resumed after
drops; the files of a closed month as CSV and XLSX, opened by Python's csv and by openpyxl, with
Chinese intact, totals that foot, and the same bytes on each pull.
"""
import csv
import datetime
import hashlib
import http.client
import io
import json
import socket
import sqlite3
import threading
import time
from decimal import Decimal

import openpyxl
from house import FLAT, House, charge, check, equal, main, wait_for
from months import go_to_month_end

KILLS = 4
LABELS = {"u-1": "3栋2单元1201", "u-2": "=1+1"}
METERS = {"e-1": "u-1", "202100000001": "u-2"}
FILES = ("readings", "charges", "ledger", "summary")


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("gatehouse", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


def pull(house, target, headers=None):
    """Status, headers and the whole body; an answer that was cut raises."""
    connection = Unix(house.socket)
    try:
        connection.request("GET", "/api/v1" + target, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def table(house, target):
    status, headers, body = pull(house, target)
    equal(f"{target}: status", status, 200)
    check(f"{target}: a byte-order mark", body.startswith(b"\xef\xbb\xbf"))
    check(f"{target}: CRLF alone", body.count(b"\n") == body.count(b"\r\n"))
    rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))
    check(f"{target}: as wide as its heading", all(len(row) == len(rows[0]) for row in rows))
    return [dict(zip(rows[0], row)) for row in rows[1:]]


def sheet(body):
    book = openpyxl.load_workbook(io.BytesIO(body))
    first = book.worksheets[0]
    equal("its heading stands still", first.freeze_panes, "A2")
    rows = [[cell for cell in row] for row in first.iter_rows()]
    head = [cell.value for cell in rows[0]]
    return head, rows[1:], book.worksheets[1]


class Office(threading.Thread):
    """One loop of the office: from zero, each row once. What was cut is asked for again."""

    def __init__(self, house, take_page):
        super().__init__(daemon=True)
        self.house, self.take_page = house, take_page
        self.seqs, self.cut, self.trouble = [], 0, None
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                self.once()
            except (OSError, http.client.HTTPException):
                self.cut += 1
                time.sleep(0.05)
            except Exception as error:
                self.trouble = error
                return

    def going(self):
        if self.trouble:
            raise self.trouble
        return len(self.seqs)

    def once(self):
        new = self.take_page(self.house, self.seqs[-1] if self.seqs else 0)
        if new is None:
            time.sleep(0.05)  # the other loop has the place of the one long export
            return
        chain = [*self.seqs[-1:], *new]
        check(f"in order: {chain}", all(a < b for a, b in zip(chain, chain[1:])))
        self.seqs += new

    def end(self):
        self.stopping.set()
        self.join(60)
        if self.trouble:
            raise self.trouble
        self.once()  # the tail


def json_page(house, after):
    status, _, body = pull(house, f"/readings?after={after}&limit=37")
    equal("a page", status, 200)
    return [item["seq"] for item in json.loads(body)["items"]]


def csv_rest(house, after):
    status, headers, body = pull(house, f"/readings.csv?after={after}")
    if status == 429:
        check("and when to ask again", headers["Retry-After"])
        return None
    equal("the rest", status, 200)
    lines = body.decode("utf-8-sig").split("\r\n")
    check("whole lines", lines[-1] == "")
    return [int(line.split(",")[0]) for line in lines[1:-1]]


class Listener(threading.Thread):
    """Hears the event stream, drops it after some events, and goes on from the last id."""

    def __init__(self, house):
        super().__init__(daemon=True)
        self.house, self.ids, self.drops = house, [], 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                self.listen()
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
            self.drops += 1

    def listen(self):
        connection = Unix(self.house.socket)
        headers = {"Last-Event-ID": str(self.ids[-1])} if self.ids else {}
        connection.request("GET", "/api/v1/events/stream?after=0", headers=headers)
        answer = connection.getresponse()
        heard = 0
        while heard < 7 and not self.stopping.is_set():
            line = answer.readline().decode().rstrip("\n")
            if line.startswith("id: "):
                seq = int(line[4:])
            elif line.startswith("data: "):
                equal("what the id names", json.loads(line[6:])["seq"], seq)
                self.ids.append(seq)
                heard += 1
            elif not line and answer.isclosed():
                break
        connection.close()


def busy_days(house):
    """Readings come every second and a register moves; the daemon is killed again and again."""
    offices = [Office(house, json_page), Office(house, csv_rest)]
    listener = Listener(house)
    for each in [*offices, listener]:
        each.start()
    for n in range(KILLS):
        house.slaves.register("b1", 1, 101 + n)
        house.wait_register("e-1", 101 + n)
        house.ctl("topup", "a-1", "1.00", "--key", f"k-{n}", "--by", "s-01")
        had = len(offices[0].seqs)
        wait_for("more readings", lambda: offices[0].going() > had + 3)
        house.kill()
        house.launch()
    newest = house.get("/events?limit=1000")["items"][-1]["seq"]
    wait_for("the listener has heard all", lambda: listener.ids and listener.ids[-1] >= newest)
    listener.stopping.set()
    for office in offices:
        office.end()
    check(f"the stream was dropped: {listener.drops}", listener.drops > KILLS)
    equal("every event once, in order", listener.ids, list(range(1, listener.ids[-1] + 1)))
    return offices


def compare(house, offices):
    house.kill()
    with sqlite3.connect(house.folder / "gatehouse.db") as books:
        stored = [seq for (seq,) in books.execute("SELECT seq FROM reading ORDER BY seq")]
    for office in offices:
        equal("what the office has of the books", office.seqs, stored[: len(office.seqs)])
        check("nearly all of them", len(office.seqs) > len(stored) - 200)
    house.launch()


def close_month(house):
    house.kill()
    month, last = go_to_month_end(house)
    house.launch()
    wait_for(f"{last} is posted", lambda: any(
        entry["cause"] == f"day:{last}"
        for entry in house.get("/accounts/a-1/ledger?limit=1000")["items"]))  # fmt: skip
    house.clock.set(house.clock.now() + datetime.timedelta(minutes=6))

    def closed():
        try:
            return house.ctl("period", "close", month, "--by", "s-01")
        except Exception as refused:
            check(f"only unposted days are waited for: {refused}", "not posted" in str(refused))
            return None

    wait_for("the month closes", closed)
    return month


def month_files(house, month):
    """All files of the month in all forms, each twice; returns the bytes."""
    files = {}
    for name in FILES:
        for form in (".csv", ".csv?lang=zh-CN", ".xlsx", ".xlsx?lang=zh-CN"):
            target = f"/periods/{month}/{name}{form}"
            status, headers, body = pull(house, target)
            equal(f"{target}: status", status, 200)
            tag = f'"{hashlib.sha256(body).hexdigest()}"'
            equal(f"{target}: its ETag", headers["ETag"], tag)
            equal(f"{target}: again", pull(house, target)[2], body)
            have = {"If-None-Match": tag}
            equal(f"{target}: by who has it", pull(house, target, have)[0], 304)
            files[name + form] = body
    return files


def feet(house, month, files):
    used = Decimal(3 + KILLS)
    charges = table(house, f"/periods/{month}/charges.csv")
    total = sum(Decimal(row["amount"]) for row in charges)
    equal("charged", total, charge(FLAT, used))
    head, rows, about = sheet(files["charges.xlsx?lang=zh-CN"])
    amount, quantity = head.index("金额"), head.index("用量")
    equal("as many rows and a foot", len(rows), len(charges) + 1)
    equal("the foot", (rows[-1][0].value, Decimal(str(rows[-1][amount].value))), ("合计", total))
    for got, row in zip(rows, charges):
        check("money is a number", isinstance(got[amount].value, (int, float)))
        equal("with its format", got[amount].number_format, "0.00")
        equal("the same as in the CSV", Decimal(str(got[amount].value)), Decimal(row["amount"]))
        equal("use too", Decimal(str(got[quantity].value)), Decimal(row["quantity"]))
    check("whose seal it is", any(row[0].value == "seal_sha256" for row in about.iter_rows()))
    summary = table(house, f"/periods/{month}/summary.csv")
    equal("the summary says the same", [Decimal(row["amount"]) for row in summary
          if (row["section"], row["kind"]) == ("charges", "total")], [total])  # fmt: skip
    for lang in ("", "?lang=zh-CN"):
        rows = table(house, f"/periods/{month}/summary.csv{lang}")
        keys = [tuple(row.values())[:4] for row in rows]
        equal(f"no two rows of one key{lang}", len(set(keys)), len(keys))
    ledger = table(house, f"/periods/{month}/ledger.csv")
    moved = [Decimal(row["amount"]) for row in summary if row["kind"] == "moved"]
    equal("so does the ledger", [sum(Decimal(row["amount"]) for row in ledger)], moved)


def chinese(house, month, files):
    rows = table(house, f"/periods/{month}/readings.csv?lang=zh-CN")
    by_meter = {row["表编号"]: row for row in rows}
    equal("who stands in it", sorted(by_meter), sorted(METERS))
    equal("Chinese", (by_meter["e-1"]["房屋"], by_meter["e-1"]["表类"]), (LABELS["u-1"], "电"))
    equal("what looks like a formula", by_meter["202100000001"]["房屋"], "'" + LABELS["u-2"])
    head, cells, _ = sheet(files["readings.xlsx?lang=zh-CN"])
    meters = {row[head.index("表编号")].value: row for row in cells}
    equal("numbers of meters are text", sorted(meters), sorted(METERS))
    row = meters["e-1"]
    equal("Chinese in the sheet", row[head.index("房屋")].value, LABELS["u-1"])
    equal("use", Decimal(str(row[head.index("实际用量")].value)), Decimal(3 + KILLS))
    check("a time is one", row[head.index("本期抄表时间")].is_date)
    formula = meters["202100000001"][head.index("房屋")]
    check("what looks like a formula is text", formula.data_type in ("s", "inlineStr"))


def reports(house, month):
    rows = table(house, f"/reports/monthly/{month}.csv?lang=zh-CN")
    equal("one row a meter", sorted(row["表编号"] for row in rows), sorted(METERS))
    book = table(house, "/ledger-book.csv?account=a-1")
    opening, *entries, closing = book
    equal("from and to", (opening["summary"], closing["summary"]), ("opening", "closing"))
    balance = Decimal(opening["balance_after"])
    for row in entries:
        balance += Decimal(row["in"] or 0) - Decimal(row["out"] or 0)
        equal(f"balance after {row['seq']}", Decimal(row["balance_after"]), balance)
    equal("the end", Decimal(closing["balance_after"]), balance)
    register = Decimal(100)
    for row in (row for row in entries if row["summary"] == "charge"):
        equal(f"charge {row['seq']}: from", Decimal(row["start"]), register)
        register += Decimal(row["quantity"])
        equal(f"charge {row['seq']}: to", (Decimal(row["end"]), row["multiplier"]), (register, "1"))
    equal("to where the meter stood", register, Decimal(103 + KILLS))
    known = table(house, "/ledger-book.csv?account=a-1&lang=zh-CN")[1]
    check(f"in Chinese: {sorted(known)}", {"起码", "止码", "倍率", "用量"} <= set(known))
    day = next(row["at"][:10] for row in entries if row["summary"] == "topup")
    (daily,) = table(house, f"/reports/daily/{day}.csv")
    equal("a day's takings", (daily["collector"], daily["method"], daily["count"],
          daily["electricity"]), ("s-01", "cash", str(KILLS), f"{KILLS}.00"))  # fmt: skip
    accounts = table(house, "/accounts.csv?lang=zh-CN")
    equal("every account", [row["账户"] for row in accounts], ["a-1", "a-2"])


def test():
    with House(store_interval="1s", mqtt=False) as house:
        house.own_clock(day=27)
        house.tcp_bus("b1")
        house.slaves.register("b1", 1, 100)
        house.slaves.register("b1", 2, 200)
        house.write_config()
        house.write_registry(
            [(meter, unit, "b1", n + 1) for n, (meter, unit) in enumerate(METERS.items())],
            [("a-1", "u-1", "flat", "500.00"), ("a-2", "u-2", "flat", "500.00")],
        )
        (house.registry / "units.csv").write_text(
            "unit,label,building\n" + "".join(f"{u},{label},3\n" for u, label in LABELS.items())
        )
        house.launch()
        house.ctl("import", house.registry)
        house.wait_register("e-1", 100)
        house.wait_register("202100000001", 200)
        compare(house, busy_days(house))
        house.slaves.register("b1", 1, 103 + KILLS)
        house.wait_register("e-1", 103 + KILLS)
        month = close_month(house)
        files = month_files(house, month)
        feet(house, month, files)
        chinese(house, month, files)
        reports(house, month)
        house.kill()
        house.launch()
        equal("the same bytes after a power cut", month_files(house, month), files)
        equal("verify", house.ctl("verify")["ok"], True)


if __name__ == "__main__":
    main(test)
