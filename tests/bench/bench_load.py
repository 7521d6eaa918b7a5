#!/usr/bin/python3
"""Fifty programs that read and eight that write, on the listener with tokens of their own, while
4,000 meters on 64 buses are polled. No answer may be an error but 429, no meter may miss its turn;
how long an alert takes to a subscriber, and whether memory stays, is printed.

  bench_load.py [SECONDS [METERS [BUSES]]]    300 seconds, 4000 meters, 64 buses
"""
import collections
import http.client
import json
import pathlib
import random
import re
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from bench_memory import memory_kib  # noqa: E402
from house import SIMULATOR, House, Process, check, free_port, main, wait_for  # noqa: E402

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 300
METERS = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
BUSES = int(sys.argv[3]) if len(sys.argv) > 3 else 64
READERS, WRITERS = 50, 8
INTERVAL_S = 60
# A round that is late by half an interval is a reading that was missed.
LATE_S = INTERVAL_S * 1.5


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.statuses = collections.Counter()
        self.times_ms = {"read": [], "write": []}
        self.errors = []

    def note(self, kind, status, seconds, text):
        with self.lock:
            self.statuses[status] += 1
            if status < 300:
                self.times_ms[kind].append(seconds * 1000)
            elif status != 429 and len(self.errors) < 20:
                self.errors.append(f"{status} {text[:200]!r}")


class Program(threading.Thread):
    """One program: asks, waits for the answer, asks again; where it is told 429 it waits."""

    def __init__(self, port, token, tally, until, seed):
        super().__init__(daemon=True)
        self.port, self.token, self.tally, self.until = port, token, tally, until
        self.dice = random.Random(seed)
        self.connection = None
        self.failure = None

    def ask(self, kind, method, target, body=None, key=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}"}
        if key:
            headers["Idempotency-Key"] = key
        began = time.monotonic()
        self.connection.request(method, "/api/v1" + target, body and json.dumps(body), headers)
        answer = self.connection.getresponse()
        data = answer.read()
        self.tally.note(kind, answer.status, time.monotonic() - began, data)
        if answer.getheader("Connection", "").lower() == "close":
            self.connection.close()
            self.connection = None
        if answer.status == 429:
            time.sleep(float(answer.getheader("Retry-After")))
        return answer.status, data

    def run(self):
        try:
            while time.monotonic() < self.until:
                self.turn()
        except Exception as failure:  # told by the main thread
            self.failure = failure


class Reader(Program):
    after = 0

    def turn(self):
        one = self.dice.randrange(METERS)
        target = self.dice.choice([
            f"/meters/e-{one}", f"/accounts/a-{one}", f"/accounts/a-{one}/ledger",
            f"/accounts/a-{one}/why", f"/accounts?limit=100&after=a-{one}", "/alerts?state=open",
            "/status?brief=1", f"/meters/e-{one}/readings?step=day", "readings",
        ])  # fmt: skip
        if target != "readings":
            return self.ask("read", "GET", target)
        status, data = self.ask("read", "GET", f"/readings?after={self.after}&limit=200")
        if status == 200:
            page = json.loads(data)
            seqs = [item["seq"] for item in page["items"]]
            check("in order and after the cursor", seqs == sorted(set(seqs))
                  and (not seqs or seqs[0] > self.after))  # fmt: skip
            self.after = page["next"]
        return None


class Writer(Program):
    number = 0
    paid = 0

    def turn(self):
        self.number += 1
        account = self.dice.randrange(100, METERS)
        status, _ = self.ask("write", "POST", f"/accounts/a-{account}/topups",
                             {"amount": "0.01", "by": "s-01"},
                             key=f"{self.name}-{self.number}")  # fmt: skip
        self.paid += status == 201
        time.sleep(self.dice.uniform(0, 0.2))


class AlertWriter(Program):
    """Takes an account below its threshold and fills it again, over and over."""

    number = 0

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked = []  # account, state that follows, when it was asked

    def turn(self):
        self.number += 1
        account = f"a-{self.number % 100}"
        act = {"by": "s-01", "second": "s-02", "reason": "load", "amount": "-960.00"}
        for state, target, body in (
            ("raised", "adjustments", act),
            ("cleared", "topups", {"amount": "960.00", "by": "s-01"}),
        ):
            began = time.time()
            status, _ = self.ask("write", "POST", f"/accounts/{account}/{target}", body,
                                 key=f"{state}-{self.number}")  # fmt: skip
            if status == 201:
                self.asked.append((account, state, began))
            time.sleep(0.5)


def alert_times(house, asked):
    """Milliseconds from the request that moved the level to the message at a subscriber."""
    came = collections.defaultdict(list)
    for line in (house.folder / "alerts.txt").read_text().splitlines():
        at, _, text = line.partition(" ")
        alert = json.loads(text)
        came[alert["account"], alert["state"]].append(float(at))
    took = []
    for account, state, began in asked:
        later = [at for at in came[account, state] if at >= began]
        check(f"{account} {state} reached the subscriber", later)
        took.append((min(later) - began) * 1000)
    return took


