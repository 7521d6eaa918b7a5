#!/usr/bin/python3
"""Keys and tickets on the built programs: a cabinet pushes what happened, the box says who has
which key and for which ticket, tells what is not in order, and loses nothing when it is killed. The
daemon's wall clock is the test's own.
"""
import csv
import datetime
import io
import socket
import subprocess
import zoneinfo

from exports import pull
from house import House, UnixConnection, check, equal, main, wait_for

CABINET = '\n[[cabinet]]\nid = "kc-01"\nurl = "http:"\nprofile = "kcm-1"\n'
BY_BROKER = '\n[[cabinet]]\nid = "kc-02"\nurl = "mqtt:"\nprofile = "kcm-1"\n'


class Desk:
    """What the desk and the cabinet ask over HTTP."""

    def __init__(self, house):
        self.house = house
        self.seq = 0

    def post(self, target, body, status=(200, 201)):
        got, document = UnixConnection.request(self.house.socket, "POST", "/api/v1" + target, body)
        check(f"POST {target}: {got} {document}", got in status)
        return document

    def event(self, kind, **fields):
        self.seq += 1
        at = self.house.clock.now().isoformat(timespec="milliseconds")
        return {"v": 1, "src": "kc-01", "boot": 7, "seq": self.seq, "ts": at, "clk": "sync",
                "type": kind, **fields}  # fmt: skip

    def push(self, *events, **batch):
        return self.post("/cabinets/kc-01/events",
                         {"src": "kc-01", "boot": 7, "events": list(events), **batch})  # fmt: skip

    def take(self, slot, card):
        """A badge, the door, a key."""
        return self.push(
            self.event("access.granted", cred={"kind": "card", "fmt": "w34", "ref": card}),
            self.event("door.opened", door=1),
            self.event("key.removed", slot=slot, door=1),
            self.event("door.closed", door=1),
        )

    def key(self, key):
        return self.house.get(f"/keys/{key}")

    def ticket(self, number, action, **body):
        return self.post(f"/tickets/{number}/{action}", {"by": "s-01", **body})


def forward(house, **span):
    house.clock.set(house.clock.now() + datetime.timedelta(**span))


def open_alerts(house, kind):
    return [a for a in house.get("/alerts?state=open&limit=1000")["items"] if a["kind"] == kind]


def prepare(house):
    house.own_clock(day=16, hour=9)
    house.write_config(CABINET + BY_BROKER)
    house.write_registry([], [])
    house._csv("units.csv", "unit,label", [("u-1", "Flat 1"), ("u-2", "Flat 2")])
    house._csv("staff.csv", "staff,name,roles,cards,active_to",
               [("s-01", "Desk", "desk", "", ""), ("s-02", "Head", "head", "", ""),
                ("s-03", "Tech", "tech", "w34:111", ""), ("s-04", "Other", "tech", "w34:222", ""),
                ("s-05", "Outside", "contractor", "", ""),
                ("s-06", "Gone", "tech", "", "2020-01-01")])  # fmt: skip
    house._csv("keys.csv", "key,class,cabinet,slot,opens,place",
               [("k-1", "entrusted", "kc-01", 1, "u-1", ""),
                ("k-2", "vacant", "kc-01", 2, "u-2", ""),
                ("k-3", "equipment", "kc-01", 3, "", ""),
                ("k-9", "rework", "", "", "u-2", "drawer")])  # fmt: skip
    for name in ("meters.csv", "accounts.csv"):
        (house.registry / name).unlink()
    house.launch()
    house.ctl("import", house.registry)


