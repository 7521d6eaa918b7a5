#!/usr/bin/python3
"""kill -9 at random moments under load: registers move, days end, several cashiers book top-ups,
the broker listens. Afterwards no acknowledged top-up is missing, nothing was charged twice, no
event is missing or out of order at the subscriber once duplicate seqs are removed, and `verify` is
clean.

  kills.py [N [SEED]]     N kills (12); the seed is printed and drives every random choice
"""
import contextlib
import datetime
import json
import random
import sys
import threading
import time
import uuid
import zoneinfo
from decimal import Decimal

from house import FLAT, House, UnixConnection, charge, check, equal, half_up, main
from house import sent_value, wait_for

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 12
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
CASHIERS = 3
LAST_DAY = 22
ACCOUNTS = 4  # two on the TCP bus, two on the serial line
OPENING, LOW = Decimal("60.00"), Decimal("50.00")
FIRST = 1000  # every register at the start, kWh
ALERTS = 'low_days = 0\ncritical_days = 0\namount_max_days = "never"\n'
STEP = Decimal("0.5")  # exact in single precision up to 4 million
REGISTERS = {number: Decimal(FIRST) for number in range(1, ACCOUNTS + 1)}  # as the slaves have it


class Cashier(threading.Thread):
    """Books top-ups one after the other. An answer that does not come is asked for again with the
    same key, before or after the next start; only what was acknowledged is remembered."""

    def __init__(self, socket_path, seed, stop):
        super().__init__(daemon=True)
        self.socket_path, self.random, self.stopping = socket_path, random.Random(seed), stop
        self.acknowledged = {}  # key -> (account, amount, receipt)
        self.asked_again = 0
        self.trouble = []
        self.open_request = None

    def run(self):
        while not self.stopping.is_set():
            try:
                self.one()
            except Exception as error:  # the test ends with it
                self.trouble.append(f"{type(error).__name__}: {error}")
                return
            self.stopping.wait(self.random.uniform(0, 0.05))

    def draw(self):
        """The next customer: a small top-up, or one that clears the alert of who is low, so that
        levels go up and down all the time."""
        account = f"a-{self.random.randint(1, ACCOUNTS)}"
        path = f"/api/v1/accounts/{account}"
        status, document = UnixConnection.request(self.socket_path, "GET", path, timeout=20)
        if status != 200:
            return
        fen = self.random.randint(1, 9)
        if Decimal(document["balance"]) < LOW:
            fen = self.random.randint(600, 1500)
        key = str(uuid.UUID(int=self.random.getrandbits(128)))
        self.open_request = (key, account, f"{fen // 100}.{fen % 100:02}")

    def one(self):
        try:
            if self.open_request is None:
                self.draw()
            if self.open_request is None:
                return
            key, account, amount = self.open_request
            status, document = UnixConnection.request(
                self.socket_path, "POST", f"/api/v1/accounts/{account}/topups",
                {"amount": amount, "by": "s-01", "method": "cash"},
                {"Idempotency-Key": key}, timeout=20,
            )  # fmt: skip
        except (OSError, json.JSONDecodeError):
            self.asked_again += 1
            self.stopping.wait(0.02)
            return
        if status in (409, 503):  # in progress, or starting or stopping: ask again
            self.stopping.wait(0.02)
            return
        if status not in (200, 201):
            raise AssertionError(f"top-up of {amount} to {account}: {status} {document}")
        self.acknowledged[key] = (account, Decimal(amount), document["receipt"])
        self.open_request = None

    def finish(self):
        """With the daemon up: what was sent and never answered is asked for until it is."""

        def answered():
            if self.open_request is not None:
                self.one()
            return self.open_request is None

        wait_for("the last top-up is answered", answered)


class Residents(threading.Thread):
    """Makes the registers move."""

    def __init__(self, house, seed, stop):
        super().__init__(daemon=True)
        self.house, self.random, self.stopping = house, random.Random(seed), stop

    def run(self):
        while not self.stopping.wait(self.random.uniform(0.02, 0.12)):
            number = self.random.randint(1, ACCOUNTS)
            REGISTERS[number] += STEP * self.random.randint(1, 6)
            self.house.slaves.register(*place(number), float(REGISTERS[number]))


def place(number):
    """Bus and address of meter e-<number>."""
    return ("b1", number) if number <= ACCOUNTS // 2 else ("b2", number)


