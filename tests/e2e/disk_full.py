#!/usr/bin/python3
"""The disk of the books is full: interval readings stop first, top-ups are refused honestly, and
still a household that crosses its threshold is announced at the broker, also after a power cut;
space comes back and all goes on without a restart. The disk is a real file system of eight MiB,
mounted in a namespace of this test's own.
"""
import contextlib
import errno
import os
import socket
import sqlite3
import subprocess
import sys
from decimal import Decimal

from house import FLAT, House, UnixConnection, charge, check, equal, main, wait_for

INSIDE = "GATEHOUSE_TEST_NAMESPACE"
SKIPPED = 77
MANY = 40_000  # rows of some hundred bytes each in a workbook, and of forty in the books
EXPORTS = 24

METERS = [(f"e-{n}", f"u-{n}", "b1", n) for n in (1, 2, 3)]
ACCOUNTS = [(f"a-{n}", f"u-{n}", "flat", "100.00") for n in (1, 2, 3)]


def enter_namespace():
    """Mounts of this test are seen by nobody else, and end with it however it ends."""
    if os.environ.get(INSIDE):
        return
    options = ["-m"] if os.geteuid() == 0 else ["-r", "-m"]
    probe = ["unshare", *options, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        print("disk_full.py: skipped: this machine lets nobody mount a small file system")
        sys.exit(SKIPPED)
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", *options, sys.executable, "-B", *sys.argv])


class Ballast:
    """A file of somebody else that takes what is left."""

    def __init__(self, folder):
        self.path = folder / "ballast"

    def free(self):
        facts = os.statvfs(self.path.parent)
        return facts.f_bavail * facts.f_frsize

    def leave(self, bytes_left):
        """Takes at once what is there beyond that; not what is given up because of it."""
        more = self.free() - bytes_left
        with open(self.path, "ab", buffering=0) as file:
            while more > 0:
                try:
                    more -= file.write(bytes(min(more, 65536)))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    return

    def drop(self):
        self.path.unlink()


def stored(house):
    """Readings that this run of the daemon has stored, as /metrics counts them."""
    data = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(house.socket)
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while chunk := connection.recv(65536):
            data += chunk
    for line in data.decode().splitlines():
        if "readings_stored_total" in line and not line.startswith("#"):
            return int(line.split()[-1])
    raise AssertionError("no metric counts the stored readings")


def store(house):
    return house.get("/status")["store"]


def alerts(subscriber, account):
    """Transitions of one account in the order in which they came, duplicates by seq left out."""
    told = {m.json["seq"]: m.json for m in subscriber.messages("/alert/low_balance")}
    return [body for _, body in sorted(told.items()) if body["account"] == account]


def little_space(house, ballast):
    wait_for("intervals are stored", lambda: stored(house) > 6)
    ballast.leave(200 * 1024)
    wait_for("it says so", lambda: "space runs low" in store(house).get("reason", ""))
    check(f"money is taken: {store(house)}", store(house)["ok"])
    descriptors = len(os.listdir(f"/proc/{house.daemon.pid}/fd"))
    free = ballast.free()
    for _ in range(20):
        status, answer = raw(house, "/api/v1/accounts.xlsx")
        check(f"a workbook is refused: {answer}", status == 503 and b"disk-low" in answer)
        check(f"and when to ask again: {answer}", b"Retry-After: 60" in answer)
    check("none left a descriptor behind",
          len(os.listdir(f"/proc/{house.daemon.pid}/fd")) <= descriptors + 2)  # fmt: skip
    check("nor a byte", abs(ballast.free() - free) < 128 * 1024)
    before = stored(house)
    house.wait_polls("b1", 20)
    equal("interval readings stand still", stored(house), before)
    house.ctl("topup", "a-3", "5.00", "--key", "little", "--by", "s-01")


def no_space(house, ballast, subscriber):
    ballast.leave(0)
    wait_for("it says so", lambda: not store(house)["ok"])
    check(f"why: {store(house)}", "disk is full" in store(house)["reason"])
    words = ("topup", "a-3", "7.00", "--key", "full", "--by", "s-01")
    refusal = house.refused(*words)
    equal("exit", refusal.code, 1)
    equal("status", refusal.problem["status"], 503)
    check(f"the problem is named: {refusal.problem}", "disk-full" in refusal.problem["type"])
    again = house.ctl("topup", "a-3", "5.00", "--key", "little", "--by", "s-01")
    equal("a receipt that was given is given again", again["amount"], "5.00")
    house.slaves.register("b1", 1, 250)
    house.wait_register("e-1", 250)
    wait_for("the alert at the broker", lambda: alerts(subscriber, "a-1"))
    alert = alerts(subscriber, "a-1")[0]
    equal("state", alert["state"], "raised")
    equal("balance", Decimal(alert["balance"]), Decimal("100.00") - charge(FLAT, Decimal("150")))
    wait_for("retained", lambda: subscriber.messages(f"/alert/active/{alert['id']}"))
    house.ctl("ack", alert["id"], "--by", "s-01", "--via", "phone")
    wait_for("the call is told", lambda: len(alerts(subscriber, "a-1")) == 2)
    check("what is free came from the reserve", ballast.free() < 800 * 1024)
    exports_and_files(house)
    return words


def exports_and_files(house):
    """On the full disk: a list streams as ever, a workbook is refused before it is begun, and
    a household's file opens, since its look still finds room in the reserve."""
    rows = raw(house, "/api/v1/readings.csv")
    check("a table comes whole", rows[0] == 200 and rows[1].endswith(b"0\r\n\r\n"))
    status, _ = raw(house, "/api/v1/accounts.xlsx")
    equal("a workbook is refused", status, 503)
    equal("the file opens", house.get("/units/u-1")["unit"], "u-1")
    looks = house.get("/units/u-1/views")["items"]
    equal("and its look is a row", [look["what"] for look in looks], ["file"])


def raw(house, target):
    data = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(house.socket)
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n"
                           "Connection: close\r\n\r\n".encode())  # fmt: skip
        while chunk := connection.recv(65536):
            data += chunk
    return int(data.split(b" ", 2)[1]), data


