#!/usr/bin/python3
"""Commissioning with the built programs: who is on a bus, while it is polled; two devices with one
address; lines that can be imported as they are; one reading with its bytes and its verdict; what
status says of a broken line; and the meter's own clock. Over Modbus TCP and RTU over TCP (the
simulator) and over a pseudo-terminal (pymodbus).
"""
import csv
import io
import os
import pty
import subprocess
import threading
import time

from house import (
    CONTROL, INPUT, PATIENCE, SIMULATOR, House, Process, SDM120_IMPORT, SDM120_POWER,
    SDM120_VOLTAGE, check, equal, float_words, free_port, main, wait_for,
)  # fmt: skip

HOLDING = 3
SDM120_FREQUENCY, SDM120_SERIAL, SDM120_CODE = 0x0046, 0xFC00, 0x0020
DTSU666_CLOCK, DTSU666_IMPORT = 0x002F, 0x101E
MIXED = ["eastron-sdm120", "eastron-sdm630", "abb-b23", "acrel-adl3000"]


def sdm120(house, bus, unit, kwh, serial):
    """A single-phase meter as pymodbus answers for it."""
    for address, number in (
        (SDM120_IMPORT, kwh), (SDM120_VOLTAGE, 230.5), (SDM120_POWER, 460.0), (0x0006, 2.0),
        (0x001E, 1.0), (SDM120_FREQUENCY, 50.0),
    ):  # fmt: skip
        house.slaves.register(bus, unit, number, address)
    house.slaves.ask(op="words", bus=bus, unit=unit, function=HOLDING, address=SDM120_SERIAL,
                     words=[serial >> 16, serial & 0xFFFF, SDM120_CODE])  # fmt: skip


def simulated(house):
    """32 meters on Modbus TCP of which the registry knows 30, 3 behind an RTU gateway."""
    house.buses["b1"] = f"modbus+tcp://127.0.0.1:{free_port()}"
    house.buses["b2"] = f"modbus+rtu-tcp://127.0.0.1:{free_port()}?line_baud=19200"
    rows = [(f"e-{n}", f"u-{n}", "b1", n, MIXED[n % len(MIXED)]) for n in range(1, 32)]
    rows.append(("e-32", "u-32", "b1", 32, "arad-octave"))
    rows += [(f"e-{100 + n}", f"u-{100 + n}", "b2", n, "eastron-sdm120") for n in (5, 6, 9)]
    return rows


def scan(house, bus, *arguments):
    return house.ctl("scan", bus, *arguments)


def devices(document):
    return {device["address"]: device for device in document["devices"]}


def scan_while_polling(house, meters):
    """The whole range of a bus that is polled: all are found, and no meter waits for long."""
    def last_polls():
        return {m["meter"]: m["last_poll_at"] for m in house.get("/meters?limit=100")["items"]
                if m.get("bus") == "b1"}  # fmt: skip

    wait_for("all polled", lambda: house.bus("b1")["meters_online"] == 30)
    stop, longest = threading.Event(), [0.0]

    def watch():
        seen, since = last_polls(), {}
        while not stop.wait(0.05):
            now, polls = time.monotonic(), last_polls()
            for meter, at in polls.items():
                if at != seen.get(meter):
                    since[meter] = now
                elif meter in since:
                    longest[0] = max(longest[0], now - since[meter])
            seen = polls

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        document = scan(house, "b1")
    finally:
        stop.set()
        watcher.join()
    equal("it ended", document["state"], "done")
    found = devices(document)
    equal("all addresses", sorted(found), list(range(1, 33)))
    for meter, _, bus, address, profile in meters:
        if bus != "b1":
            continue
        offered = [c["profile"] for c in found[address]["candidates"]]
        check(f"{meter} is {profile}, offered {offered}", profile in offered)
        known = [] if address > 30 else [meter]
        equal(f"the registry at {address}", found[address]["meters"], known)
        equal(f"no duplicate at {address}", found[address]["duplicate"]["verdict"], "none")
    rows = list(csv.DictReader(io.StringIO(document["registry"])))
    check(f"lines for the two new ones alone: {rows}",
          {row["address"] for row in rows} <= {"31", "32"} and rows)  # fmt: skip
    print(f"    b1: 247 addresses in {document['elapsed_ms'] / 1000:.1f} s, {document['asked']} "
          f"questions; a poll every 1 s waited {longest[0]:.2f} s at most")  # fmt: skip
    check("a poll every second waited for less than four", longest[0] < 4.0)
    gateway = scan(house, "b2", "--from", 1, "--to", 12)
    equal("behind the gateway", sorted(devices(gateway)), [5, 6, 9])
    check("its settings are its own", any("gateway" in note for note in gateway["notes"]))


