#!/usr/bin/python3
"""Who did what, and what was undone, on the built programs: the line of a person of the staff, a
link that was made by hand and taken back, a hand-over that is asked for twice under its key, alarms
in every spelling of a cabinet, a key in a strange slot of a cabinet without tags, how often an
alert has happened in whatever order its events come, what the sheet says of a figure that
contradicts the books, and a language that no table has.
"""
import datetime
import json

from house import House, UnixConnection, check, equal, main, wait_for
from keys import Desk, open_alerts, page

CABINET = '\n[[cabinet]]\nid = "kc-01"\nurl = "http:"\nprofile = "kcm-1"\n'
ALERTS = ('\n[keys]\nalerts = ["tamper", "door_held", "wrong_slot", "key_moved_no_auth", '
          '"log_gap"]\n')  # fmt: skip


def prepare(house):
    house.own_clock(day=16, hour=9)
    house.write_config(CABINET + ALERTS)
    house.write_registry([], [])
    house._csv("units.csv", "unit,label", [("u-1", "Flat 1"), ("u-2", "Flat 2"),
                                           *((f"n-{n}", f"New {n}") for n in range(1, 201))])
    house._csv("people.csv", "person,kind,name,phone,unit",
               [("p-1", "owner", "Ann Holder", "13800001234", "u-1")])  # fmt: skip
    house._csv("staff.csv", "staff,name,roles",
               [("s-01", "Desk", "desk"), ("s-02", "Head", "head"), ("s-03", "Tech", "tech")])
    house._csv("meters.csv", "meter,unit,service,bus,address,profile,rated_amps",
               [("w-1", "u-1", "water", "", "", "", ""), ("w-2", "u-2", "water", "", "", "", "")])
    house._csv("accounts.csv", "account,unit,service,tariff,opening_balance,holder",
               [("a-1", "u-1", "water", "flat-water", "50.00", "p-1")])  # fmt: skip
    house._csv("keys.csv", "key,class,cabinet,slot,opens",
               [("k-1", "entrusted", "kc-01", 1, "u-1"), ("k-2", "vacant", "kc-01", 2, "u-2"),
                ("k-3", "equipment", "kc-01", 3, "")])  # fmt: skip
    (house.registry / "accounts.csv").unlink()
    house.launch()
    house.ctl("import", house.registry)


def line(house, **about):
    (name, value), = about.items()
    return house.get(f"/timeline?{name}={value}&limit=1000")["items"]


def ask(house, target, body, key=None):
    headers = {} if key is None else {"Idempotency-Key": key}
    return UnixConnection.request(house.socket, "POST", "/api/v1" + target, body, headers)


def undone_by_hand(house, desk):
    right, wrong = (desk.post("/tickets", {"kind": "repair", "unit": unit, "text": "a lamp",
                                           "by": "s-01"})["number"]
                    for unit in ("u-1", "u-2"))  # fmt: skip
    desk.ticket(right, "dispatch", crew=["s-03"])
    desk.push(desk.event("key.removed", slot=1, person="s-03"))
    equal("concluded", desk.key("k-1")["links"],
          [{"ticket": right, "link": "auto", "primary": True}])  # fmt: skip
    linked = desk.ticket(wrong, "link", key="k-1")
    equal("by hand, by whom", [(one["link"], one["by"]) for one in linked["keys"]],
          [("linked", "s-01")])  # fmt: skip
    status, problem = ask(house, f"/tickets/{wrong}/unlink", {"by": "s-02", "key": "k-1"})
    equal("needs a reason", (status, problem["errors"][0]["pointer"]), (422, "/reason"))
    status, problem = ask(house, f"/tickets/{right}/unlink",
                          {"by": "s-02", "key": "k-1", "reason": "x"})  # fmt: skip
    equal("nothing by hand there", (status, problem["errors"][0]["pointer"]), (422, "/key"))
    house.kill()
    house.launch()
    house.ctl("tickets", "unlink", wrong, "--key", "k-1", "--reason", "the wrong slip",
              "--by", "s-02")  # fmt: skip
    after = house.get(f"/tickets/{wrong}")
    equal("none is left", after["keys"], [])
    equal("the move says why", [(m["action"], m["by"], m.get("note")) for m in after["moves"]][-1],
          ("unlink", "s-02", "the wrong slip"))  # fmt: skip
    equal("concluded again", desk.key("k-1")["links"],
          [{"ticket": right, "link": "auto", "primary": True}])  # fmt: skip
    told = [one for one in line(house, key="k-1") if one["kind"] == "custody.unlinked"][-1]
    equal("told with who and how sure", (told["body"]["by"], told["body"]["ticket"],
                                         told["origin"]), ("s-02", wrong, "manual"))  # fmt: skip
    check("no word of it is published", "the wrong slip" not in json.dumps(line(house, key="k-1")))
    return right