def a_key_without_a_ticket(house, desk, listener):
    answer = desk.take(1, "111")
    equal("acknowledged", answer, {"ack": {"boot": 7, "seq": 4}, "dup": 0, "bad": [], "gap": []})
    key = desk.key("k-1")
    equal("who has it", (key["state"], key["person"], key["origin"]), ("out", "s-03", "derived"))
    message = wait_for(
        "the broker hears of it",
        lambda: [m.json for m in listener.messages("gatehouse/e2e/cabinet/kc-01/event")
                 if m.json["event_type"] == "key.removed"],
    )[0]  # fmt: skip
    equal("no name on the wire", (message["person"], message["key"], message["origin"]),
          ("s-03", "k-1", "derived"))  # fmt: skip
    equal("quiet for a quarter of an hour", open_alerts(house, "key_out_no_ticket"), [])
    forward(house, minutes=16)
    alert = wait_for("nobody wrote a ticket", lambda: open_alerts(house, "key_out_no_ticket"))[0]
    equal("about the key", (alert["subject"], alert["level"]), ("k-1", 3))

    ticket = desk.post("/tickets", {"kind": "repair", "unit": "u-1", "category": "门窗锁具",
                                    "urgency": "normal", "text": "lock jams",
                                    "by": "s-01"})  # fmt: skip
    number = ticket["number"]
    check(f"a number: {number}", number.startswith("WX-") and number.endswith("-0001"))
    desk.ticket(number, "dispatch", crew=["s-03"])
    linked = desk.ticket(number, "link", key="k-1")
    equal("linked by hand", linked["keys"][0]["link"], "linked")
    wait_for("the alert ends", lambda: not open_alerts(house, "key_out_no_ticket"))
    desk.ticket(number, "accept")
    desk.ticket(number, "start")
    done = desk.ticket(number, "done", result="oiled")
    equal("an entrusted key was used: visited", done["state"], "visit_due")
    desk.ticket(number, "visit", rating="A")
    refusal = desk.post(f"/tickets/{number}/close", {"by": "s-01"}, status=(409,))
    check(f"not with the key out: {refusal}", refusal["type"].endswith("ticket-keys-out"))
    return number


def back_and_closed(house, desk, number, listener):
    desk.push(
        desk.event("access.granted", cred={"kind": "card", "fmt": "w34", "ref": "111"}),
        desk.event("door.opened", door=1),
        desk.event("key.returned", slot=1),
        desk.event("door.closed", door=1),
    )
    equal("back", desk.key("k-1")["state"], "in")
    equal("closed", desk.ticket(number, "close")["state"], "closed")
    topic = f"gatehouse/e2e/ticket/{number}"
    wait_for("its retained state is gone",
             lambda: [m for m in listener.messages(topic)][-1:] and
             not listener.messages(topic)[-1].text)  # fmt: skip


def linked_by_itself(house, desk):
    ticket = desk.post("/tickets", {"kind": "repair", "unit": "u-2", "category": "电气",
                                    "urgency": "急", "text": "no light", "by": "s-01",
                                    "external_no": "old-7"})  # fmt: skip
    again = desk.post("/tickets", {"kind": "repair", "unit": "u-2", "category": "电气",
                                   "urgency": "急", "text": "no light", "by": "s-01",
                                   "external_no": "old-7"}, status=(200,))  # fmt: skip
    equal("imported once", again["number"], ticket["number"])
    number = ticket["number"]
    desk.ticket(number, "dispatch", crew=["s-04"])
    desk.take(2, "222")
    key = desk.key("k-2")
    equal("explained", (key["ticket"], key["link"], key["person"]), (number, "auto", "s-04"))
    return number


def never_a_guess(house, desk):
    desk.push(
        desk.event("access.granted", cred={"kind": "card", "fmt": "w34", "ref": "111"}),
        desk.event("door.opened", door=1),
        desk.event("access.granted", cred={"kind": "card", "fmt": "w34", "ref": "222"}),
        desk.event("key.removed", slot=3),
    )
    key = desk.key("k-3")
    equal("two could have", (key["person"], key["candidates"]), (None, ["s-03", "s-04"]))
    desk.push(desk.event("key.returned", slot=3), desk.event("door.closed", door=1))


