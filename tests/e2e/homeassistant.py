#!/usr/bin/python3
"""Home Assistant's discovery on the built daemon and a real broker: every announcement by the rules
that Home Assistant holds it to, each template against what the state topic really carries; devices
that are none any more disappear, whoever announced them; and all are told again on its birth.
"""
import datetime
import json
import re
import subprocess

from house import House, UnixConnection, check, equal, main, wait_for

CABINET = '\n[[cabinet]]\nid = "kc-01"\nurl = "http:"\nprofile = "kcm-1"\n'

# What Home Assistant allows beside each device class: units, and state classes (None: no key).
SENSORS = {
    "energy": ({"kWh"}, {"total_increasing"}),
    "water": ({"m³"}, {"total_increasing"}),
    "power": ({"W"}, {"measurement"}),
    "volume_flow_rate": ({"m³/h"}, {"measurement"}),
    "monetary": ({"CNY"}, {"total", None}),
    "duration": ({"d"}, {"measurement"}),
    "data_size": ({"B"}, {"measurement"}),
    "timestamp": ({None}, {None}),
    None: ({None}, {"measurement", None}),
}
BINARY = {"problem", "connectivity", "door", "tamper", "occupancy"}
ROOT = {"device", "origin", "state_topic", "qos", "availability", "availability_mode", "components"}
PART = {
    "platform", "unique_id", "default_entity_id", "name", "value_template", "device_class",
    "unit_of_measurement", "state_class", "suggested_display_precision", "entity_category",
    "enabled_by_default", "json_attributes_topic", "state_topic", "event_types",
}  # fmt: skip
OPTIONAL = {"power", "flow", "ends", "last_event_at"}


def publish(house, topic, payload, retained=True):
    subprocess.run(
        ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(house.broker.port), "-q", "1", "-t", topic,
         *(["-r"] if retained else []), *(["-m", payload] if payload else ["-n"])],
        check=True, timeout=60,
    )  # fmt: skip


