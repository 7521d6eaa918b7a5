#!/usr/bin/python3
"""People on the built programs: the first account by the code of the journal, a session in a
cookie, an act of two people who are both logged in, a household's file that is opened by leave
alone and whose every look is a row, and the restart that logs everybody out.
"""
import http.client
import json
import re
import subprocess

from house import CONTROL, House, check, equal, free_port, main, wait_for

WORDS = "three quiet words"


class Browser:
    """One person's: keeps the cookie and sends the header that no other site can."""

    def __init__(self, port):
        self.port, self.cookie = port, ""

    def ask(self, method, target, body=None, key=None, guard=True):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Cookie": self.cookie} if self.cookie else {}
        if guard:
            headers["X-Gatehouse-Request"] = "1"
        if key:
            headers["Idempotency-Key"] = key
        text = None if body is None else json.dumps(body)
        connection.request(method, "/api/v1" + target, text, headers)
        answer = connection.getresponse()
        if answer.getheader("Set-Cookie"):
            self.cookie = answer.getheader("Set-Cookie").split(";")[0]
        data = answer.read()
        connection.close()
        return answer.status, json.loads(data) if data else {}

    def log_in(self, staff, password=WORDS):
        return self.ask("POST", "/session", {"staff": staff, "password": password})[0]


def give_password(house, staff):
    done = subprocess.run([CONTROL, "--socket", house.socket, "user", "passwd", staff],
                          input=WORDS + "\n", capture_output=True, text=True, timeout=60,
                          check=False)  # fmt: skip
    equal(f"a password for {staff}: {done.stderr}", done.returncode, 0)


def two_people(house, port):
    cashier, head = Browser(port), Browser(port)
    equal("the cashier", cashier.log_in("s-01"), 201)
    equal("the head", head.log_in("s-02"), 201)
    equal("a foreign page", cashier.ask("POST", "/accounts/a-1/topups", {"amount": "5.00"}, "k-0",
                                        guard=False)[0], 403)  # fmt: skip
    status, paid = cashier.ask("POST", "/accounts/a-1/topups", {"amount": "100.00"}, "k-1")
    equal(f"taken in her own name: {paid}", status, 201)
    refund = {"amount": "20.00", "reason": "paid twice"}
    status, refused = cashier.ask("POST", "/accounts/a-1/refunds", refund, "k-2")
    equal("not alone", (status, refused["errors"][0]["pointer"]), (422, "/approval"))
    code = head.ask("POST", "/session/approvals", {})[1]["code"]
    status, done = cashier.ask("POST", "/accounts/a-1/refunds", {**refund, "approval": code}, "k-2")
    equal(f"with the head: {done}", status, 201)
    equal("both are who they say", (done["by"], done["second"], done["authenticated"]),
          ("s-01", "s-02", True))  # fmt: skip
    entry = house.get(f"/entries/{done['entry']}")
    equal("and the ledger keeps that", entry["authenticated"], True)
    typed = house.ctl("refund", "a-1", "1.00", "--reason", "x", "--by", "s-01", "--second", "s-02",
                      "--key", "k-3")  # fmt: skip
    equal("named at the socket is not logged in", typed["authenticated"], False)
    return cashier, head


def household_file(cashier, head):
    status, refused = cashier.ask("GET", "/units/u-1")
    equal("not the cashier's", (status, refused["type"].split(":")[-1]), (403, "file-access"))
    status, asked = cashier.ask("POST", "/units/u-1/access", {"reason": "a cheque came back"})
    equal(f"she asks: {asked}", status, 201)
    equal("and does not answer herself",
          cashier.ask("POST", f"/access/{asked['id']}/grant", {})[0], 403)  # fmt: skip
    equal("the head does", head.ask("POST", f"/access/{asked['id']}/grant", {})[0], 200)
    status, file = cashier.ask("GET", "/units/u-1?reveal=1&reason=cheque")
    equal("opened", (status, file["holders"][0]["name"]), (200, "Lin Anna"))
    status, masked = head.ask("GET", "/units/u-1")
    equal("masked", masked["holders"][0]["name"], "L**")
    views = head.ask("GET", "/units/u-1/views")[1]["items"]
    equal("every look is a row", [(v["who"], v["what"], v["reason"]) for v in views],
          [("staff:s-01", "names and phones", "cheque"), ("staff:s-02", "file", "")])  # fmt: skip


