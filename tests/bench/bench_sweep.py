#!/usr/bin/python3
"""A sweep of 32 meters on one 9600-baud line against the floor that the wire sets:
(16.5 + 2N) characters and the meter's turnaround T for each block of N registers (8 characters of
question, 5 + 2N of reply, 3.5 of silence). The line is a pseudo-terminal on which gatehouse-sim
lets every byte take its time; the daemon polls as fast as it can.

  bench_sweep.py [SECONDS [METERS]]    60 seconds, 32 meters
"""
import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from house import SIMULATOR, House, Process, equal, main, wait_for  # noqa: E402

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
METERS = int(sys.argv[2]) if len(sys.argv) > 2 else 32
BAUD, TURNAROUND_MS = 9600, 20
CHARACTER_MS = 10 * 1000 / BAUD  # 8N1


def floor_ms(house, meter):
    """Of one poll, from the blocks that the daemon itself asks for; and how many those are. The
    serial number (function 3 of this profile) is read at start and after an outage alone."""
    document = house.ctl("read", meter, "--raw")
    replies = [bytes.fromhex(e["reply"].replace(" ", "")) for e in document["exchanges"]]
    polled = [reply for reply in replies if reply[1] == 4]
    spent = sum((8 + len(reply) + 3.5) * CHARACTER_MS + TURNAROUND_MS for reply in polled)
    return spent, len(polled)


def sweeps(truth):
    """Milliseconds between two readings of the same meter, each a whole sweep."""
    last, gaps = {}, []
    for line in truth:
        record = json.loads(line)
        if record["meter"] in last:
            gaps.append(record["mono_ms"] - last[record["meter"]])
        last[record["meter"]] = record["mono_ms"]
    return gaps


def test():
    with House(poll_interval="100ms", store_interval="15m", mqtt=False) as house:
        link = house.folder / "line"
        house.buses["b1"] = f"modbus+rtu://{link}?baud={BAUD}"
        house.write_config()
        numbers = range(1, METERS + 1)
        house.write_registry([(f"e-{n}", f"u-{n}", "b1", n) for n in numbers],
                             [(f"a-{n}", f"u-{n}", "flat", "1000.00") for n in numbers])  # fmt: skip
        truth = house.folder / "truth.jsonl"
        house.started.append(Process(
            "simulator",
            [SIMULATOR, "--config", house.config, "--registry", house.registry,
             "--turnaround", TURNAROUND_MS, "--truth", truth],
            house.folder,
        ))  # fmt: skip
        wait_for("the line is there", link.exists)
        house.launch()
        house.ctl("import", house.registry)
        wait_for("all meters read",
                 lambda: house.get("/status")["meters"]["online"] == METERS)  # fmt: skip
        poll_ms, blocks = floor_ms(house, "e-1")
        time.sleep(10)  # turnarounds are learned, and the plan with them
        begin = truth.stat().st_size
        before = house.bus("b1")
        time.sleep(SECONDS)
        after = house.bus("b1")
        with open(truth, "rb") as file:
            file.seek(begin)
            lines = file.read().splitlines()[:-1]
        gaps = sweeps(lines)
        bad = {name: count - before["exchanges"][name] for name, count in
               after["exchanges"].items() if name != "ok"}  # fmt: skip
        asked = after["exchanges"]["ok"] - before["exchanges"]["ok"]
        mean = statistics.mean(gaps)
        floor = poll_ms * METERS
        print(json.dumps({
            "bench": "sweep", "meters": METERS, "baud": BAUD, "turnaround_ms": TURNAROUND_MS,
            "blocks_per_poll": blocks, "exchanges_per_poll": round(asked / len(lines), 3),
            "sweeps": round(len(gaps) / METERS, 1), "sweep_ms": round(mean, 1),
            "floor_ms": round(floor, 1), "of_the_floor": round(floor / mean, 4),
            "worst_ms": max(gaps), "not_ok": {n: c for n, c in bad.items() if c},
        }), flush=True)  # fmt: skip
        equal("blocks that the floor counts", round(asked / len(lines)), blocks)


if __name__ == "__main__":
    main(test)