def power_cut(house, subscriber):
    """On the full disk: what was told stays told, and the next household is heard of as well."""
    house.kill()
    house.launch(wait=False)

    def answers():
        try:
            return UnixConnection.request(house.socket, "GET", "/api/v1/status")[0] == 200
        except OSError:
            return False

    wait_for("it answers", answers)
    house.wait_register("e-2", 100)
    equal("not ready for money", UnixConnection.request(house.socket, "GET", "/readyz")[0], 503)
    house.slaves.register("b1", 2, 290)
    house.wait_register("e-2", 290)
    wait_for("the second alert", lambda: alerts(subscriber, "a-2"))
    equal("the first one once", [a["state"] for a in alerts(subscriber, "a-1")],
          ["raised", "acknowledged"])  # fmt: skip


def space_again(house, ballast, words, subscriber):
    ballast.drop()
    wait_for("all is as before", lambda: store(house)["ok"] and not store(house).get("reason"))
    equal("booked once, now", house.ctl(*words)["ledger"], "112.00")
    before = stored(house)
    wait_for("intervals are stored again", lambda: stored(house) > before)
    house.ctl("topup", "a-1", "100.00", "--key", "after", "--by", "s-01")
    wait_for("cleared", lambda: alerts(subscriber, "a-1")[-1]["state"] == "cleared")
    equal("verify", house.ctl("verify")["ok"], True)
    states = [e["body"]["state"] for e in house.get("/events?limit=1000")["items"]
              if e["kind"] == "store.space"]  # fmt: skip
    check(f"the log tells it: {states}", states[0] == "low" and states[-1] == "plenty")


def large_export(house, ballast):
    """A workbook of more rows than the disk has room for: it is begun, and ends before the books
    want for anything."""
    house.daemon.stop()
    columns = "context,kind,quality,run,mono_ms,skew_ms,register,total,raw,stands_at_ms"
    with contextlib.closing(sqlite3.connect(house.folder / house.store_path)) as books:
        last = books.execute("SELECT max(seq) FROM reading").fetchone()[0]
        books.execute(
            f"INSERT INTO reading(seq,{columns}) WITH RECURSIVE n(i) AS "
            f"(SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<{MANY}) SELECT {last}+i,{columns} "
            f"FROM n,(SELECT {columns} FROM reading WHERE kind=0 ORDER BY seq DESC LIMIT 1)"
        )
        books.commit()
    house.launch()
    free = ballast.free()
    check(f"there is some room: {free}", free > 1024 * 1024)
    descriptors = []
    for _ in range(EXPORTS):
        status, answer = raw(house, "/api/v1/readings.xlsx")
        check(f"it is refused: {answer[:400]}", status == 503 and b"disk-low" in answer)
        left = os.listdir(f"/proc/{house.daemon.pid}/fd")
        descriptors.append(len(left))
    # Connections to meters, the broker and the books are opened when first needed, some of them
    # while this runs; one descriptor an export would be more than all of those.
    check(f"none left a descriptor behind: {descriptors}",
          descriptors[-1] < descriptors[0] + EXPORTS // 2)  # fmt: skip
    check(f"nor bytes: {free}, {ballast.free()}", free - ballast.free() < 1024 * 1024)
    check(f"the books want for nothing: {store(house)}",
          store(house)["ok"] and not store(house).get("reason"))  # fmt: skip
    check("the list goes as CSV", raw(house, "/api/v1/readings.csv?limit=1000")[0] == 200)


def test():
    enter_namespace()
    with House(store_interval="1s") as house:
        disk = house.folder / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", disk],
                       check=True)  # fmt: skip
        try:
            story(house, disk)
        finally:
            house.daemon.stop()
            subprocess.run(["umount", disk], check=True)


def story(house, disk):
    house.store_path = "disk/gatehouse.db"
    house.broker.start()
    house.tcp_bus("b1")
    for n in (1, 2, 3):
        house.slaves.register("b1", n, 100)
    house.write_config()
    house.write_registry(METERS, ACCOUNTS)
    subscriber = house.subscribe()
    house.launch()
    house.ctl("import", house.registry)
    for n in (1, 2, 3):
        house.wait_register(f"e-{n}", 100)
    check("a reserve lies there", (disk / "gatehouse.db.reserve").stat().st_blocks >= 1024)
    ballast = Ballast(disk)
    little_space(house, ballast)
    words = no_space(house, ballast, subscriber)
    equal("the reserve is given up", (disk / "gatehouse.db.reserve").stat().st_size, 0)
    power_cut(house, subscriber)
    space_again(house, ballast, words, subscriber)
    check("and taken again", (disk / "gatehouse.db.reserve").stat().st_blocks >= 1024)
    large_export(house, ballast)


if __name__ == "__main__":
    main(test)