def asked_twice(house):
    sheet = {"direction": "in", "readings": {"w-2": "12.5"}, "keys": {"door": "2"},
             "checklist": {"window": "cracked"}, "receiver": "Bob New", "by": "s-01"}  # fmt: skip
    status, first = ask(house, "/units/u-2/handover", sheet, "h-1")
    equal("written down", status, 201)
    house.kill()
    house.launch()
    status, again = ask(house, "/units/u-2/handover",
                        dict(reversed(list(sheet.items()))), "h-1")  # fmt: skip
    equal("the same answer", (status, again), (200, first))
    status, problem = ask(house, "/units/u-2/handover", {**sheet, "keys": {"door": "3"}}, "h-1")
    equal("another sheet", (status, problem["type"].rsplit(":", 1)[1]),
          (422, "idempotency-key-reused"))  # fmt: skip
    status, problem = ask(house, "/units/u-1/handover", sheet, "h-1")
    equal("another flat", status, 422)
    status, problem = ask(house, "/units/u-2/handover", sheet, "a b")
    equal("no key at all", status, 400)
    status, other = ask(house, "/units/u-2/handover", {**sheet, "keys": {"door": "4"}}, "h-2")
    equal("another one under its own", status, 201)
    check("two records", other["id"] != first["id"])
    equal("in the line of its meter",
          [one["body"]["direction"] for one in line(house, meter="w-2")
           if one["kind"] == "unit.handover"], ["in", "in"])  # fmt: skip
    return first


def spelled(house, desk):
    """Each beginning raises once, each end clears; what nobody understands raises nothing."""
    pairs = [("tamper", {}, {"begins": False}), ("tamper{start}", {}, "tamper{clear}"),
             ("tamper.start", {}, "tamper.clear"), ("tamper", {"state": "start"}, "tamper.cleared"),
             ("tamper", {"start": True}, {"clear": True}),
             ("tamper", {"detail": "lid", "start": True}, {"detail": "lid", "state": "OFF"}),
             ("door.held", {}, "door.held{end}")]  # fmt: skip
    for kind, fields, end in pairs:
        alert = kind.split("{")[0].removesuffix(".start").replace(".", "_")
        word, rest = (end, {}) if isinstance(end, str) else (kind.split("{")[0], end)
        desk.push(desk.event(kind, **fields))
        equal(f"{kind} {fields} raises once", len(wait_for(
            f"{kind} {fields}", lambda: open_alerts(house, alert))), 1)  # fmt: skip
        answer = desk.push(desk.event(word, **rest))
        equal(f"{word} {rest} is understood", answer["bad"], [])
        wait_for(f"{word} {rest} clears", lambda: not open_alerts(house, alert))
    odd = [desk.event("tamper{start,clear}"), desk.event("tamper.released"),
           desk.event("tamper", active=False), desk.event("door.held", state="gone"),
           desk.event("tamper.cleared", state="start")]  # fmt: skip
    answer = desk.push(*odd)
    equal("counted", answer["bad"], [{"i": i, "code": "start_clear"} for i in range(len(odd))])
    newest = house.get("/cabinets/kc-01/events?limit=1000")["items"][-len(odd):]
    equal("kept", [one["body"]["event_type"] for one in newest], ["vendor"] * len(odd))
    equal("nothing is missing", answer["gap"], [])
    equal("and nothing raised", open_alerts(house, "tamper") + open_alerts(house, "door_held"), [])


def strange_slot(house, desk):
    desk.push(desk.event("key.removed", slot=2, person="s-03"))
    desk.push(desk.event("key.wrong_slot", slot=3, home=2, person="s-03"))
    key = desk.key("k-2")
    equal("it is back, elsewhere", (key["state"], key["slot"]), ("in", 3))
    alert = wait_for("told", lambda: open_alerts(house, "wrong_slot"))[0]
    equal("about that key", alert["subject"], "k-2")
    desk.push(desk.event("key.wrong_slot{clear}", slot=3, home=2))
    wait_for("over", lambda: not open_alerts(house, "wrong_slot"))
    answer = desk.push(desk.event("key.wrong_slot", slot=3, home="two"))
    equal("no slot", answer["bad"], [{"i": 0, "code": "home_range"}])


def counted(house, desk):
    """Three openings since the last end, told backwards."""
    events = [desk.event(word) for word in ("tamper", "tamper.clear", "tamper", "tamper", "tamper")]
    for event in reversed(events):
        desk.push(event)
    alert = wait_for("open", lambda: open_alerts(house, "tamper"))[0]
    wait_for(f"three times: {open_alerts(house, 'tamper')}",
             lambda: open_alerts(house, "tamper")[0]["count"] == 3)  # fmt: skip
    desk.post(f"/alerts/{alert['id']}/ack", {"by": "s-03", "via": "visit"})
    desk.push(desk.event("tamper.clear"))
    wait_for("over", lambda: not open_alerts(house, "tamper"))


