#!/usr/bin/python3
"""What logging in takes: milliseconds of one password, and the memory that ten at once take beside
what the daemon held before, since hashes are made one at a time and given back. Of one address a
daemon takes twenty in a row, and of one person few at once, so there are ten people.
"""
import http.client
import json
import pathlib
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from bench_memory import memory_kib  # noqa: E402
from house import CONTROL, House, equal, free_port, main  # noqa: E402

PEOPLE = 10
ALONE = 8
WORDS = "three quiet words"


def log_in(port, person, took):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    began = time.monotonic()
    connection.request("POST", "/api/v1/session", json.dumps({"staff": person, "password": WORDS}),
                       {"X-Gatehouse-Request": "1"})  # fmt: skip
    answer = connection.getresponse()
    answer.read()
    took.append(((time.monotonic() - began) * 1000, answer.status))
    connection.close()


def test():
    port = free_port()
    with House(mqtt=False) as house:
        house.tcp_bus("b1", serve=False)
        house.write_config()
        house.config.write_text(house.config.read_text().replace(
            "[http]\n", f'[http]\nlisten = "127.0.0.1:{port}"\n'
        ))  # fmt: skip
        house.write_registry([("e-1", "u-1", "b1", 1)], [("a-1", "u-1", "flat", "1.00")])
        people = [f"s-{n}" for n in range(PEOPLE)]
        house._csv("staff.csv", "staff,name,roles", [(one, one, "desk") for one in people])
        house.launch()
        house.ctl("import", house.registry)
        for one in people:
            done = subprocess.run([CONTROL, "--socket", house.socket, "user", "passwd", one],
                                  input=WORDS + "\n", capture_output=True, text=True, timeout=60,
                                  check=False)  # fmt: skip
            equal("a password", done.returncode, 0)
        pathlib.Path(f"/proc/{house.daemon.pid}/clear_refs").write_text("5")
        before = memory_kib(house.daemon.pid)["VmRSS"]
        alone, together = [], []
        for one in people[:ALONE]:
            log_in(port, one, alone)
        threads = [threading.Thread(target=log_in, args=(port, one, together)) for one in people]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        memory = memory_kib(house.daemon.pid)
        equal("all let in", {status for _, status in alone + together}, {201})
        print(json.dumps({
            "bench": "login", "logins": ALONE + PEOPLE,
            "alone_ms_p50": round(statistics.median(ms for ms, _ in alone)),
            "together_ms_max": round(max(ms for ms, _ in together)),
            "peak_above_kib": memory["VmHWM"] - before, "left_kib": memory["VmRSS"] - before,
        }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main(test)