def progress_bar(house):
    """On a terminal a bar with the time left; in a pipe nothing of it."""
    command = [CONTROL, "--socket", house.socket, "scan", "b2", "--to", "12"]
    primary, secondary = pty.openpty()
    child = subprocess.Popen(command, stdout=secondary, stderr=secondary)
    os.close(secondary)
    shown = b""
    while True:
        try:
            chunk = os.read(primary, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    equal("exit on the terminal", child.wait(PATIENCE), 0)
    os.close(primary)
    check(f"a bar: {shown[:300]!r}", b"\r[" in shown and b" left" in shown and b" found" in shown)
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    equal("exit in a pipe", done.returncode, 0)
    check("no bar in a pipe", "\r[" not in done.stdout and " left" not in done.stdout)
    check(f"a table: {done.stdout}", "eastron-sdm120" in done.stdout)


def refused(house):
    for arguments, code in (
        (["scan", "b9"], 1), (["scan", "b1", "--from", 0], 2),
        (["scan", "b1", "--from", 9, "--to", 3], 2), (["scan"], 2),
    ):  # fmt: skip
        done = subprocess.run([CONTROL, "--socket", house.socket, *map(str, arguments)],
                              capture_output=True, text=True, timeout=PATIENCE,
                              check=False)  # fmt: skip
        equal(f"exit of {arguments}: {done.stderr}", done.returncode, code)


def on_simulator():
    with House(poll_interval="1s", mqtt=False) as house:
        meters = simulated(house)
        house.write_config()
        house.write_registry(meters, [])
        simulator = Process("simulator", [SIMULATOR, "--config", house.config, "--registry",
                                          house.registry, "--start-time", "12:00"],
                            house.folder)  # fmt: skip
        house.started.append(simulator)
        wait_for("the simulator has read the registry",
                 lambda: "ready" in simulator.log.read_text(errors="replace"))  # fmt: skip
        house.write_registry([row for row in meters if row[0] not in ("e-31", "e-32")], [])
        house.launch()
        house.ctl("import", house.registry)
        scan_while_polling(house, meters)
        progress_bar(house)
        refused(house)


def import_what_was_found(house):
    """An empty registry: what the scan prints is imported as it is, and is read."""
    document = scan(house, "b1", "--to", 10)
    found = devices(document)
    equal("who is there", sorted(found), [3, 4, 7, 8])
    for address in (3, 4):
        equal(f"profile at {address}", found[address]["profile"], "eastron-sdm120")
        check(f"plausible at {address}: {found[address]}", found[address]["plausible"])
    equal("serial", found[3]["serial"], "1003")
    equal("two that answer one after the other", found[7]["duplicate"]["verdict"], "certain")
    # A damaged answer that comes too late on a busy machine is silence, and tells of nobody.
    damaged = found[8]
    for _ in range(2):
        if damaged["duplicate"]["verdict"] != "none":
            break
        damaged = devices(scan(house, "b1", "--to", 10))[8]
    check(f"two that talk over each other: {damaged}",
          damaged["duplicate"]["verdict"] in ("possible", "certain"))  # fmt: skip
    for address in (3, 4):
        equal(f"alone at {address}", found[address]["duplicate"]["verdict"], "none")
    # It shows by an answer at another speed; on a busy machine one may come too late to be seen.
    told = document
    for _ in range(2):
        if any("no effect" in note for note in told["notes"]):
            break
        told = scan(house, "b1", "--to", 10)
    check("a pseudo-terminal has no speed", any("no effect" in n for n in told["notes"]))
    folder = house.folder / "found"
    folder.mkdir()
    (folder / "meters.csv").write_text(document["registry"])
    answer = house.ctl("import", folder)
    equal("imported", answer["added"], 2)
    house.wait_register("b1-3", 1234.5)
    house.wait_register("b1-4", 77.25)


def verdict_on_a_reading(house):
    read = house.ctl("read", "b1-3", "--raw")
    equal("result", read["result"], "ok")
    check("bytes", all(exchange["request"] for exchange in read["exchanges"]))
    steps = {value["measurement"]: value["steps"] for value in read["values"]}
    check(f"steps: {steps['energy_import']}", "float" in steps["energy_import"])
    check(f"plausible: {read['verdict']}", read["verdict"]["plausible"])
    equal("the books", read["verdict"]["books"]["would_be"], "confirmed")
    house.slaves.register("b1", 3, 2305.0, SDM120_VOLTAGE)
    house.slaves.register("b1", 3, 1200.0)
    read = house.ctl("read", "b1-3", "--raw")
    check(f"not plausible: {read['verdict']}", not read["verdict"]["plausible"])
    check(f"not accepted: {read['verdict']}",
          read["verdict"]["books"]["would_be"] in ("held", "quarantined"))  # fmt: skip
    text = subprocess.run([CONTROL, "--socket", house.socket, "read", "b1-3", "--raw"],
                          capture_output=True, text=True, timeout=PATIENCE,
                          check=False).stdout  # fmt: skip
    check(f"in words: {text}", "NOT plausible" in text and "last confirmed 1234.500" in text)
    house.slaves.register("b1", 3, 230.5, SDM120_VOLTAGE)
    house.slaves.register("b1", 3, 1234.5)


def status_names_the_fault(house):
    house.slaves.ask(op="mute", bus="b1", unit=4, on=True)

    def said():
        return house.bus("b1")["diagnosis"]

    wait_for(f"one silent meter ({said()})", lambda: "only address 4 (b1-4) is silent" in said())
    lines = {line["meter"]: line for line in house.bus("b1")["lines"]}
    equal("its fault", lines["b1-4"]["fault"], "silent")
    check("its neighbour is well", lines["b1-3"]["last_good_at"] and
          lines["b1-3"]["turnaround_p50_ms"])  # fmt: skip
    house.slaves.ask(op="mute", bus="b1", unit=4, on=False)


def meter_clock(house):
    """A clock that is a day wrong is found, set by command, read back; nothing else is written."""
    at = time.strftime("%S %M %H %d %m %y", time.localtime(time.time() - 86_400)).split()
    house.slaves.ask(op="words", bus="b2", unit=5, function=HOLDING, address=DTSU666_CLOCK,
                     words=[int(part) for part in at])  # fmt: skip
    house.slaves.ask(op="words", bus="b2", unit=5, function=HOLDING, address=DTSU666_IMPORT,
                     words=float_words(10.0))  # fmt: skip
    wait_for("the drift is shown", lambda: house.meter("c-5").get("clock"))
    drift = house.meter("c-5")["clock"]["drift_s"]
    check(f"about a day and the zones between: {drift}", abs(drift) > 3_600)
    check("status names it", house.get("/status")["meter_clocks"]["off"][0]["meter"] == "c-5")
    equal("by nobody", house.refused("set-clock", "c-5", "--by", "x").code, 2)
    equal("no clock", house.refused("set-clock", "b1-3", "--by", "s-01").code, 2)
    done = house.ctl("set-clock", "c-5", "--by", "s-01")
    check(f"set: {done}", done["done"] and abs(done["before_off_s"] - drift) < 30)
    kinds = [event["kind"] for event in house.get("/events?limit=1000")["items"]]
    check(f"logged: {kinds}", "meter.clock_ordered" in kinds and "meter.clock_set" in kinds)


def on_pymodbus():
    with House(poll_interval="300ms", mqtt=False) as house:
        house.pty_bus("b1")
        house.tcp_bus("b2")
        sdm120(house, "b1", 3, 1234.5, 1003)
        sdm120(house, "b1", 4, 77.25, 1004)
        for unit, delay in ((7, 60), (8, 0)):
            sdm120(house, "b1", unit, 500.0, 5000 + unit)
            for function, address, words in (
                (HOLDING, SDM120_SERIAL, [0, 9000 + unit, SDM120_CODE]),
                (INPUT, SDM120_IMPORT, float_words(40)),
                (INPUT, SDM120_VOLTAGE, float_words(231.25)),
            ):  # fmt: skip
                house.slaves.ask(op="twin", bus="b1", unit=unit, delay_ms=delay, function=function,
                                 address=address, words=words)  # fmt: skip
        house.write_config()
        house.write_registry([("c-5", "u-5", "b2", 5, "chint-dtsu666")], [])
        house.launch()
        house.ctl("import", house.registry)
        import_what_was_found(house)
        verdict_on_a_reading(house)
        status_names_the_fault(house)
        meter_clock(house)


def everything():
    on_simulator()
    on_pymodbus()


if __name__ == "__main__":
    main(everything)