def holes_copies_and_forgeries(house, desk):
    first = desk.event("door.opened", door=1)
    lost = desk.event("access.granted", person="s-04")
    late = desk.event("door.closed", door=1)
    answer = desk.push(first, late)
    equal("a hole is told", answer["gap"], [{"from": lost["seq"], "to": lost["seq"]}])
    answer = desk.push(first, late)
    equal("twice is once", answer["dup"], 2)
    answer = desk.push(lost)
    equal("filled", answer["gap"], [])
    answer = desk.push(desk.event("key.removed", slot=99999), desk.event("xyz.maker"))
    equal("what cannot be read", answer["bad"], [{"i": 0, "code": "slot_range"}])
    equal("nothing is a hole", answer["gap"], [])
    # An alarm begins and ends by its members; one that says both is counted and begins nothing.
    answer = desk.push(desk.event("tamper", start=True), desk.event("tamper", clear=True),
                       desk.event("tamper", start=True, clear=True))  # fmt: skip
    equal("both at once", answer["bad"], [{"i": 2, "code": "start_clear"}])
    told = [row["body"] for row in house.get("/cabinets/kc-01/events?limit=1000")["items"]]
    equal("start, end and neither", [(b["event_type"], b.get("ends")) for b in told[-3:]],
          [("tamper", None), ("tamper", True), ("vendor", None)])  # fmt: skip
    other = {**desk.event("door.opened"), "src": "kc-02"}
    desk.seq -= 1
    desk.post("/cabinets/kc-01/events", {"events": [other]}, status=(422,))
    desk.post("/cabinets/nobody/events", {"events": []}, status=(404,))
    # A batch without its list, and one event too many: refused whole, and nothing is kept.
    kept = len(house.get("/cabinets/kc-01/events?limit=1000")["items"])
    wrong = desk.post("/cabinets/kc-01/events", {"src": "kc-01", "boot": 7}, status=(422,))
    equal("why", wrong["type"], "urn:gatehouse:problem:push-no-events")
    many = [{"seq": 1000 + n, "type": "door.opened"} for n in range(257)]
    wrong = desk.post("/cabinets/kc-01/events", {"boot": 7, "events": many}, status=(413,))
    equal("too many", wrong["type"], "urn:gatehouse:problem:push-too-many")
    equal("nothing of it", len(house.get("/cabinets/kc-01/events?limit=1000")["items"]), kept)
    desk.post("/cabinets/kc-01/events", b"{", status=(400,))
    desk.post("/cabinets/kc-01/events", b"[" * 20 + b"]" * 20, status=(400,))
    desk.post("/cabinets/kc-01/events", b"[" + b" " * 70_000 + b"]", status=(413,))


def pushed_over_mqtt(house, listener):
    """A cabinet that pushes at the broker hears of the commit on a topic of its own."""

    def push(body):
        subprocess.run(
            ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(house.broker.port), "-q", "1",
             "-t", "gatehouse/e2e/cabinet/kc-02/push", "-m", body],
            check=True, timeout=30,
        )  # fmt: skip

    def acks():
        return [m.json for m in listener.messages("/cabinet/kc-02/ack")]

    event = '{"boot":1,"seq":1,"type":"door.opened","person":"s-03"}'
    push(event)
    wait_for("an acknowledgement", acks)
    equal("of what is on disk", acks()[0],
          {"ack": {"boot": 1, "seq": 1}, "dup": 0, "bad": [], "gap": []})  # fmt: skip
    push(event)
    wait_for("another", lambda: len(acks()) == 2)
    equal("twice is once", acks()[1]["dup"], 1)
    push('{"src":"kc-01","boot":1,"seq":2,"type":"door.closed"}')
    wait_for("an answer to a forgery", lambda: len(acks()) == 3)
    check(f"it acknowledges nothing: {acks()[2]}", list(acks()[2]) == ["error"])
    push('{"src":"kc-02","boot":1}')
    wait_for("an answer to a batch without its list", lambda: len(acks()) == 4)
    check(f"it says what is missing: {acks()[3]}", "`events`" in acks()[3]["error"])
    equal("one event", len(house.get("/cabinets/kc-02/events")["items"]), 1)


def killed(house, desk, number):
    before = (desk.key("k-1"), desk.key("k-2"), house.get("/tickets?state=open"))
    house.kill()
    house.launch()
    after = (desk.key("k-1"), desk.key("k-2"), house.get("/tickets?state=open"))
    equal("as it was", after, before)
    equal("who had it", desk.key("k-2")["ticket"], number)
    check("the chain holds", house.ctl("verify")["ok"])


