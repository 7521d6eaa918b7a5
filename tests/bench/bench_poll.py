#!/usr/bin/python3
"""What one poll costs the processor: read, checked, priced and published, user and system time of
the whole daemon from /proc/PID/stat over a counted number of polls. A poll reads one block of 8
values; of those a routine poll judges the register and shows the power. The meters are
gatehouse-sim's behind Modbus TCP, the registers move so that each poll changes total and balance,
and a real mosquitto takes what is published. In the same run, on the same simulated meters: the
bare floor (a libmodbus read and a Paho publish, floor.cpp), and collectd with its modbus and mqtt
plugins where they are installed (Debian's collectd-core), which asks for each value by itself.

  bench_poll.py [SECONDS [METERS]]    30 seconds, 32 meters on one bus

Nothing depends on the figures; they are for ARCHITECTURE.md and for whoever changes the path.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from house import SIMULATOR, House, Process, free_port, main, wait_for  # noqa: E402

import time  # noqa: E402

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 30
METERS = int(sys.argv[2]) if len(sys.argv) > 2 else 32
FLOOR = os.environ.get("GATEHOUSE_BENCH_FLOOR", "bench_floor")
COLLECTD_PLUGINS = pathlib.Path("/usr/lib/collectd")

# Eight single-precision values, the register first and the power last, so that the block that a
# routine poll reads holds all of them.
EIGHT = """schema = 1
id = "bench-eight"
maker = "Bench"
model = "Eight"
service = "electricity"
source = "tests/bench"
map = "document"
framing = "9600 8N1"
billing = "energy_import"
[meter]
phases = 1
nominal_voltage = 230
rated_amps = "60"
step = "0.001"
[read]
block_limit = 80
"""
VALUES = ["energy_import", "energy_export", "energy_total", "voltage_l1", "current_l1",
          "power_factor", "frequency", "power"]  # fmt: skip


# eastron-sdm120: from power to energy_import, 62 registers; on TCP one block is the cheapest.
BLOCK = {"bench-eight": 8, "eastron-sdm120": 31}


def profile_text():
    text = EIGHT
    for number, value in enumerate(VALUES):
        text += (f'[[value]]\nmeasurement = "{value}"\nfunction = 4\nregister = {2 * number}\n'
                 'type = "f32"\n')  # fmt: skip
    for number, high_word in (("1", "3F80"), ("2", "4000")):
        words = ", ".join(f'"4:0x{2 * n:04X}" = "{high_word} 0000"' for n in range(len(VALUES)))
        expect = ", ".join(f'{value} = "{number}"' for value in VALUES)
        text += (f'[[test]]\nname = "all {number}"\nwords = {{ {words} }}\n'
                 f'expect = {{ {expect} }}\n')  # fmt: skip
    return text


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def threads(pid):
    """Processor seconds by name of thread; a library's own threads carry its names."""
    spent = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        head, _, tail = (task / "stat").read_text().rpartition(")")
        fields = tail.split()
        name = head.split("(", 1)[1]
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        spent[name] = spent.get(name, 0) + seconds
    return spent


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def start_meters(house, profile):
    """The house with its meters simulated; returns the file that counts the polls."""
    house.broker.start()
    house.buses["b1"] = f"modbus+tcp://127.0.0.1:{free_port()}"
    own = house.folder / "meters"
    own.mkdir()
    (own / "bench-eight.toml").write_text(profile_text())
    house.write_config(extra=f'[profiles]\npath = "{own}"\n')
    numbers = range(1, METERS + 1)
    house.write_registry(
        [(f"e-{n}", f"u-{n}", "b1", n, profile) for n in numbers],
        [(f"a-{n}", f"u-{n}", "flat", "100000.00") for n in numbers],
    )
    truth = house.folder / "truth.jsonl"
    house.started.append(Process(
        "simulator",
        [SIMULATOR, "--config", house.config, "--registry", house.registry, "--speed", 1000,
         "--turnaround", 0, "--truth", truth],
        house.folder,
    ))  # fmt: skip
    wait_for("the meters listen", truth.exists)
    return truth


def polls_in(truth):
    return sum(1 for _ in open(truth, "rb"))