def of_the_books(house):
    """Two people read a dial that contradicts the books: the sheet says so."""
    moment = house.clock.now() - datetime.timedelta(minutes=5)
    when = moment.isoformat(timespec="seconds")
    sheet = {"direction": "in", "at": when, "readings": {"w-1": "100"}, "receiver": "Ann Holder",
             "by": "s-01", "second": "s-02"}  # fmt: skip
    status, first = ask(house, "/units/u-1/handover", sheet, "h-3")
    equal("booked", (status, first["row"]["base_readings"][0]["state"]), (201, "confirmed"))
    later = (moment + datetime.timedelta(minutes=1)).isoformat(timespec="seconds")
    lower = {**sheet, "at": later, "direction": "out", "readings": {"w-1": "40"}}
    status, held = ask(house, "/units/u-1/handover", lower, "h-4")
    equal("held", (status, held["row"]["base_readings"][0]["state"]), (201, "held"))
    text = page(house, "/units/u-1/handover")
    for words in ("read by eye", "contradicts the books, held until staff decide"):
        check(f"the sheet says {words!r}", words in text)


def lines_of_people(house, ticket):
    def kinds(staff):
        return {one["kind"] for one in line(house, staff=staff)}

    wanted = {"s-01": {"ticket.reported", "ticket.dispatched", "unit.handover", "ticket.linked"},
              "s-02": {"ticket.unlinked", "custody.unlinked", "unit.handover",
                       "meter.read_by_eye"},
              "s-03": {"key.removed", "alert.acknowledged", "ticket.dispatched"}}  # fmt: skip
    for staff, some in wanted.items():
        check(f"{staff} did {some - kinds(staff)} as well", some <= kinds(staff))
    check("nobody did what another did", "ticket.unlinked" not in kinds("s-03"))
    for one in line(house, staff="s-01"):
        check(f"how sure: {one}", one["origin"] in ("device", "derived", "manual"))
    whole = json.dumps([line(house, staff=staff) for staff in wanted])
    for name in ("Ann Holder", "Bob New", "13800001234"):
        check(f"no {name} in it", name not in whole)


def many_flats(house):
    """Two hundred of them in one file, which is sent again after a kill."""
    flats = [f"n-{number}" for number in range(1, 201)]
    head = "unit,direction,at,part,item,value,receiver"
    lines = [head]
    for flat in flats:
        lines.append(f"{flat},in,2026-11-15,key,door,3,")
        lines.append(f'{flat},,,checklist,floor,ok,"Owner, {flat}"')
    day = house.folder / "day.csv"
    day.write_text("\n".join(lines) + "\n")

    def run(*more):
        return house.ctl("handovers", day, "--by", "s-01", *more)

    equal("written", run(), {"written": 200, "known": 0, "refused": []})
    house.kill()
    house.launch()
    equal("once", run(), {"written": 0, "known": 200, "refused": []})
    rows = house.get("/units/n-200/handover")["items"]
    equal("one row", [(one["row"]["keys"], one["row"]["receiver"]) for one in rows],
          [({"door": "3"}, "Owner, n-200")])  # fmt: skip
    for wrong, where in (("n-1,out,,key,door,x,", "/keys/door"),
                         ("n-1,out,,pipe,door,1,", "line 2"),
                         ("n-1,out,,key,door,1,\nn-1,in,,key,box,1,", "line 3"),
                         ("nowhere,out,,key,door,1,", "/unit")):  # fmt: skip
        day.write_text(head + "\n" + wrong + "\n")
        said = house.refused("handovers", day, "--by", "s-01")
        check(f"{wrong} is refused at {where}: {said.stderr}", where in said.stderr)


def languages(house):
    targets = ["/units", "/meters", "/keys", "/tickets", "/documents", "/calls", "/rounds",
               "/alerts", "/accounts", "/readings", "/units/u-2/handover", "/units/u-2/files",
               "/reports/keys", "/reports/stock-take", "/reports/repairs/2026-11",
               "/reports/visits/2026-11", "/reports/daily/2026-11-16", "/reports/cash/2026-11-16",
               "/reports/shift", "/reports/monthly/2026-10", "/periods/2026-10/ledger",
               "/ledger-book?building=x", "/reports/handovers"]  # fmt: skip
    for target in targets:
        for suffix in (".csv", ".xlsx"):
            path, _, query = target.partition("?")
            for lang in ("fr", "zh-TW", "EN"):
                status, problem = UnixConnection.request(
                    house.socket, "GET",
                    f"/api/v1{path}{suffix}?{query}{'&' if query else ''}lang={lang}")  # fmt: skip
                if status == 404:
                    continue
                equal(f"{path}{suffix} {lang}", status, 400)
                check(f"names it: {problem}", f"lang={lang}" in problem["detail"])
                check(f"and a remedy: {problem}", "zh-CN" in problem["detail"])


def test():
    with House() as house:
        prepare(house)
        desk = Desk(house)
        ticket = undone_by_hand(house, desk)
        asked_twice(house)
        spelled(house, desk)
        strange_slot(house, desk)
        counted(house, desk)
        of_the_books(house)
        lines_of_people(house, ticket)
        many_flats(house)
        languages(house)
        equal("verify", house.ctl("verify")["ok"], True)


if __name__ == "__main__":
    main(test)