def the_day_ends(house, desk, listener):
    desk.post("/keys/k-9/out", {"by": "s-01", "person": "s-05", "reason": "tiles"})
    local = house.clock.now()
    forward(house, hours=9)
    alerts = wait_for("two keys are out after hours", lambda: (
        a if len(a := open_alerts(house, "key_past_curfew")) == 2 else None))  # fmt: skip
    equal("which", sorted(a["subject"] for a in alerts), ["k-2", "k-9"])
    check("the clock went on", house.clock.now() > local)
    desk.post("/keys/k-9/in", {"by": "s-01"})
    desk.push(desk.event("access.granted", person="s-03"), desk.event("door.opened", door=1),
              desk.event("key.returned", slot=2), desk.event("door.closed", door=1))  # fmt: skip
    wait_for("both are back", lambda: not open_alerts(house, "key_past_curfew"))
    forced = desk.event("door.opened", door=1)
    forward(house, minutes=5)
    forced["ts"] = house.clock.now().isoformat(timespec="milliseconds")
    desk.push(forced)
    alert = wait_for("a door that nobody opened", lambda: open_alerts(house, "cabinet_forced"))[0]
    equal("the worst", alert["level"], 4)
    house.ctl("ack", alert["id"], "--by", "s-02", "--via", "visit", "--note", "seen")
    check("the door still stands open", open_alerts(house, "cabinet_forced"))
    desk.push(desk.event("door.closed", door=1))
    wait_for("shut and seen", lambda: not open_alerts(house, "cabinet_forced"))
    states = ("raised", "acknowledged", "cleared")
    wait_for("all of it is told at the broker", lambda: tuple(
        m.json["state"] for m in listener.messages("gatehouse/e2e/alert/cabinet_forced")
    ) == states)  # fmt: skip


