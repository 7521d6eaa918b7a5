#!/usr/bin/python3
"""Resident memory of the daemon with 4,000 meters on 64 buses: all read and priced, polls going on.
The meters are gatehouse-sim's behind 64 Modbus TCP gateways.

  bench_memory.py [SECONDS [METERS [BUSES]]]    60 seconds, 4000 meters, 64 buses
"""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from house import SIMULATOR, House, Process, free_port, main, wait_for  # noqa: E402

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
METERS = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
BUSES = int(sys.argv[3]) if len(sys.argv) > 3 else 64


def memory_kib(pid):
    wanted = ("VmRSS:", "VmHWM:", "RssAnon:")
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split()[0][:-1]: int(line.split()[1]) for line in lines
            if line.startswith(wanted)}  # fmt: skip


def test():
    with House(poll_interval="60s", store_interval="15m") as house:
        house.broker.start()
        ports = set()
        while len(ports) < BUSES:
            ports.add(free_port())
        for number, port in enumerate(sorted(ports)):
            house.buses[f"b{number}"] = f"modbus+tcp://127.0.0.1:{port}"
        house.write_config()
        numbers = range(METERS)
        house.write_registry(
            [(f"e-{n}", f"u-{n}", f"b{n % BUSES}", n // BUSES + 1) for n in numbers],
            [(f"a-{n}", f"u-{n}", "flat", "1000.00") for n in numbers],
        )
        house.started.append(Process(
            "simulator",
            [SIMULATOR, "--config", house.config, "--registry", house.registry,
             "--turnaround", 5],
            house.folder,
        ))  # fmt: skip
        house.launch()
        empty = memory_kib(house.daemon.pid)
        house.ctl("import", house.registry)
        imported = memory_kib(house.daemon.pid)
        wait_for("all meters read",
                 lambda: house.get("/status")["meters"]["online"] == METERS, 300)  # fmt: skip
        time.sleep(SECONDS)
        steady = memory_kib(house.daemon.pid)
        print(json.dumps({"bench": "memory", "meters": METERS, "buses": BUSES,
                          "empty_kib": empty["VmRSS"], "after_import_kib": imported["VmRSS"],
                          "steady_kib": steady["VmRSS"], "steady_anonymous_kib": steady["RssAnon"],
                          "peak_kib": steady["VmHWM"]}), flush=True)  # fmt: skip


if __name__ == "__main__":
    main(test)