def push(house, first, *kinds):
    """What the cabinet says happened at its first slot."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    events = [{"v": 1, "src": "kc-01", "boot": 7, "seq": first + n, "ts": now, "clk": "sync",
               "type": kind, "door": 1, **({"slot": 1} if kind.startswith("key.") else {})}
              for n, kind in enumerate(kinds)]  # fmt: skip
    status, answer = UnixConnection.request(
        house.socket, "POST", "/api/v1/cabinets/kc-01/events",
        {"src": "kc-01", "boot": 7, "events": events},
    )  # fmt: skip
    equal(f"the cabinet is heard: {answer}", status, 200)


def slots(listener):
    state = json.loads(listener.latest()["gatehouse/e2e/cabinet/kc-01/state"])
    return {number: slot["occupied"] for number, slot in state["slots"].items()}


def object_of(topic):
    return re.fullmatch(r"homeassistant/device/([A-Za-z0-9_-]+)/config", topic).group(1)


def check_part(object_id, key, part, state):
    where = f"{object_id}/{key}"
    check(f"{where}: only known keys {sorted(part)}", set(part) <= PART)
    platform = part["platform"]
    check(f"{where}: {part['default_entity_id']}",
          re.fullmatch(platform + r"\.[a-z0-9_]+", part["default_entity_id"]))  # fmt: skip
    kind = part.get("device_class")
    if platform == "event":
        equal(f"{where}: no template", part.get("value_template"), None)
        check(f"{where}: {state['event_type']} is one of its types",
              state["event_type"] in part["event_types"])  # fmt: skip
        return
    if platform == "sensor":
        units, classes = SENSORS[kind]
        check(f"{where}: unit of {kind}", part.get("unit_of_measurement") in units)
        check(f"{where}: state class of {kind}", part.get("state_class") in classes)
    else:
        equal(f"{where}: platform", platform, "binary_sensor")
        check(f"{where}: {kind} is a class of binary sensors", kind in BINARY)
        check(f"{where}: its template says ON and OFF",
              "'ON'" in part["value_template"] and "'OFF'" in part["value_template"])  # fmt: skip
    check(f"{where}: a template", re.fullmatch(r"\{\{ .* \}\}", part["value_template"]))
    for field in set(re.findall(r"value_json\.(\w+)", part["value_template"])):
        check(f"{where}: {field} stands in {state}", field in state or field in OPTIONAL)


def check_announcements(configs, states):
    seen, devices = set(), set()
    for object_id, text in configs.items():
        config = json.loads(text)
        equal(f"{object_id}: its keys", set(config), ROOT)
        check(f"{object_id}: an origin with a name", config["origin"]["name"] == "Gatehouse")
        check(f"{object_id}: one identifier", len(config["device"]["identifiers"]) == 1)
        devices |= set(config["device"]["identifiers"])
        check(f"{object_id}: no name and no phone of a person", "Lin Anna" not in text)
        equal(f"{object_id}: available with the gateway", config["availability"][0]["topic"],
              "gatehouse/e2e/status")  # fmt: skip
        for each in config["availability"]:
            said = states[each["topic"]]
            if "value_template" in each:
                said = "online" if json.loads(said)["online"] else "offline"
            check(f"{object_id}: {each}", said in ("online", "offline"))
        for key, part in config["components"].items():
            topic = part.get("state_topic", config["state_topic"])
            check_part(object_id, key, part, json.loads(states[topic]))
            check(f"{part['unique_id']} stands once", part["unique_id"] not in seen)
            seen.add(part["unique_id"])
    for object_id, text in configs.items():
        via = json.loads(text)["device"].get("via_device")
        check(f"{object_id}: goes through a device that is there", via is None or via in devices)


class Listener:
    """What is retained on the broker now, and how often each announcement came."""

    def __init__(self, house):
        self.announced = house.subscribe("homeassistant/device/#", "ha")
        self.states = house.subscribe("gatehouse/e2e/#", "states")

    def configs(self):
        now = {}
        for message in self.announced.messages():
            object_id = object_of(message.topic)
            now.pop(object_id, None)
            if message.text:
                check(f"{message.topic} is retained", message.retained)
                equal(f"{message.topic}: QoS", message.qos, 1)
                now[object_id] = message.text
        return now

    def all_states(self):
        """Whether whatever the announcements of this site read has been published."""
        told = self.latest()
        for object_id in self.own():
            config = json.loads(self.configs()[object_id])
            parts = config["components"].values()
            topics = {config["state_topic"], *(p["state_topic"] for p in parts
                                               if "state_topic" in p)}  # fmt: skip
            if not topics | {each["topic"] for each in config["availability"]} <= set(told):
                return False
        return True

    def parts(self, object_id):
        return json.loads(self.configs()[object_id])["components"]

    def own(self):
        return sorted(each for each in self.configs() if each.startswith("e2e_"))

    def latest(self):
        return {message.topic: message.text for message in self.states.messages()}

    def times(self, object_id):
        return sum(object_of(m.topic) == object_id and bool(m.text)
                   for m in self.announced.messages())  # fmt: skip


def test():
    with House() as house:
        house.broker.start()
        house.tcp_bus("b1")
        for unit in (1, 2):
            house.slaves.register("b1", unit, 100 * unit)
        house.write_config(CABINET)
        house.config.write_text(
            house.config.read_text().replace(
                'client_id = "e2e"\n', 'client_id = "e2e"\nhomeassistant = true\n'
            )
        )
        house.write_registry(
            [("e.1", "u-1", "b1", 1), ("E-2", "u-2", "b1", 2)],
            [("a-1", "u-1", "flat", "80.00"), ("a-2", "u-2", "flat", "30.00")],
        )
        (house.registry / "people.csv").write_text(
            "person,kind,name,phone,unit\np-1,owner,Lin Anna,13812345678,u-1\n"
        )
        house._csv("keys.csv", "key,class,cabinet,slot,opens",
                   [("k-1", "entrusted", "kc-01", 1, "u-1"),
                    ("k-2", "equipment", "kc-01", 12, "")])  # fmt: skip
        listener = Listener(house)
        # A device of a registry of before, one of a site that is called like this one and more, and
        # one of another program.
        for other in ("e2e_meter_gone", "e2e_cabinet_kc-09", "e2e_meter_x-2_meter_1",
                      "e2e2_meter_1", "0xa4c138"):  # fmt: skip
            publish(house, f"homeassistant/device/{other}/config", '{"device":{}}')
        house.launch()
        house.ctl("import", house.registry)
        house.wait_register("e.1", 100)
        house.wait_register("E-2", 200)
        push(house, 1, "door.opened", "key.removed", "door.closed")
        whole = sorted(["e2e_gateway", "e2e_meter_e-2e-1", "e2e_meter_E-2", "e2e_account_a-1",
                        "e2e_account_a-2", "e2e_cabinet_kc-01"])  # fmt: skip
        wait_for("all devices and no stranger of this site", lambda: listener.own() == whole)
        check("others are left alone", {"e2e2_meter_1", "0xa4c138"} <= set(listener.configs()))
        # Health is told once a minute, so the gateway's state came with the connection.
        wait_for("the gateway says how it is",
                 lambda: "gatehouse/e2e/bridge/health" in listener.latest())  # fmt: skip
        wait_for("every topic that an announcement names", listener.all_states)
        configs = {each: listener.configs()[each] for each in whole}
        # Power came with the first poll, after the announcement, which then is made anew.
        wait_for("power is known by now", lambda: "power" in listener.parts("e2e_meter_E-2"))
        configs["e2e_meter_E-2"] = listener.configs()["e2e_meter_E-2"]
        check_announcements(configs, listener.latest())
        wait_for("which key is out", lambda: slots(listener) == {"1": False, "12": True})
        cabinet = json.loads(configs["e2e_cabinet_kc-01"])["components"]
        equal("its slots", sorted(key for key in cabinet if key.startswith("slot_")),
              ["slot_1", "slot_12"])  # fmt: skip
        push(house, 4, "door.opened", "key.returned", "door.closed")
        wait_for("and back", lambda: slots(listener) == {"1": True, "12": True})
        balance = json.loads(configs["e2e_account_a-2"])["components"]["low"]
        check("low credit is a problem with its numbers beside it",
              balance["json_attributes_topic"].endswith("account/a-2/balance"))  # fmt: skip

        times = {each: listener.times(each) for each in whole}
        publish(house, "homeassistant/status", "online", retained=False)
        wait_for("told again on its birth",
                 lambda: all(listener.times(each) > times[each] for each in whole))  # fmt: skip
        publish(house, "homeassistant/status", "offline", retained=False)

        house.ctl("refund", "a-2", "30.00", "--reason", "moved", "--by", "s-01", "--second", "s-02",
                  "--key", "k-1")  # fmt: skip
        house.ctl("close", "a-2", "--reason", "moved", "--by", "s-01", "--second", "s-02", "--key",
                  "k-2")  # fmt: skip
        wait_for("a closed account disappears", lambda: "e2e_account_a-2" not in listener.own())
        balance = "gatehouse/e2e/account/a-2/balance"
        wait_for("and its balance is no longer retained",
                 lambda: listener.latest().get(balance) == "")  # fmt: skip
        last = [m.text for m in listener.states.messages() if m.topic == balance][-2]
        equal("after the last one", json.loads(last)["balance"], "0.00")
        meters = house.registry / "meters.csv"
        head, *rows = meters.read_text().splitlines()
        rows = [f"{row},{'retired' if row.startswith('E-2') else 'active'}" for row in rows]
        meters.write_text("\n".join([f"{head},status", *rows]) + "\n")
        house.ctl("import", house.registry)
        wait_for("so does a meter that was taken out",
                 lambda: "e2e_meter_E-2" not in listener.own())  # fmt: skip
        left = ["e2e_account_a-1", "e2e_cabinet_kc-01", "e2e_gateway", "e2e_meter_e-2e-1"]
        equal("the rest stays", listener.own(), left)

        house.kill()
        publish(house, "homeassistant/device/e2e_account_a-9/config", '{"device":{}}')
        house.launch()
        wait_for("and after a crash as well", lambda: listener.own() == left)
        house.daemon.stop()
        house.config.write_text(house.config.read_text().replace(CABINET, ""))
        house.launch()
        left.remove("e2e_cabinet_kc-01")
        wait_for("a cabinet that is gone disappears", lambda: listener.own() == left)
        wait_for("and its retained state",
                 lambda: listener.latest()["gatehouse/e2e/cabinet/kc-01/state"] == "")  # fmt: skip
        equal("a closed account is not told again", listener.latest()[balance], "")
        house.daemon.stop()
        house.config.write_text(
            house.config.read_text().replace("homeassistant = true", "homeassistant = false")
        )
        house.launch()
        wait_for("all is taken away once it is switched off", lambda: listener.own() == [])
        check("others are left alone", {"e2e2_meter_1", "0xa4c138"} <= set(listener.configs()))
        check("the states stay", listener.latest()["gatehouse/e2e/account/a-1/balance"])
        everything = "".join(message.text for message in listener.states.messages())
        check("no name and no phone in any state or event",
              "Lin Anna" not in everything and "13812345678" not in everything)  # fmt: skip
        equal("verify", house.ctl("verify")["ok"], True)


if __name__ == "__main__":
    main(test)