def late_meters(port):
    """How many meters were not read for longer than their turn allows."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    seen = re.findall(r"^gatehouse_meter_last_success_timestamp_seconds\{.*\} ([0-9.]+)$", text,
                      re.MULTILINE)  # fmt: skip
    check("every meter was read", len(seen) == METERS)
    now = time.time()
    return sum(now - float(at) > LATE_S for at in seen)


def build(house, port):
    house.broker.start()
    ports = {port}  # which nobody listens on yet
    while len(ports) <= BUSES:
        ports.add(free_port())
    for number, bus_port in enumerate(sorted(ports - {port})):
        house.buses[f"b{number}"] = f"modbus+tcp://127.0.0.1:{bus_port}"
    house.write_config()
    house.config.write_text(house.config.read_text().replace(
        "[http]\n", f'[http]\nlisten = "127.0.0.1:{port}"\nmetrics_meters = true\n'
    ))  # fmt: skip
    numbers = range(METERS)
    house.write_registry(
        [(f"e-{n}", f"u-{n}", f"b{n % BUSES}", n // BUSES + 1) for n in numbers],
        [(f"a-{n}", f"u-{n}", "flat", "1000.00") for n in numbers],
    )
    house.started.append(Process(
        "simulator",
        [SIMULATOR, "--config", house.config, "--registry", house.registry, "--turnaround", 5],
        house.folder,
    ))  # fmt: skip
    house.launch()
    house.ctl("import", house.registry)
    wait_for("all meters read",
             lambda: house.get("/status")["meters"]["online"] == METERS, 300)  # fmt: skip


def run(house, port, tally, alerts):
    def token(*scopes):
        return house.ctl("token", "add", "--name", "load", "--scope", ",".join(scopes))["token"]

    reading = [token("readings:read", "meters:read", "balances:read", "alerts:read")
               for _ in range(10)]  # fmt: skip
    until = time.monotonic() + SECONDS
    programs = [Reader(port, reading[n % len(reading)], tally, until, n) for n in range(READERS)]
    programs += [Writer(port, token("topups:write"), tally, until, 1000 + n)
                 for n in range(WRITERS - 1)]  # fmt: skip
    programs.append(AlertWriter(port, token("admin"), tally, until, 2000))
    for one in programs:
        one.start()
    memory, late = [], 0
    while any(one.is_alive() for one in programs):
        time.sleep(min(10, SECONDS / 10))
        memory.append(memory_kib(house.daemon.pid)["VmRSS"])
        late = max(late, late_meters(port))
    for one in programs:
        one.join()
        check(f"a program failed: {one.failure!r}", one.failure is None)
    time.sleep(2)
    alerts.stop()
    return programs, memory, late


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def test():
    port = free_port()
    with House(poll_interval=f"{INTERVAL_S}s", store_interval="1m") as house:
        build(house, port)
        out = open(house.folder / "alerts.txt", "wb")
        alerts = Process("alerts", ["mosquitto_sub", "-h", "127.0.0.1", "-p", house.broker.port,
                                    "-q", "1", "-F", "%U %p", "-t",
                                    "gatehouse/e2e/alert/low_balance"], house.folder,
                         stdout=out)  # fmt: skip
        house.started.append(alerts)
        tally = Tally()
        polls = sum(bus["exchanges"]["ok"] for bus in house.get("/status")["buses"])
        programs, memory, late = run(house, port, tally, alerts)
        polled = sum(bus["exchanges"]["ok"] for bus in house.get("/status")["buses"]) - polls
        took = alert_times(house, programs[-1].asked)
        warm = memory[len(memory) // 3:]
        print(json.dumps({
            "bench": "load", "seconds": SECONDS, "meters": METERS, "buses": BUSES,
            "answers": {str(s): n for s, n in sorted(tally.statuses.items())},
            "a_second": round(sum(tally.statuses.values()) / SECONDS),
            "read_ms_p50": round(statistics.median(tally.times_ms["read"]), 1),
            "read_ms_p99": round(percentile(tally.times_ms["read"], 0.99), 1),
            "write_ms_p50": round(statistics.median(tally.times_ms["write"]), 1),
            "write_ms_p99": round(percentile(tally.times_ms["write"], 0.99), 1),
            "polls": polled, "late_meters": late, "alerts": len(took),
            "alert_ms_p50": round(statistics.median(took), 1),
            "alert_ms_p99": round(percentile(took, 0.99), 1),
            "memory_kib_after_a_third": warm[0], "memory_kib_end": warm[-1],
        }), flush=True)  # fmt: skip
        check(f"no error but 429: {tally.errors}", set(tally.statuses) <= {200, 201, 429})
        check(f"no reading missed: {late} meters", late == 0)
        booked = sum(one.paid for one in programs if isinstance(one, Writer))
        check(f"payments were booked: {booked}", booked > 0)
        check("verify", house.ctl("verify")["ok"])


if __name__ == "__main__":
    main(test)
