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
from house import SIMULATOR, House, Process, main, wait_for  # noqa: E402

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
METERS = int(sys.argv[2]) if len(sys.argv) > 2 else 32
BAUD, TURNAROUND_MS = 9600, 20
CHARACTER_MS = 10 * 1000 / BAUD  # 8N1


# A routine poll of this profile takes energy and power, 60 registers apart: as two blocks of 2
# registers, or as one of 62 that carries what lies between. How many exchanges a poll made says
# which it was.
BLOCKS = {1: [62], 2: [2, 2]}


def floor_ms(exchanges_per_poll):
    blocks = BLOCKS[round(exchanges_per_poll)]
    return sum((16.5 + 2 * n) * CHARACTER_MS + TURNAROUND_MS for n in blocks)


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
        house.write_registry(
            [(f"e-{n}", f"u-{n}", "b1", n) for n in numbers],
            [(f"a-{n}", f"u-{n}", "flat", "1000.00") for n in numbers],
        )
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
        floor = floor_ms(asked / len(lines)) * METERS
        print(json.dumps({
            "bench": "sweep", "meters": METERS, "baud": BAUD, "turnaround_ms": TURNAROUND_MS,
            "exchanges_per_poll": round(asked / len(lines), 3),
            "sweeps": round(len(gaps) / METERS, 1), "sweep_ms": round(mean, 1),
            "floor_ms": round(floor, 1), "of_the_floor": round(floor / mean, 4),
            "worst_ms": max(gaps), "not_ok": {n: c for n, c in bad.items() if c},
        }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main(test)