def open_house(house):
    house.own_clock(day=3)
    house.broker.start()
    house.tcp_bus("b1")
    house.pty_bus("b2")
    for number in range(1, ACCOUNTS + 1):
        house.slaves.register(*place(number), FIRST)
    house.write_config()
    house.write_registry(
        [(f"e-{n}", f"u-{n}", *place(n)) for n in range(1, ACCOUNTS + 1)],
        [(f"a-{n}", f"u-{n}", "flat", OPENING) for n in range(1, ACCOUNTS + 1)],
    )
    house.launch()
    house.ctl("import", house.registry)
    for number in range(1, ACCOUNTS + 1):
        house.wait_register(f"e-{number}", FIRST)


def time_passes(house, chance):
    """Between two starts: nothing, some hours, or all but a moment of the day, so that day edges
    fall while it is down and while it runs."""
    if house.clock.now().day > LAST_DAY:  # the sums below are of one month
        return
    if chance.random() < min(0.3, 9.0 / KILLS):
        house.before_midnight(chance.uniform(0.2, 3.0))
    elif chance.random() < 0.4:
        hours = chance.uniform(0.1, min(9.0, 1000.0 / KILLS))
        house.clock.set(house.clock.now() + datetime.timedelta(hours=hours))


def kill_many(house, chance):
    """The moments: while it works, while it starts, and twice in a row."""
    for number in range(KILLS):
        time_passes(house, chance)
        early = chance.random() < 0.25
        if early:
            house.launch(wait=False)
            time.sleep(chance.uniform(0, 0.4))  # the random moment itself
        else:
            house.launch()
            time.sleep(chance.uniform(0.05, 2.0))
        check(f"it ran until kill {number + 1}", house.daemon.running())
        house.kill()
    house.launch()


def check_topups(house, cashiers):
    acknowledged = {}
    for cashier in cashiers:
        acknowledged.update(cashier.acknowledged)
    booked = {}
    for number in range(1, ACCOUNTS + 1):
        account = f"a-{number}"
        for entry in ledger(house, account):
            if entry["kind"] == "topup":
                key = entry["cause"].removeprefix("topup:")
                check(f"{key} was booked once", key not in booked)
                booked[key] = (account, Decimal(entry["amount"]), entry["receipt"])
    missing = {k: v for k, v in acknowledged.items() if booked.get(k) != v}
    equal("acknowledged top-ups that are missing or differ", missing, {})
    equal("top-ups that nobody asked for", set(booked) - set(acknowledged), set())
    receipts = [receipt for _, _, receipt in booked.values()]
    equal("receipt numbers used twice", len(receipts) - len(set(receipts)), 0)
    return booked


def ledger(house, account):
    entries, after, more = [], 0, True
    while more:
        page = house.get(f"/accounts/{account}/ledger?limit=1000&after={after}")
        entries += page["items"]
        after, more = page["next"], page["has_more"]
    return entries


def end_of_day(house, seconds):
    """One more kill, and a midnight with the daemon up, so many seconds after it started. Returns
    whether everything that was used is posted then."""
    house.kill()
    day = house.before_midnight(seconds)
    house.launch()

    def is_left(n):
        return Decimal(house.get(f"/accounts/a-{n}/why")["unposted"]) != 0

    def posted():
        here = house.clock.now().astimezone(zoneinfo.ZoneInfo(house.zone)).date()
        checklist = house.get(f"/periods/{day:%Y-%m}")["checklist"]
        return here > day and checklist["counts"]["unposted"] == 0

    wait_for(f"{day} is posted", posted)
    # Until its meters are heard again an account knows of no use that is left.
    numbers = range(1, ACCOUNTS + 1)
    for n in numbers:
        house.wait_register(f"e-{n}", float(REGISTERS[n]))
    return not any(is_left(n) for n in numbers)


def post_all(house):
    """A busy machine may confirm a register only after the midnight; what it says of the time after
    it is the next day's, so that a later midnight, with more time before it, posts it."""
    for number in range(1, ACCOUNTS + 1):
        house.wait_register(f"e-{number}", float(REGISTERS[number]))
    for seconds in (3, 6, 12, 24, 48):
        if end_of_day(house, seconds):
            return
    raise AssertionError("five midnights have not posted everything")


