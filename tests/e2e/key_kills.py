#!/usr/bin/python3
"""A cabinet pushes while the daemon is killed at any moment, and pushes again what was not
acknowledged: every (source, boot, seq) stands in the books exactly once, and who has the key is
what the last event says. tests/e2e/key_kills.py 1000 for the long run.
"""
import datetime
import random
import sys
import threading
import time

from house import House, UnixConnection, check, equal, main, wait_for

CABINET = '\n[[cabinet]]\nid = "kc-01"\nurl = "http:"\nprofile = "kcm-1"\n'


class Cabinet:
    """Keeps what was not acknowledged, as a board does, and sends the oldest of it again."""

    def __init__(self, house):
        self.house = house
        self.waiting = []
        self.seq = 0

    def happen(self, kind, **fields):
        self.seq += 1
        at = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        self.waiting.append({"seq": self.seq, "ts": at, "type": kind, **fields})

    def send(self):
        """One window; True when it was acknowledged. A broken connection says nothing."""
        window = self.waiting[:7]
        try:
            status, answer = UnixConnection.request(
                self.house.socket, "POST", "/api/v1/cabinets/kc-01/events",
                {"src": "kc-01", "boot": 3, "events": window}, timeout=20)  # fmt: skip
        except OSError:
            return False
        if status == 503:
            return False
        check(f"a push: {status} {answer}", status == 200)
        seen = answer["ack"]["seq"]
        self.waiting = [event for event in self.waiting if event["seq"] > seen]
        return True


def everything(house):
    rows, after = [], 0
    while True:
        page = house.get(f"/cabinets/kc-01/events?after={after}&limit=1000")
        rows += page["items"]
        after = page["next"]
        if not page["has_more"]:
            return rows


def test():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    print(f"key_kills.py {kills} {seed}", flush=True)
    dice = random.Random(seed)
    with House(mqtt=False) as house:
        house.write_config(CABINET)
        house.write_registry([], [])
        house._csv("units.csv", "unit,label", [("u-1", "Flat 1")])
        house._csv("staff.csv", "staff,name,roles", [("s-01", "Desk", "desk")])
        house._csv("keys.csv", "key,class,cabinet,slot,opens",
                   [("k-1", "vacant", "kc-01", 1, "u-1")])  # fmt: skip
        for name in ("meters.csv", "accounts.csv"):
            (house.registry / name).unlink()
        house.launch()
        house.ctl("import", house.registry)
        cabinet = Cabinet(house)
        out = False
        for _ in range(kills):
            for _ in range(dice.randrange(1, 9)):
                cabinet.happen("access.granted", person="s-01")
                out = not out
                cabinet.happen("key.removed" if out else "key.returned", slot=1)
            # Somewhere in the push, its commit or its answer.
            killer = threading.Timer(dice.uniform(0, 0.02), house.daemon.kill)
            killer.start()
            while cabinet.waiting and cabinet.send():
                pass
            killer.join()
            house.launch()
        deadline = time.monotonic() + 60
        while cabinet.waiting and time.monotonic() < deadline:
            cabinet.send()
        equal("all was acknowledged", cabinet.waiting, [])
        ids = [row["body"]["id"] for row in everything(house)]
        expected = [f"kc-01/3/{seq}" for seq in range(1, cabinet.seq + 1)]
        equal("each once, and in order", ids, expected)
        wait_for("who has it", lambda: house.get("/keys/k-1")["state"] == ("out" if out else "in"))
        check("the books hold", house.ctl("verify")["ok"])
        print(f"{kills} kills, {cabinet.seq} events, each once")


if __name__ == "__main__":
    main(test)