def office_registers(house, head, tech):
    """What the office writes of a flat shows names to those who may open its file, and each look is
    a row; the log has none of it. A hand-over is checked, and what does not agree is a task."""
    said = {"text": "Lin Anna asks when the lift runs", "unit": "u-1"}
    equal("a call", head.ask("POST", "/calls", said)[0], 201)
    signed = {"name": "Notice", "receiver": "Lin Anna", "unit": "u-1", "copies": "1",
              "at": "2026-11-20"}  # fmt: skip
    equal("a document", head.ask("POST", "/documents", signed)[0], 201)
    for wrong in ({"at": "yesterday"}, {"copies": "-3"}, {"copies": "many"}):
        equal(f"{wrong}", head.ask("POST", "/documents", {**signed, **wrong})[0], 422)
    moved = {"direction": "in", "receiver": "Lin Anna", "keys": {"door": "5"}}
    for wrong in ({"readings": {"e-1": "-5"}}, {"readings": {"e-2": "100"}}, {"at": "garbage"}):
        status, refused = head.ask("POST", "/units/u-1/handover", {**moved, **wrong})
        equal(f"{wrong}: {refused}", status, 422)
    equal("of nothing", head.ask("POST", "/units/u-1/handover", {"direction": "in"})[0], 422)
    agrees = {**moved, "readings": {"e-1": "100"}}
    status, done = head.ask("POST", "/units/u-1/handover", agrees)
    equal(f"{done}", (status, done["row"]["reconcile"], "tickets" in done), (201, False, False))
    status, done = head.ask("POST", "/units/u-1/handover", {**moved, "readings": {"e-1": "55.5"}})
    equal("to be reconciled", (status, done["row"]["reconcile"]), (201, True))
    task = house.get(f"/tickets/{done['tickets'][0]}")
    equal("a task", (task["unit"], "e-1 55.5" in task["text"]), ("u-1", True))
    for list_ in ("/documents?unit=u-1", "/calls?unit=u-1", "/units/u-1/handover"):
        rows = json.dumps(tech.ask("GET", list_)[1])
        check(f"{list_} for a repairer: {rows}", "Lin Anna" not in rows and "***" in rows + "***")
        check(f"{list_} for the head", "Lin Anna" in json.dumps(head.ask("GET", list_)[1]))
    number = house.ctl("tickets", "new", "--kind", "repair", "--unit", "u-1", "--text", "a leak",
                       "--category", "给排水/漏水", "--by", "s-02")["number"]  # fmt: skip
    for action, body in (("dispatch", {"crew": ["s-04"]}), ("accept", {}), ("start", {}),
                         ("done", {}),
                         ("visit", {"rating": "A", "spoken_to": "Lin Anna"})):  # fmt: skip
        equal(action, head.ask("POST", f"/tickets/{number}/{action}", body)[0], 200)
    month = number[3:7] + "-" + number[7:9]
    for target in (f"/tickets/{number}", f"/reports/visits/{month}"):
        masked = json.dumps(tech.ask("GET", target)[1])
        check(f"{target} for a repairer: {masked}", "Lin Anna" not in masked and "L**" in masked)
        check(f"{target} for the head", "Lin Anna" in json.dumps(head.ask("GET", target)[1]))
    looks = [v["what"] for v in head.ask("GET", "/units/u-1/views?limit=1000")[1]["items"]]
    check(f"the looks: {looks}", {"document", "call", "handover", "visit"} <= set(looks))
    for target in ("/events?limit=1000", "/timeline?unit=u-1"):
        check(f"{target} has no name", "Lin Anna" not in json.dumps(house.get(target)))


def test():
    port = free_port()
    with House(mqtt=False) as house:
        house.tcp_bus("b1")
        house.slaves.register("b1", 1, 100)
        house.write_config()
        text = house.config.read_text()
        listen = f'listen = "127.0.0.1:{port}"\n'
        house.config.write_text(text.replace("[http]\n", "[http]\n" + listen))
        house.write_registry([("e-1", "u-1", "b1", 1), ("e-2", "u-2", "b1", 2)],
                             [("a-1", "u-1", "flat", "50.00")])  # fmt: skip
        (house.registry / "people.csv").write_text(
            "person,kind,name,phone,unit\np-1,owner,Lin Anna,13812345678,u-1\n"
        )
        (house.registry / "staff.csv").write_text(
            "staff,name,roles\ns-01,First,cashier\ns-02,Second,head\ns-03,Third,admin\n"
            "s-04,Fourth,tech\n"
        )
        house.launch()
        house.ctl("import", house.registry)
        house.wait_register("e-1", 100)

        first = Browser(port)
        equal("nobody yet", first.ask("GET", "/setup")[1], {"needed": True})
        journal = house.daemon.log
        code = wait_for("the code stands in the journal",
                        lambda: re.search(r"setup code (\S+)", journal.read_text()))  # fmt: skip
        wrong = {"code": "aaaa-aaaa-aaaa", "staff": "s-03", "password": WORDS}
        equal("another code", first.ask("POST", "/setup", wrong)[0], 403)
        status, done = first.ask("POST", "/setup", {**wrong, "code": code.group(1)})
        equal(f"the first account: {done}", status, 200)
        equal("and no second", first.ask("POST", "/setup", {**wrong, "code": code.group(1)})[0],
              403)  # fmt: skip
        equal("it logs in", first.log_in("s-03"), 201)
        equal("its own is no household's file", first.ask("GET", "/units/u-1")[0], 403)
        for staff in ("s-01", "s-02", "s-04"):
            give_password(house, staff)
        cashier, head = two_people(house, port)
        household_file(cashier, head)
        tech = Browser(port)
        equal("the repairer", tech.log_in("s-04"), 201)
        office_registers(house, head, tech)
        equal("wrong words", Browser(port).log_in("s-01", "wrong words here"), 401)
        house.kill()
        told = house.daemon.log.stat().st_size
        house.launch()
        equal("a restart logs out", cashier.ask("GET", "/session")[0], 401)
        equal("and lets in", cashier.log_in("s-01"), 201)
        equal("without another code", b"setup code" in house.daemon.log.read_bytes()[told:], False)
        check("no password lies on the disk",
              WORDS.encode() not in (house.folder / "gatehouse.db").read_bytes())  # fmt: skip
        equal("verify", house.ctl("verify")["ok"], True)


if __name__ == "__main__":
    main(test)