def check_charges(house, booked):
    """The ledger is openings, top-ups and what was posted; all of one month is one line, so what
    is used costs exactly its price, posted or not, however often the daemon was killed."""
    post_all(house)
    days = 0
    for number in range(1, ACCOUNTS + 1):
        account = f"a-{number}"
        register = REGISTERS[number]
        figure = house.wait_register(f"e-{number}", float(register))
        equal("single precision holds it", half_up(sent_value(float(register)), 3), figure)
        paid = sum((amount for a, amount, _ in booked.values() if a == account), Decimal(0))
        used = charge(FLAT, figure - FIRST)
        expected = OPENING + paid - used
        wait_for(
            f"{account} stands at {expected}: {house.account(account)['balance']}",
            lambda account=account, expected=expected: Decimal(house.account(account)["balance"])
            == expected,
        )
        entries = ledger(house, account)
        openings = [e for e in entries if e["kind"] == "opening"]
        equal(f"openings of {account}", [Decimal(e["amount"]) for e in openings], [OPENING])
        posted = -sum((Decimal(e["amount"]) for e in entries if e["kind"] == "charge"), Decimal(0))
        whole = Decimal(house.account(account)["ledger"])
        equal(f"ledger of {account}", whole, OPENING + paid - posted)
        equal(f"all of {account} is posted", posted, used)
        causes = [e["cause"] for e in entries if e["kind"] == "charge"]
        equal(f"days of {account} posted twice", len(causes) - len(set(causes)), 0)
        days += len(causes)
    return days


def all_events(house):
    events, after, more = [], 0, True
    while more:
        page = house.get(f"/events?limit=1000&after={after}")
        events += page["items"]
        after, more = page["next"], page["has_more"]
    return events


def check_events(house, subscriber):
    """The log has no gap; the subscriber heard all of its alerts, in order, with the same seq."""
    wait_for("the backlog is empty", lambda: house.get("/status")["mqtt"]["backlog"] == 0)
    events = all_events(house)
    seqs = [event["seq"] for event in events]
    equal("seqs of the log", seqs, list(range(1, len(seqs) + 1)))
    expected = [e["body"] for e in events if e["body"].get("kind") == "low_balance"]

    def heard():
        first = {}
        for message in subscriber.messages("/alert/low_balance"):
            first.setdefault(message.json["seq"], message.json)
        return list(first.values())

    wait_for(f"{len(expected)} alerts arrive", lambda: len(heard()) >= len(expected))
    equal("alerts heard", [a["seq"] for a in heard()], [a["seq"] for a in expected])
    equal("their bodies", heard(), expected)
    previous = 0
    for alert in heard():
        equal(f"prev of {alert['seq']}", alert["prev"], previous)
        previous = alert["seq"]
    duplicates = len(subscriber.messages("/alert/low_balance")) - len(expected)
    active = {}
    for message in subscriber.messages():
        if "/alert/active/" in message.topic:
            active[message.topic.rsplit("/", 1)[1]] = message.text
    still_open = {a["id"] for a in house.get("/alerts?state=open")["items"]}
    equal("retained open alerts", {i for i, text in active.items() if text}, still_open)
    return len(events), len(expected), duplicates


def test():
    print(f"kills.py: {KILLS} kills, seed {SEED}", flush=True)
    chance = random.Random(SEED)
    with House(poll_interval="100ms", alerts=ALERTS) as house, contextlib.ExitStack() as stack:
        stop = threading.Event()
        stack.callback(stop.set)
        open_house(house)
        subscriber = house.subscribe()
        wait_for("the subscription stands", lambda: subscriber.messages("/status"))
        equal("alerts before the load", len(subscriber.messages("/alert/low_balance")), 0)
        house.kill()
        residents = Residents(house, chance.getrandbits(64), stop)
        cashiers = [Cashier(house.socket, chance.getrandbits(64), stop) for _ in range(CASHIERS)]
        for thread in [residents, *cashiers]:
            thread.start()
        kill_many(house, chance)
        stop.set()
        for thread in [residents, *cashiers]:
            thread.join()
        for cashier in cashiers:
            equal("trouble of a cashier", cashier.trouble, [])
            cashier.finish()
        booked = check_topups(house, cashiers)
        days = check_charges(house, booked)
        events, alerts, duplicates = check_events(house, subscriber)
        proof = house.ctl("verify")
        equal("verify", proof["ok"], True)
        check("the load was a load", len(booked) > KILLS)
        used = sum(REGISTERS.values()) - ACCOUNTS * FIRST
        asked = sum(cashier.asked_again for cashier in cashiers)
        print(f"kills.py: {len(booked)} top-ups booked once, {asked} requests broken off, "
              f"{used} kWh charged once in {days} daily charges, {events} events, "
              f"{alerts} alerts heard, {duplicates} duplicates among them")  # fmt: skip


if __name__ == "__main__":
    main(test)