def page(house, target):
    """A page as a browser gets it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(house.socket)
        connection.sendall(
            f"GET /api/v1{target} HTTP/1.1\r\nHost: gatehouse\r\nAccept: text/html\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    return data.decode()


def handed_by_both(house, desk):
    """What one says moves nothing; the other one has ten minutes, a kill included."""
    desk.post("/keys/k-9/out", {"by": "s-01", "person": "s-03", "reason": "tiles"})
    desk.post("/keys/k-9/offer", {"by": "s-03"}, status=(422,))
    desk.post("/keys/k-9/offer", {"by": "s-03", "to": "s-06"}, status=(422,))
    shown = desk.post("/keys/k-9/offer", {"by": "s-03", "to": "s-04"})
    equal("still his", (shown["person"], shown["offer"]["to"]), ("s-03", "s-04"))
    house.kill()
    house.launch()
    equal("it waits", desk.key("k-9")["offer"], shown["offer"])
    forward(house, minutes=11)
    wait_for("it lapsed", lambda: "offer" not in desk.key("k-9"))
    equal("and stayed his", desk.key("k-9")["person"], "s-03")
    late = desk.post("/keys/k-9/confirm", {"by": "s-04"}, status=(409,))
    equal("too late", late["type"].split(":")[-1], "no-offer")
    house.ctl("keys", "offer", "k-9", "--by", "s-04")
    wrong = house.refused("keys", "confirm", "k-9", "--by", "s-04").problem
    equal("not by himself", wrong["errors"][0]["pointer"], "/by")
    equal("both said so", house.ctl("keys", "confirm", "k-9", "--by", "s-03")["person"], "s-04")
    events = [e["kind"] for e in house.get("/timeline?key=k-9&limit=1000")["items"]]
    equal("each step is told", [k for k in events if k[4:] in ("offered", "lapsed", "handed")],
          ["key.offered", "key.lapsed", "key.offered", "key.handed"])  # fmt: skip
    desk.post("/keys/k-9/in", {"by": "s-01"})


def rows_of(house, target):
    """A sheet as the office gets it: its heading, and each row by it."""
    status, _, body = pull(house, target)
    equal(target, status, 200)
    rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))
    return rows[0], [dict(zip(rows[0], row)) for row in rows[1:]]


def sheets(house, desk):
    """The columns of property-office.md 5.3, each with what the books hold."""
    head, rows = rows_of(house, "/reports/keys.csv")
    equal("of the keys", head, [
        "no", "key", "opens", "count", "taken_by", "department_company", "reason", "ticket",
        "owner_contact", "issued_by", "out_at", "due_at", "in_at", "returned_by", "received_by",
        "overdue", "condition", "origin", "note"])  # fmt: skip
    flat = next(row for row in rows if row["key"] == "k-2")
    equal("a flat by its name", flat["opens"], "Flat 2")
    equal("after the end of the day", flat["overdue"], "true")
    handed = [row for row in rows if row["key"] == "k-9"][-1]
    check(f"whom it went to: {handed}", handed["note"].startswith("→ s-04 "))
    doubt = next(row for row in rows if row["key"] == "k-3")
    equal("who could have", doubt["note"], "? s-03, s-04")
    for query, detail in (
        ("from=2026-11-30&to=2026-11-01",
         "from=2026-11-30 lies behind to=2026-11-01; name an earlier from or a later to."),
        ("month=2026-11", "The parameter month is not known; this route takes from, to."),
        ("lang=fr", "lang=fr is neither zh-CN nor en; write one of them, or leave it out."),
    ):  # fmt: skip
        for sheet in ("keys", "stock-take"):
            status, wrong = UnixConnection.request(house.socket, "GET",
                                                   f"/api/v1/reports/{sheet}?{query}")  # fmt: skip
            equal(f"{sheet} for {query}", (status, wrong["detail"]), (400, detail))
    same = house.get("/reports/keys")["items"]
    equal("the same in JSON", [loan["due_at"] for loan in same], [row["due_at"] for row in rows])
    equal("units by id", next(i for i in same if i["key"] == "k-2")["opens"], ["u-2"])
    month = house.clock.now().strftime("%Y-%m")
    head, rows = rows_of(house, f"/reports/repairs/{month}.csv")
    equal("of the repairs", head, [
        "no", "ticket", "reported_at", "channel", "reporter", "unit_or_area", "symptom",
        "category", "urgency", "taken_by", "dispatched_at", "crew", "on_site_at", "done_at",
        "duration", "on_time", "result", "material", "labour", "receipt", "keys", "visited_at",
        "rating", "reopened", "note", "state"])  # fmt: skip
    done = next(row for row in rows if row["done_at"])
    from_to = [datetime.datetime.fromisoformat(done[at]) for at in ("reported_at", "done_at")]
    minutes = (from_to[1] - from_to[0]).total_seconds() // 60
    equal("how long it took", int(done["duration"]), int(minutes))
    first = desk.post("/tickets", {"kind": "repair", "unit": "u-1", "text": "tap", "by": "s-01"})
    gone = desk.post(f"/tickets/{first['number']}/dispatch", {"by": "s-01", "crew": ["s-06"]},
                     status=(422,))  # fmt: skip
    check(f"who has left is not sent: {gone}", "left on 2020-01-01" in str(gone["errors"]))
    desk.post(f"/tickets/{first['number']}/cancel", {"by": "s-01", "reason": "a trial"})


def registers(house, desk):
    """What the office files: the month of repairs foots, and the plain registers keep what they
    are told."""
    month = house.clock.now().strftime("%Y-%m")
    repairs = house.get(f"/reports/repairs/{month}")
    totals = repairs["totals"]
    check(f"it foots: {totals}", repairs["foots"])
    equal("two came, one is open", (totals["reported"], totals["done"], totals["closing"]),
          (2, 1, 1))  # fmt: skip
    early = desk.post(f"/reports/repairs/{month}/freeze", {"by": "s-02"}, status=(409,))
    equal("not before it is over", early["type"].split(":")[-1], "month-open")
    loans = house.get("/reports/keys")["items"]
    equal("every loan", sorted(loan["key"] for loan in loans), ["k-1", "k-2", "k-3", "k-9"])
    made = desk.post("/rounds", {"area": "Stair 1", "by": "s-01",
                                 "items": {"lamps": "pass", "bins": "full"}})  # fmt: skip
    equal("a fault is a ticket", [n[:3] for n in made["tickets"]], ["XJ-"])
    desk.post("/documents", {"name": "Notice 7", "receiver": "Flat 1", "unit": "u-1", "by": "s-01"})
    equal("who has it", house.get("/documents?unit=u-1")["items"][0]["row"]["receiver"], "Flat 1")
    desk.post("/calls", {"text": "When is the office open?", "unit": "u-1", "by": "s-01"})
    equal("no ticket", len(house.get("/tickets?unit=u-1")["items"]), 1)
    desk.post("/units/u-1/handover", {"direction": "in", "keys": {"door": "5", "mailbox": "1"},
                                      "receiver": "p-1", "by": "s-01"})  # fmt: skip
    equal("handed over", house.get("/units/u-1/handover")["items"][0]["row"]["keys"],
          {"door": "5", "mailbox": "1"})  # fmt: skip
    desk.post("/units/u-1/files", {"name": "入住通知书", "state": "held", "place": "柜3-12",
                                   "by": "s-01"})  # fmt: skip
    files = house.get("/units/u-1/files")
    equal("one of six is there", files["missing"], 5)
    held = [row for row in files["items"] if row["state"] == "held"]
    equal("and where", [(row["name"], row["place"]) for row in held], [("入住通知书", "柜3-12")])
    for target, word in ((f"/reports/repairs/{month}", "Repairs"), ("/reports/keys", "Keys lent"),
                         ("/keys", "Keys kept"), ("/units/u-1/handover", "Handed over"),
                         (f"/reports/visits/{month}", "Return visits"),
                         ("/reports/shift", "Shift hand-over"), ("/documents", "Documents issued"),
                         ("/units/u-1/files", "File directory"),
                         (f"/tickets/{made['tickets'][0]}", "Dispatch slip")):  # fmt: skip
        check(f"{target} on paper", word in page(house, target))
    sheet = page(house, "/units/u-1/handover")
    check("who handed it over, by name", ">Desk<" in sheet)
    found = house.get("/search?q=Flat%201")["items"]
    equal("found by the room", [item["unit"] for item in found], ["u-1"])
    shown = house.ctl("timeline", "--unit", "u-1")["items"]
    told = {"ticket.reported", "key.removed", "custody.linked", "alert.raised"}
    check("the unit's line", told <= {e["kind"] for e in shown})
    check("in order", [e["seq"] for e in shown] == sorted(e["seq"] for e in shown))
    sure = {e["kind"]: e["origin"] for e in shown}
    equal("each says how sure it is",
          [sure[kind] for kind in ("ticket.reported", "key.removed", "alert.raised")],
          ["manual", "derived", "derived"])  # fmt: skip
    alerts = {e["body"]["kind"] for e in shown if e["kind"] == "alert.raised"}
    check(f"the alerts about its key: {alerts}", "key_out_no_ticket" in alerts)
    pages, after = [], 0
    while True:
        part = house.get(f"/timeline?unit=u-1&limit=2&after={after}")
        check("no more than asked for", len(part["items"]) <= 2)
        pages += part["items"]
        if not part["has_more"]:
            break
        after = part["next"]
    equal("page by page", [e["seq"] for e in pages], [e["seq"] for e in shown])
    file = house.get("/units/u-1")
    equal("in the household's file", (file["tickets"][0]["state"], file["keys"][0]["key"]),
          ("closed", "k-1"))  # fmt: skip


def the_month_is_filed(house):
    """By itself, on the third day after it, without the words that people wrote."""
    local = house.clock.now().astimezone(zoneinfo.ZoneInfo(house.zone))
    month = local.strftime("%Y-%m")
    day = (local.replace(day=1) + datetime.timedelta(days=32)).replace(day=3, hour=9)
    house.clock.set(day)
    house.daemon.kill()
    house.launch()

    def filed():
        repairs = house.get(f"/reports/repairs/{month}")
        return repairs if repairs.get("frozen_at") else None

    repairs = wait_for("it is filed", filed)
    check("as it stands, and it foots", repairs["foots"] and not repairs["amended"])
    found, after = [], 0
    while True:
        part = house.get(f"/events?after={after}&limit=1000")
        found += [row["body"] for row in part["items"] if row["kind"] == "repairs.frozen"]
        if not part["has_more"]:
            break
        after = part["next"]
    equal("once, under its hash", [(row["month"], row["sha256"]) for row in found],
          [(month, repairs["sha256"])])  # fmt: skip


def test():
    with House() as house:
        house.broker.start()
        prepare(house)
        listener = house.subscribe()
        wait_for("the listener listens", lambda: listener.messages("/status"))
        desk = Desk(house)
        equal("two cabinets", [(c["cabinet"], c["kind"]) for c in house.get("/cabinets")["items"]],
              [("kc-01", "http"), ("kc-02", "mqtt")])  # fmt: skip
        number = a_key_without_a_ticket(house, desk, listener)
        back_and_closed(house, desk, number, listener)
        number = linked_by_itself(house, desk)
        never_a_guess(house, desk)
        holes_copies_and_forgeries(house, desk)
        pushed_over_mqtt(house, listener)
        killed(house, desk, number)
        the_day_ends(house, desk, listener)
        registers(house, desk)
        handed_by_both(house, desk)
        sheets(house, desk)
        the_month_is_filed(house)
        story = house.get("/timeline?key=k-1")["items"]
        kinds = [row["kind"] for row in story]
        told = {"key.removed", "custody.linked", "alert.raised"} <= set(kinds)
        check(f"one timeline: {kinds}", told)
        check("the books hold", house.ctl("verify")["ok"])


if __name__ == "__main__":
    main(test)
