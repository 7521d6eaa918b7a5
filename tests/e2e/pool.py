#!/usr/bin/python3
"""Three hundred meters with a TCP address each, 30 of which accept and say nothing: the others are
read as often as they should be, on eight threads and within the descriptors of the unit."""
import pathlib
import resource
import time

from house import SIMULATOR, House, Process, check, free_port, main, wait_for

METERS, SILENT = 300, 30


def test():
    # What systemd's unit grants; the daemon inherits it.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    with House(poll_interval="2s", store_interval="15m", mqtt=False) as house:
        port = free_port()
        for n in range(METERS):
            house.buses[f"t{n}"] = f"modbus+tcp://127.0.{n // 100 + 1}.{n % 100 + 1}:{port}"
        house.write_config()
        house.write_registry(
            [(f"e-{n}", f"u-{n}", f"t{n}", 1) for n in range(METERS)],
            [(f"a-{n}", f"u-{n}", "flat", "1000.00") for n in range(METERS)],
        )
        silent = [f"e-{n}" for n in range(0, METERS, METERS // SILENT)]
        dead = [part for meter in silent for part in ("--dead", meter)]
        truth = house.folder / "truth.jsonl"
        house.started.append(Process(
            "simulator",
            [SIMULATOR, "--config", house.config, "--registry", house.registry, "--truth", truth,
             *dead],
            house.folder,
        ))  # fmt: skip
        wait_for("the meters listen", truth.exists)
        house.launch()
        house.ctl("import", house.registry)
        wait_for("all that answer are read",
                 lambda: house.get("/status")["meters"]["online"] == METERS - SILENT)  # fmt: skip
        tasks = [(task / "comm").read_text().strip()
                 for task in pathlib.Path(f"/proc/{house.daemon.pid}/task").iterdir()]  # fmt: skip
        check("eight threads serve them", sum(name.startswith("pool-") for name in tasks) == 8)
        check("no bus has a thread of its own", not any(name.startswith("bus-") for name in tasks))

        def polls():
            return {bus["bus"]: bus["exchanges"]["ok"] for bus in house.get("/status")["buses"]}

        before, began = polls(), time.monotonic()

        def many():
            now = polls()
            return all(now[f"t{n}"] >= before[f"t{n}"] + 10
                       for n in range(METERS) if f"e-{n}" not in silent)  # fmt: skip

        wait_for("ten more exchanges of each that answers", many)
        print(f"ten exchanges of each at one in 2 s took {time.monotonic() - began:.1f} s")
        buses = {bus["bus"]: bus for bus in house.get("/status")["buses"]}
        for meter in silent:
            bus = buses["t" + meter[2:]]
            check(f"{meter} is offline and says why",
                  bus["meters_online"] == 0 and "silent" in bus["reason"])  # fmt: skip
        descriptors = len(list(pathlib.Path(f"/proc/{house.daemon.pid}/fd").iterdir()))
        check(f"{descriptors} descriptors are open, far from 1,024", descriptors < 700)


if __name__ == "__main__":
    main(test)
