#!/usr/bin/python3
"""Cabinets that are asked, on the built programs: the simulator plays a board with a log and a
module of contacts, the daemon is killed while the board talks, and what it then knows is held
against what the simulator wrote down as true.
"""
import json
import socket

from house import SIMULATOR, House, Process, check, equal, free_port, main, wait_for

CARD, OTHER = "w34:012345678", "w26:0012345"


class Simulator:
    def __init__(self, house, behaviour):
        self.truth_file = house.folder / "truth.jsonl"
        self.port = free_port()
        file = house.folder / "cabinets.toml"
        file.write_text(behaviour)
        self.process = Process(
            "simulator",
            [SIMULATOR, "--config", house.config, "--registry", house.registry, "--cabinets", file,
             "--truth", self.truth_file, "--control", self.port, "--no-pacing"],
            house.folder,
        )  # fmt: skip
        house.started.append(self)
        wait_for("the simulator is ready", lambda: "ready:" in self.process.log.read_text())

    def stop(self):
        self.process.stop()

    def act(self, cabinet, what):
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall(f"cabinet {cabinet} {what}\n".encode())
            answer = connection.makefile().readline().strip()
        equal(f"{cabinet}: {what}", answer, "ok")

    def truth(self, cabinet):
        rows = [json.loads(line) for line in self.truth_file.read_text().splitlines()]
        return [row for row in rows if row.get("cabinet") == cabinet]


def prepare(house):
    board, contacts = free_port(), free_port()
    house.write_config(
        f'''
[[cabinet]]
id = "kc-01"
url = "modbus+tcp://127.0.0.1:{board}?address=3"
profile = "kcm-1"
poll_interval = "200ms"

[[cabinet]]
id = "kc-02"
url = "modbus+rtu-tcp://127.0.0.1:{contacts}?address=1"
profile = "waveshare-di8-door"
poll_interval = "100ms"

[[cabinet]]
id = "kc-03"
url = "modbus+tcp://127.0.0.1:{contacts}"
profile = "nobody-made-it"
'''
    )
    house.write_registry([], [])
    house._csv("units.csv", "unit,label", [("u-1", "Flat 1"), ("u-2", "Flat 2")])
    house._csv("staff.csv", "staff,name,roles,cards",
               [("s-01", "Desk", "desk", ""), ("s-03", "Tech", "tech", CARD),
                ("s-04", "Other", "tech", OTHER)])  # fmt: skip
    keys = [(f"k-{slot}", "equipment", "kc-01", slot, "", f"E00401500000{slot:04X}")
            for slot in range(1, 13)]  # fmt: skip
    keys += [(f"c-{slot}", "equipment", "kc-02", slot, "", "") for slot in range(1, 8)]
    house._csv("keys.csv", "key,class,cabinet,slot,opens,tag", keys)
    for name in ("meters.csv", "accounts.csv"):
        (house.registry / name).unlink()
    # The profile that nobody made is the daemon's own problem.
    config = house.config.read_text()
    house.config.write_text(config.split("[[cabinet]]\nid = \"kc-03\"")[0])
    simulator = Simulator(house, '[[cabinet]]\nid = "kc-01"\nlog = 400\n')
    house.config.write_text(config)
    house.launch()
    house.ctl("import", house.registry)
    return simulator


def cabinet(house, name):
    return next(c for c in house.get("/cabinets")["items"] if c["cabinet"] == name)


def key(house, name):
    return house.get(f"/keys/{name}")


def events(house, name):
    found, after = [], 0
    while True:
        page = house.get(f"/events?after={after}&limit=1000")
        for item in page["items"]:
            body = item.get("data") or item.get("body") or item
            if body.get("cabinet") == name and body.get("event_type"):
                found.append(body)
        if not page.get("has_more"):
            return found
        after = page["next"]


def they_are_seen(house):
    for name in ("kc-01", "kc-02"):
        wait_for(f"{name} is online", lambda: cabinet(house, name)["online"])
    lost = cabinet(house, "kc-03")
    check(f"no profile: {lost}", not lost["online"])


def a_visit_to_each(house, simulator):
    simulator.act("kc-01", f"visit 5 {CARD}")
    taken = wait_for("key 5 is out", lambda: (k := key(house, "k-5"))["state"] == "out" and k)
    equal("who has it", (taken["person"], taken["origin"]), ("s-03", "device"))
    simulator.act("kc-02", "open")
    simulator.act("kc-02", "take 2")
    taken = wait_for("key 2 is out", lambda: (k := key(house, "c-2"))["state"] == "out" and k)
    check("nobody is named without a badge", not taken.get("person"))
    simulator.act("kc-02", "bring 2")
    wait_for("key 2 is back", lambda: key(house, "c-2")["state"] == "in")
    simulator.act("kc-02", "close")


