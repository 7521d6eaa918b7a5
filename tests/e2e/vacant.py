#!/usr/bin/python3
"""Alerts that look ahead and upward, on the built programs at a real broker: use where nobody
lives, water that never stands still, a long rest of the office ahead, and who is told when nobody
calls. Days pass hour by hour, since the daemon's wall clock is the test's own and is followed.
"""
import datetime
import zoneinfo
from decimal import Decimal

from house import FLAT, INPUT, House, check, equal, main, wait_for
from watch import all_arrived, steps, told

WATER = "wirenboard-mwac2"
METERS = [  # meter, unit, service, address, profile
    ("e-1", "u-1", "electricity", 1, "eastron-sdm120"),
    ("w-2", "u-2", "water", 2, WATER),
    ("w-1", "u-1", "water", 3, WATER),
    ("e-4", "u-4", "electricity", 4, "eastron-sdm120"),
    ("e-5", "u-5", "electricity", 5, "eastron-sdm120"),
    ("e-6", "u-6", "electricity", 6, "eastron-sdm120"),
]
ADDRESS = {meter: address for meter, _, _, address, _ in METERS}
UNITS = ["u-1,Flat one,vacant,", "u-2,Flat two,,", "u-4,Flat four,,oxygen at home",
         "u-5,Flat five,,", "u-6,Flat six,,"]  # fmt: skip
ACCOUNTS = [("a-4", "u-4", "flat", "5.00"), ("a-5", "u-5", "flat", "113.00"),
            ("a-6", "u-6", "flat", "-1.00")]  # fmt: skip
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)


def local(house):
    return house.clock.now().astimezone(zoneinfo.ZoneInfo(house.zone))


def registry(house, units=None):
    house.write_registry([(m, u, "b1", a, p) for m, u, _, a, p in METERS], ACCOUNTS)
    (house.registry / "units.csv").write_text(
        "\n".join(["unit,label,status,care", *(units or UNITS)]) + "\n"
    )
    rows = [f"{m},{u},{s},b1,{a},{p},{'10000000,' if s == 'electricity' else ',1000'}"
            for m, u, s, a, p in METERS]  # fmt: skip
    (house.registry / "meters.csv").write_text(
        "\n".join(["meter,unit,service,bus,address,profile,rated_amps,rated_flow", *rows]) + "\n"
    )


class Faces:
    """What the meters count; everything is confirmed before the time goes on."""

    def __init__(self, house):
        self.house = house
        self.litres = {"w-1": 5000, "w-2": 5000}
        self.kwh = {"e-1": 100, "e-4": 100, "e-5": 100, "e-6": 100}
        self.show()

    def show(self):
        for meter, litres in self.litres.items():
            words = [0, 0, litres >> 16, litres & 65535]
            self.house.slaves.ask(op="words", bus="b1", unit=ADDRESS[meter], function=INPUT,
                                  address=1068, words=words)  # fmt: skip
        for meter, kwh in self.kwh.items():
            self.house.slaves.register("b1", ADDRESS[meter], kwh)

    def confirmed(self):
        faces = {m: Decimal(n).scaleb(-3) for m, n in self.litres.items()}
        faces.update({m: Decimal(n) for m, n in self.kwh.items()})
        for meter, face in faces.items():
            wait_for(f"{meter} at {face}", lambda m=meter, f=face: self.stands(m, f))

    def stands(self, meter, face):
        register = self.house.meter(meter)["register"]
        return register is not None and Decimal(register) == face

    def count(self, **used):
        for meter, quantity in used.items():
            name = meter.replace("_", "-")
            (self.litres if name in self.litres else self.kwh)[name] += quantity
        self.show()
        self.confirmed()

    def passes(self, time):
        """The clock goes on, and every meter is read at the other end."""
        self.house.clock.set(self.house.clock.now() + time)
        begun = self.house.clock.now()
        for meter in ADDRESS:
            wait_for(f"{meter} is read at {begun}", lambda m=meter: self.read_at(m) >= begun)

    def read_at(self, meter):
        return datetime.datetime.fromisoformat(self.house.meter(meter)["read_at"]) + (
            datetime.timedelta(seconds=1)  # whole seconds are told
        )


def flow(house, subscriber, faces):
    """24 hours of flow; with a power cut on the way, and a clean restart."""
    faces.passes(HOUR)  # to the end of the first hour: from there on flow is known
    for hour in range(1, 25):
        equal("too early", steps(subscriber, "leak_suspect", "w-2"), [])
        faces.count(w_1=1, w_2=9)
        faces.passes(HOUR)
        if hour == 8:
            equal("a clean stop", house.daemon.stop(), 0)
            house.launch()
            faces.confirmed()
    wait_for("the leak", lambda: steps(subscriber, "leak_suspect", "w-2") == ["raised"])
    for _ in range(3):  # hours passed before the flat was seen to be vacant
        faces.count(w_1=1, w_2=9)
        faces.passes(HOUR)
    wait_for("the pipe of nobody", lambda: steps(subscriber, "vacant_use", "w-1") == ["raised"])
    leak, pipe = told(subscriber, "leak_suspect")[0], told(subscriber, "vacant_use")[0]
    equal("how loud", (leak["severity"], pipe["severity"]), ("warning", "critical"))
    equal("about", (leak["unit_label"], leak["meter"], leak["service"], leak["account"]),
          ("Flat two", "w-2", "water", ""))  # fmt: skip
    equal("how much", leak["reason"], "at least 0.009 m3 in every hour")
    check(leak["text"], "have the pipes looked at" in leak["text"])
    check(pipe["text"], "nobody lives there" in pipe["text"])
    equal("once", steps(subscriber, "leak_suspect", "w-1"), [])
    house.kill()
    house.launch()
    faces.confirmed()
    faces.passes(HOUR)
    wait_for("the leak is over",
             lambda: steps(subscriber, "leak_suspect", "w-2") == ["raised", "cleared"])
    equal("by what", told(subscriber, "leak_suspect")[-1]["cleared_by"], "still")