def measure_floor():
    with House(poll_interval="100ms") as house:
        start_meters(house, "bench-eight")
        port = house.buses["b1"].rsplit(":", 1)[1]
        done = subprocess.run(
            [FLOOR, port, str(METERS), str(SECONDS), f"tcp://127.0.0.1:{house.broker.port}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return {"bench": "floor", "meters": METERS, **json.loads(done.stdout)}


def collectd_config(house, folder):
    data, collect = "", ""
    for n in range(len(VALUES)):
        data += (f'<Data "v{n}">\nRegisterCmd ReadInput\nRegisterBase {2 * n}\n'
                 'RegisterType Float\nType gauge\nInstance "v%d"\n</Data>\n' % n)  # fmt: skip
        collect += f'Collect "v{n}"\n'
    slaves = "".join(f'<Slave {n}>\nInstance "e-{n}"\n{collect}</Slave>\n'
                     for n in range(1, METERS + 1))  # fmt: skip
    return (f'Hostname "bench"\nFQDNLookup false\nInterval 0.1\nBaseDir "{folder}"\n'
            f'PIDFile "{folder}/collectd.pid"\nPluginDir "{COLLECTD_PLUGINS}"\n'
            'TypesDB "/usr/share/collectd/types.db"\nReadThreads 1\nWriteThreads 1\n'
            'LoadPlugin logfile\n<Plugin logfile>\nFile "stderr"\nLogLevel "warning"\n</Plugin>\n'
            'LoadPlugin modbus\nLoadPlugin mqtt\n'
            f'<Plugin modbus>\n{data}<Host "bench">\nAddress "127.0.0.1"\n'
            f'Port "{house.buses["b1"].rsplit(":", 1)[1]}"\nInterval 0.1\n{slaves}</Host>\n'
            f'</Plugin>\n<Plugin mqtt>\n<Publish "bench">\nHost "127.0.0.1"\n'
            f'Port {house.broker.port}\nClientId "collectd"\nQoS 0\nPrefix "collectd"\n'
            '</Publish>\n</Plugin>\n')  # fmt: skip


def measure_collectd():
    program = shutil.which("collectd") or "/usr/sbin/collectd"
    missing = [need for need in (program, COLLECTD_PLUGINS / "modbus.so",
                                 COLLECTD_PLUGINS / "mqtt.so")
               if not pathlib.Path(need).exists()]  # fmt: skip
    if missing:
        print(json.dumps({"bench": "collectd", "absent": str(missing[0]),
                          "remedy": "apt-get install collectd-core"}), flush=True)  # fmt: skip
        return None
    with House(poll_interval="100ms") as house:
        truth = start_meters(house, "bench-eight")
        subscriber = house.subscribe()
        folder = house.folder / "collectd"
        folder.mkdir()
        (folder / "collectd.conf").write_text(collectd_config(house, folder))
        conf = folder / "collectd.conf"
        collectd = Process("collectd", [program, "-f", "-C", conf], house.folder)
        house.started.append(collectd)
        wait_for("collectd reads", lambda: polls_in(truth) > 2 * METERS)
        time.sleep(3)
        before = processor_seconds(collectd.pid), polls_in(truth), time.monotonic()
        time.sleep(SECONDS)
        after = processor_seconds(collectd.pid), polls_in(truth), time.monotonic()
        polls = after[1] - before[1]
        del subscriber
        return {"bench": "collectd", "meters": METERS, "polls": polls,
                "polls_per_s": round(polls / (after[2] - before[2]), 1),
                "processor_us_per_poll": round((after[0] - before[0]) / polls * 1e6, 1),
                "resident_kib": resident_kib(collectd.pid)}  # fmt: skip


def measure(profile):
    with House(poll_interval="100ms", store_interval="15m") as house:
        truth = start_meters(house, profile)
        subscriber = house.subscribe()
        house.launch()
        house.ctl("import", house.registry)
        wait_for("all meters read",
                 lambda: house.get("/status")["meters"]["online"] == METERS)  # fmt: skip

        def now():
            return {"cpu": processor_seconds(house.daemon.pid),
                    "polls": polls_in(truth),
                    "exchanges": house.good_polls("b1"),
                    "published": len(subscriber.messages()),
                    "time": time.monotonic()}  # fmt: skip

        time.sleep(3)  # the first polls learn turnarounds and open accounts
        before, threads_before = now(), threads(house.daemon.pid)
        time.sleep(SECONDS)
        after, threads_after = now(), threads(house.daemon.pid)
        spent = {name: after[name] - before[name] for name in before}
        polls = spent["polls"]
        figures = {
            "bench": "poll", "profile": profile, "values_in_block": BLOCK[profile],
            "meters": METERS,
            "polls": polls, "polls_per_s": round(polls / spent["time"], 1),
            "exchanges_per_poll": round(spent["exchanges"] / polls, 3),
            "messages_per_poll": round(spent["published"] / polls, 3),
            "processor_us_per_poll": round(spent["cpu"] / polls * 1e6, 1),
            "by_thread_us": {name: round((seconds - threads_before.get(name, 0)) / polls * 1e6, 1)
                             for name, seconds in threads_after.items()},
            "resident_kib": resident_kib(house.daemon.pid),
        }  # fmt: skip
        print(json.dumps(figures), flush=True)
        return figures


def test():
    daemon = measure("bench-eight")
    others = {"floor": measure_floor(), "collectd": measure_collectd()}
    for name, figures in others.items():
        if figures is None:
            continue
        print(json.dumps(figures), flush=True)
        ratio = daemon["processor_us_per_poll"] / figures["processor_us_per_poll"]
        print(json.dumps({"bench": "poll", "daemon_to": name, "ratio": round(ratio, 3)}),
              flush=True)  # fmt: skip
    measure("eastron-sdm120")


if __name__ == "__main__":
    main(test)