def killed_while_it_talks(house, simulator, times=8):
    for _ in range(times):
        simulator.act("kc-01", "flood 20")
        house.daemon.kill()
        simulator.act("kc-01", "flood 10")
        house.launch()
    newest = simulator.truth("kc-01")[-1]["seq"]
    wait_for("the log is read", lambda: cabinet(house, "kc-01")["seq"] >= newest)
    told = [e["id"] for e in events(house, "kc-01") if "/box/" not in e["id"]]
    real = [f"kc-01/{row['boot']}/{row['seq']}" for row in simulator.truth("kc-01")]
    equal("each event once and in order", told, real)
    equal("nothing is missing", cabinet(house, "kc-01").get("gaps", []), [])
    print(f"    {len(real)} events over {times} kills")


def overwritten_while_nobody_asked(house, simulator):
    house.daemon.kill()
    before = simulator.truth("kc-01")[-1]["seq"]
    simulator.act("kc-01", "flood 500")
    simulator.act("kc-01", f"take 9 {CARD}")
    newest = simulator.truth("kc-01")[-1]["seq"]
    house.launch()
    wait_for("the log is read", lambda: cabinet(house, "kc-01")["seq"] >= newest)
    loss = [e for e in events(house, "kc-01") if e["event_type"] == "log.overwritten"]
    equal("one loss, in the place of its first", [e["id"] for e in loss],
          [f"kc-01/1/{before + 1}"])  # fmt: skip
    ids = [e["id"] for e in events(house, "kc-01")]
    check("the first that is left", f"kc-01/1/{newest - 399}" in ids)
    check("the last that is lost", f"kc-01/1/{newest - 400}" not in ids)
    alerts = house.get("/alerts?state=open&limit=1000")["items"]
    equal("no gap beside it", [a for a in alerts if a["kind"] == "log_gap"], [])
    wait_for("what hangs there is known again", lambda: key(house, "k-1")["state"] == "in")
    equal("and what does not", key(house, "k-9")["state"], "out")


def another_board(house, simulator):
    """It counts from 1 under a boot that was used before: each event once, under a new source."""
    before = len(simulator.truth("kc-01"))
    simulator.act("kc-01", "swap")
    simulator.act("kc-01", f"visit 4 {CARD}")
    wait_for("it counts anew", lambda: cabinet(house, "kc-01").get("source") == "kc-01~2")
    wait_for("key 4 is out", lambda: key(house, "k-4")["state"] == "out")
    house.daemon.kill()
    simulator.act("kc-01", "flood 10")
    house.launch()
    newest = simulator.truth("kc-01")[-1]["seq"]
    wait_for("the log is read", lambda: cabinet(house, "kc-01")["seq"] >= newest)
    real = [f"kc-01~2/{row['boot']}/{row['seq']}" for row in simulator.truth("kc-01")[before:]]
    told = [e["id"] for e in events(house, "kc-01") if e["id"].startswith("kc-01~2/")]
    equal("each event of the new board once", told, real)
    told = [e["id"] for e in events(house, "kc-01") if e["event_type"] == "log.restarted"]
    equal("told once", told, ["kc-01~2"])
    wait_for("what hangs there is known", lambda: key(house, "k-1")["state"] == "in")


def its_clock(house, simulator):
    simulator.act("kc-01", "clock 3600")
    wait_for("its skew is seen", lambda: cabinet(house, "kc-01")["clock_skew_s"] > 3590)
    equal("contacts have no clock",
          house.refused("cabinets", "set-clock", "kc-02", "--by", "s-01").code, 2)  # fmt: skip
    equal("nobody", house.refused("cabinets", "set-clock", "kc-01", "--by", "x").code, 2)
    said = house.ctl("cabinets", "set-clock", "kc-01", "--by", "s-01")
    check(f"before and after: {said}",
          said["done"] and said["skew_before_s"] > 3590 and abs(said["skew_after_s"]) <= 1)
    check("it is right", abs(cabinet(house, "kc-01")["clock_skew_s"]) <= 2)
    kinds = [row["kind"] for row in house.get("/cabinets/kc-01/events?limit=1000")["items"]]
    check("the order and what came of it",
          kinds.index("cabinet.clock_ordered") < kinds.index("cabinet.clock_corrected"))
    wait_for("its own word of it", lambda: simulator.truth("kc-01")[-1]["event"] == "clock.set"
             and cabinet(house, "kc-01")["seq"] == simulator.truth("kc-01")[-1]["seq"])


def power_away(house, simulator):
    simulator.act("kc-01", "power off")
    wait_for("it is offline", lambda: not cabinet(house, "kc-01")["online"])
    simulator.act("kc-01", "power on")
    wait_for("it is back", lambda: cabinet(house, "kc-01")["online"])
    wait_for("under its new boot", lambda: cabinet(house, "kc-01")["boot"] == 2)


def test():
    with House(mqtt=False) as house:
        simulator = prepare(house)
        they_are_seen(house)
        a_visit_to_each(house, simulator)
        killed_while_it_talks(house, simulator)
        overwritten_while_nobody_asked(house, simulator)
        power_away(house, simulator)
        another_board(house, simulator)
        its_clock(house, simulator)


if __name__ == "__main__":
    main(test)