def nobody_called(house, subscriber):
    """It is the day after: the critical one went to the lead, the exhausted one to the manager."""
    for account, level, whom in (("a-4", 2, "lead"), ("a-6", 3, "manager")):
        wait_for(f"{account} goes to the {whom}",
                 lambda a=account: steps(subscriber, "low_balance", a) == ["raised", "reminded"])
        body = [b for b in told(subscriber, "low_balance") if b["subject"] == account][-1]
        equal(account, (body["level"], body["escalate_to"]), (level, whom))
        check(body["text"], f"{whom}." in body["text"])
        hour = datetime.datetime.fromisoformat(body["at"]).hour
        check(f"in working hours: {body['at']}", 9 <= hour < 18)
    bodies = [b for b in told(subscriber, "low_balance") if b["subject"] == "a-4"]
    equal("phoned", {b.get("contact") for b in bodies}, {"phone"})
    check("why stands nowhere",
          all("oxygen" not in m.text for m in subscriber.messages()))  # fmt: skip
    alert = next(a["id"] for a in house.get("/alerts?state=open")["items"] if a["account"] == "a-4")
    refusal = house.refused("ack", alert, "--by", "s-01", "--via", "posted")
    check(f"not posted: {refusal.problem}", "phone" in refusal.problem["detail"])
    house.ctl("ack", alert, "--by", "s-01", "--via", "phone")


def lights_on(house, subscriber, faces):
    """It is Tuesday for the flat that is vacant since Monday."""
    faces.count(e_1=2)
    wait_for("light where nobody lives",
             lambda: steps(subscriber, "vacant_use", "e-1") == ["raised"])
    body = told(subscriber, "vacant_use")[-1]
    equal("how much", body["reason"], "2.000 kWh in a day")


def days_go_by(house, subscriber, faces):
    """e-5 uses ten kWh a day; nothing else counts any more."""
    for _ in range(3):
        faces.count(e_5=10)
        faces.passes(DAY)
    for meter in ("w-1", "e-1"):
        wait_for(f"{meter} is still",
                 lambda m=meter: steps(subscriber, "vacant_use", m)[-1:] == ["cleared"])
    equal("by what", {b["cleared_by"] for b in told(subscriber, "vacant_use")
                      if b["state"] == "cleared"}, {"still"})  # fmt: skip
    equal("who was phoned is left in peace", steps(subscriber, "low_balance", "a-4"),
          ["raised", "reminded", "acknowledged"])  # fmt: skip


def rest_ahead(house, subscriber, faces):
    """Twelve days off from the fifth day on: too long for a balance that is no worry otherwise."""
    wait_for("days left", lambda: house.account("a-5")["days_left"] is not None)
    left = house.account("a-5")["days_left"]
    equal("days left", left, int((Decimal(113) - 30 * Decimal(FLAT)) / (10 * Decimal(FLAT))))
    equal("no worry", steps(subscriber, "low_balance", "a-5"), [])
    today = local(house).date()
    begins = today + 5 * DAY
    rows = [f"{begins + n * DAY},holiday,Rest" for n in range(14)]
    (house.registry / "calendar.csv").write_text("\n".join(["date,kind,name", *rows]) + "\n")
    house.ctl("import", house.registry)
    back = begins + 14 * DAY
    while back.weekday() > 4:
        back += DAY
    wait_for("told before the rest",
             lambda: steps(subscriber, "low_balance", "a-5") == ["raised"])  # fmt: skip
    body = [b for b in told(subscriber, "low_balance") if b["subject"] == "a-5"][0]
    equal("why", (body["level"], body["reason"], body["days_left"]), (1, "days", left))
    equal("until when", body["next_working_day"], back.isoformat())
    equal("threshold", body["threshold"], (back - today).days + 1)
    check(body["text"], f"closed until {back}" in body["text"])
    equal("its own is as it was", house.account("a-5")["thresholds"]["low_days"], 7)


def moved_in(house, subscriber, faces):
    """Use where nobody lives ends when somebody does."""
    faces.count(e_1=2)
    wait_for("light again",
             lambda: steps(subscriber, "vacant_use", "e-1") == ["raised", "cleared", "raised"])
    registry(house, ["u-1,Flat one,occupied,", *UNITS[1:]])
    house.ctl("import", house.registry)
    wait_for("somebody lives there",
             lambda: steps(subscriber, "vacant_use", "e-1")[-2:] == ["raised", "cleared"])
    equal("by what", told(subscriber, "vacant_use")[-1]["cleared_by"], "registry")


def test():
    with House(alerts="low_days = 7\ncritical_days = 3\n") as house:
        house.own_clock(day=10)
        house.broker.start()
        house.tcp_bus("b1")
        faces = Faces(house)
        house.write_config()
        registry(house)
        subscriber = house.subscribe()
        house.launch()
        house.ctl("import", house.registry)
        faces.confirmed()
        wait_for("two are low", lambda: len(told(subscriber, "low_balance")) == 2)
        flow(house, subscriber, faces)
        nobody_called(house, subscriber)
        lights_on(house, subscriber, faces)
        days_go_by(house, subscriber, faces)
        rest_ahead(house, subscriber, faces)
        moved_in(house, subscriber, faces)
        all_arrived(house, subscriber)


if __name__ == "__main__":
    main(test)
