#!/usr/bin/python3
"""A sweep of 32 mixed meters on one 9600-baud line against the floor that the wire sets:
(16.5 + 2N) characters and the meter's turnaround T for each block of N registers (8 characters of
question, 5 + 2N of reply, 3.5 of silence). Behind a pseudo-terminal, behind a Modbus TCP gateway
and behind a raw RTU-over-TCP one, each at the speed of the line; the daemon is told the line's
speed on the pseudo-terminal alone and learns it behind the gateways. It polls as fast as it can.
Then the same line with 10 of the 32 dead, against the 22 alone.

  bench_sweep.py [SECONDS [DEAD_SECONDS [SETTLE_SECONDS]]]    60, 600 and 180 seconds
"""
import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from house import SIMULATOR, House, Process, free_port, main, wait_for  # noqa: E402

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
DEAD_SECONDS = int(sys.argv[2]) if len(sys.argv) > 2 else 600
SETTLE_SECONDS = int(sys.argv[3]) if len(sys.argv) > 3 else 180
METERS, DEAD = 32, 10
BAUD, TURNAROUND_MS = 9600, 20
CHARACTER_MS = 10 * 1000 / BAUD  # 8N1
MIXED = ["eastron-sdm120", "chint-ddsu666", "eastron-sdm630", "acrel-adl3000", "abb-b23",
         "arad-octave", "chint-dtsu666", "wirenboard-mwac2"]  # fmt: skip
WATER = {"arad-octave", "wirenboard-mwac2"}


def blocks_ms(blocks):
    """Bits come eight to a byte, registers two bytes each."""
    data = sum((b["count"] + 7) // 8 if b["function"] < 3 else 2 * b["count"] for b in blocks)
    return (16.5 * len(blocks) + data) * CHARACTER_MS + TURNAROUND_MS * len(blocks)


def sweeps(lines):
    """Milliseconds between two readings of the same meter, each a whole sweep."""
    last, gaps = {}, []
    for line in lines:
        record = json.loads(line)
        if record["meter"] in last:
            gaps.append(record["mono_ms"] - last[record["meter"]])
        last[record["meter"]] = record["mono_ms"]
    return gaps


class Line:
    """The house with one bus; the simulator knows the line's speed, the daemon what `url` says."""

    def __init__(self, house, transport, meters, dead=0):
        self.house, self.meters, self.dead = house, meters, dead
        if transport == "pty":
            link = house.folder / "line"
            known = url = f"modbus+rtu://{link}?baud={BAUD}"
        else:
            scheme = "modbus+tcp" if transport == "tcp" else "modbus+rtu-tcp"
            url = f"{scheme}://127.0.0.1:{free_port()}"
            known = f"{url}?line_baud={BAUD}"
        house.buses["b1"] = known
        house.write_config()
        simulated = house.folder / "simulated.toml"
        simulated.write_text(house.config.read_text())
        house.buses["b1"] = url
        house.write_config()
        profiles = [MIXED[n % len(MIXED)] for n in range(meters)]
        house.write_registry(
            [(f"m-{n}", f"u-{n}", "b1", n + 1, profile) for n, profile in enumerate(profiles)],
            [(f"a-{n}", f"u-{n}", "flat", "1000.00") for n, profile in enumerate(profiles)
             if profile not in WATER],
        )  # fmt: skip
        csv = house.registry / "meters.csv"
        rows = csv.read_text().splitlines()
        for n, profile in enumerate(profiles):
            if profile in WATER:  # no rating in amperes
                cells = rows[n + 1].split(",")
                cells[2], cells[-1] = "water", ""
                rows[n + 1] = ",".join(cells)
        csv.write_text("\n".join(rows) + "\n")
        self.truth = house.folder / "truth.jsonl"
        dead_ones = [part for n in range(dead) for part in ("--dead", f"m-{meters - 1 - n}")]
        house.started.append(Process(
            "simulator",
            [SIMULATOR, "--config", simulated, "--registry", house.registry,
             "--turnaround", TURNAROUND_MS, "--truth", self.truth, *dead_ones],
            house.folder,
        ))  # fmt: skip
        if transport == "pty":
            wait_for("the line is there", link.exists)
        house.launch()
        house.ctl("import", house.registry)
        wait_for("all meters read",
                 lambda: house.get("/status")["meters"]["online"] == meters - dead)  # fmt: skip

    def measure(self, settle, seconds):
        time.sleep(settle)  # turnarounds and the line's speed are learned, and the plan with them
        begin = self.truth.stat().st_size
        before = self.house.bus("b1")
        time.sleep(seconds)
        after = self.house.bus("b1")
        with open(self.truth, "rb") as file:
            file.seek(begin)
            lines = file.read().splitlines()[:-1]
        gaps = sweeps(lines)
        alive = [line for line in after["lines"] if line["online"]]
        floor = sum(blocks_ms(line["blocks"]) for line in alive)
        changed = {name: count - before["exchanges"][name]
                   for name, count in after["exchanges"].items()}  # fmt: skip
        mean = statistics.mean(gaps)
        return {
            "blocks": sum(len(line["blocks"]) for line in alive),
            "registers": sum(b["count"] for line in alive for b in line["blocks"]),
            "sweeps": round(len(gaps) / len(alive), 1),
            "sweep_ms": round(mean, 1),
            "floor_ms": round(floor, 1),
            "of_the_floor": round(floor / mean, 4),
            "worst_ms": max(gaps),
            "character_ms": after["character_ms"],
            "not_ok": {n: c for n, c in changed.items() if c and n != "ok"},
        }


def house():
    return House(poll_interval="100ms", store_interval="15m", mqtt=False)


def test():
    for transport in ("pty", "tcp", "rtu-tcp"):
        with house() as one:
            line = Line(one, transport, METERS)
            print(json.dumps({"bench": "sweep", "transport": transport, "meters": METERS,
                              "baud": BAUD, "turnaround_ms": TURNAROUND_MS,
                              **line.measure(10, SECONDS)}), flush=True)  # fmt: skip
    if DEAD_SECONDS == 0:
        return
    means = {}
    for dead in (0, DEAD):
        with house() as one:
            line = Line(one, "pty", METERS - DEAD + dead, dead)
            figures = line.measure(SETTLE_SECONDS if dead else 10, DEAD_SECONDS)
            means[dead] = figures["sweep_ms"]
            print(json.dumps({"bench": "dead", "healthy": METERS - DEAD, "dead": dead,
                              "response_timeout_ms": 500, "seconds": DEAD_SECONDS, **figures}),
                  flush=True)  # fmt: skip
    print(json.dumps({"bench": "dead", "healthy_sweep_grows_percent":
                      round((means[DEAD] / means[0] - 1) * 100, 2)}), flush=True)  # fmt: skip


if __name__ == "__main__":
    main(test)
