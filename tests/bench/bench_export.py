#!/usr/bin/python3
"""Interval readings of a month as CSV: the daemon over its Unix socket beside `sqlite3 -csv` on the
same rows, in seconds, in processor seconds, and what memory the daemon took for it. The rows are
written into the books by SQL while no daemon runs.

  bench_export.py [ROWS [METERS]]     1000000 rows of 4000 meters; a month of 15 minutes: 11520000
"""
import json
import os
import pathlib
import resource
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from bench_memory import memory_kib  # noqa: E402
from house import House, equal, main  # noqa: E402

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
METERS = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
SAME_ROWS = """
SELECT r.seq, r.kind, m.meter, x.unit, x.account, x.role, x.service, r.register, x.multiplier,
       r.total, r.quality, r.mono_ms + r.skew_ms, r.mono_ms, x.epoch, x.serial, r.supersedes
FROM reading r JOIN meter_context x ON x.id=r.context JOIN meter m ON m.id=x.meter
WHERE r.kind=0 ORDER BY r.seq
"""


def fill(books):
    (run,) = books.execute("SELECT max(run) FROM run").fetchone()
    (mono,) = books.execute("SELECT started_mono_ms FROM run WHERE run=?", (run,)).fetchone()
    (first,) = books.execute("SELECT coalesce(max(seq),0)+1 FROM reading").fetchone()
    books.execute("""INSERT INTO meter_context(meter,epoch,unit,account,role,service,multiplier,
                     serial) SELECT id,NULL,'u-'||id,'a-'||id,'unit','electricity','1','' FROM meter
                     ORDER BY id""")  # fmt: skip
    (context,) = books.execute("SELECT min(id) FROM meter_context").fetchone()
    books.execute(
        f"""WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i+1<{ROWS})
        INSERT INTO reading(seq,context,kind,quality,run,mono_ms,skew_ms,register,total,raw)
        SELECT {first}+i, {context}+i%{METERS}, 0, 0, {run}, {mono}+1000+i/{METERS}*900000+i%7000,
               0, 100000+i/{METERS}*37, 100000+i/{METERS}*37, x'000186a0' FROM n"""
    )
    books.commit()


def processor_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sqlite_csv(path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    with open("/dev/null", "wb") as nowhere:
        subprocess.run(["sqlite3", "-readonly", "-csv", path, SAME_ROWS], stdout=nowhere,
                       check=True)  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began, used


def daemon_csv(house):
    pathlib.Path(f"/proc/{house.daemon.pid}/clear_refs").write_text("5")
    memory = memory_kib(house.daemon.pid)["VmRSS"]
    used = processor_s(house.daemon.pid)
    began = time.monotonic()
    curl = subprocess.Popen(
        ["curl", "-sS", "--fail", "--unix-socket", house.socket,
         "http://gatehouse/api/v1/readings.csv?kind=interval"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    lines = size = 0
    while piece := curl.stdout.read(1 << 20):
        lines += piece.count(b"\n")
        size += len(piece)
    equal("curl ended well", curl.wait(), 0)
    took = time.monotonic() - began
    equal("rows and a heading", lines, ROWS + 1)
    peak = memory_kib(house.daemon.pid)["VmHWM"]
    return took, processor_s(house.daemon.pid) - used, peak - memory, size


def test():
    with House(poll_interval="60s", store_interval="15m", mqtt=False) as house:
        house.tcp_bus("b1", serve=False)
        house.write_config()
        numbers = range(METERS)
        house.write_registry(
            [],
            [(f"a-{n}", f"u-{n}", "flat", "0.00") for n in numbers],
        )
        rows = [(f"e-{n}", f"u-{n}", "electricity", "", "", "", "") for n in numbers]
        house._csv("units.csv", "unit,label", [(f"u-{n}", f"Flat {n}") for n in numbers])
        house._csv("meters.csv", "meter,unit,service,bus,address,profile,rated_amps", rows)
        house.launch()
        house.ctl("import", house.registry)
        equal("a clean stop", house.daemon.stop(), 0)
        path = house.folder / "gatehouse.db"
        books = sqlite3.connect(path)
        fill(books)
        books.close()
        house.launch()
        rounds = [(sqlite_csv(path), daemon_csv(house)) for _ in range(2)]
        (lite_s, lite_cpu), (took_s, cpu, _, size) = min(rounds, key=lambda r: r[1][0])
        print(json.dumps({"bench": "export", "rows": ROWS, "bytes": size,
                          "sqlite_s": round(lite_s, 2), "daemon_s": round(took_s, 2),
                          "sqlite_processor_s": round(lite_cpu, 2),
                          "daemon_processor_s": round(cpu, 2),
                          "ratio": round(took_s / lite_s, 2),
                          "processor_ratio": round(cpu / lite_cpu, 2),
                          "grown_kib": max(one[2] for _, one in rounds)}), flush=True)  # fmt: skip


if __name__ == "__main__":
    main(test)
