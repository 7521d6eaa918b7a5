#!/usr/bin/python3
"""Every operation of the OpenAPI document on the built daemon: what is sent fits the document, and
so does what is answered, good or refused, with no member that the document does not name. An
operation that this test does not carry out to a good answer fails it.
"""
import base64
import datetime
import http.client
import json
import re
import socket
import urllib.parse

import jsonschema
from commissioning import DTSU666_CLOCK, DTSU666_IMPORT, HOLDING
from house import House, check, equal, float_words, free_port, main, wait_for
from keys import Desk
from pools import over_month_end

WORDS = "three quiet words"
CABINET = '\n[[cabinet]]\nid = "kc-01"\nurl = "http:"\nprofile = "kcm-1"\n'


def strict(part):
    """The same schema, whose objects have the members that it names and no others. Clients are not
    told so, because members are added; here one that nobody wrote down is a fault."""
    if isinstance(part, list):
        return [strict(each) for each in part]
    if not isinstance(part, dict):
        return part
    whole = {name: each if name in ("enum", "const", "examples", "required") else strict(each)
             for name, each in part.items()}  # fmt: skip
    kinds = part.get("type", "")
    named = isinstance(part.get("properties"), dict) and "object" in kinds
    if named and "additionalProperties" not in part:
        whole["additionalProperties"] = False
    return whole


class Book:
    """The document, and which of its operations were carried out."""

    def __init__(self, document):
        self.document = document
        self.strict = strict(document)
        self.done = set()
        self.operations = {
            (method.upper(), path): operation
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if method in ("get", "post", "delete", "put", "patch")
        }

    def find(self, method, path):
        def fits(pattern):
            return re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(pattern)), path)

        # A path without parameters stands before one with: /alerts/test.
        found = [p for m, p in self.operations if m == method and fits(p)]
        check(f"{method} {path} stands in the document", found)
        return min(found, key=lambda p: p.count("{"))

    def fits(self, what, schema, value, document):
        whole = {**schema, "components": document["components"]}
        validator = jsonschema.Draft202012Validator(whole)
        faults = sorted(validator.iter_errors(value), key=lambda fault: list(fault.path))
        if faults:
            place = "/".join(str(step) for step in faults[0].path)
            raise AssertionError(f"{what}: /{place}: {faults[0].message}")

    def answer(self, method, path, status, kind, body):
        """Holds an answer against the document; `body` is bytes."""
        pattern = self.find(method, path)
        operation = self.strict["paths"][pattern][method.lower()]
        what = f"{method} {pattern} answers {status}"
        told = operation["responses"].get(str(status)) or operation["responses"]["default"]
        if "$ref" in told:
            told = self.strict["components"]["responses"][told["$ref"].split("/")[-1]]
            check(f"{what}, which is no problem: {body[:300]}", status >= 400)
        kinds = told.get("content", {})
        kind = kind.split(";")[0]
        check(f"{what} as {kind}", kind in kinds or status == 304)
        if kind in ("application/json", "application/problem+json"):
            self.fits(what, kinds[kind]["schema"], json.loads(body), self.strict)
        if status < 300:
            self.done.add((method, pattern))

    def request(self, method, path, query, body):
        pattern = self.find(method, path)
        operation = self.operations[method, pattern]
        what = f"{method} {pattern} takes"
        known = [each if "$ref" not in each else
                 self.document["components"]["parameters"][each["$ref"].split("/")[-1]]
                 for each in operation.get("parameters", [])]  # fmt: skip
        names = {each["name"] for each in known if each["in"] == "query"}
        check(f"{what} {query}", {name for name, _ in urllib.parse.parse_qsl(query)} <= names)
        in_path = {each["name"] for each in known if each["in"] == "path"}
        equal(f"{what} in its path", in_path, set(re.findall(r"\{(\w+)\}", pattern)))
        if body is not None and "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            self.fits(what, schema, body, self.document)

    def with_language(self):
        """The lists whose address may name a language, and that need nothing else."""
        lang = {"$ref": "#/components/parameters/lang"}
        return [path for (method, path), operation in self.operations.items()
                if lang in operation.get("parameters", []) and "{" not in path
                and path != "/api/v1/ledger-book"]  # fmt: skip

    def left(self):
        return sorted(f"{method} {path}" for method, path in set(self.operations) - self.done)


class Caller:
    """Asks over the socket, or over the listener with a session."""

    def __init__(self, house, book, port=None):
        self.house, self.book, self.port, self.cookie = house, book, port, ""

    def _connection(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port or 1, timeout=120)
        if self.port is None:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(120)
            connection.sock.connect(self.house.socket)
        return connection

    def ask(self, method, target, body=None, key=None, headers=None, fits=True):
        path, _, query = target.partition("?")
        path = path if path in ("/healthz", "/readyz", "/metrics") else "/api/v1" + path
        self.book.request(method, path, query, body if fits else None)
        headers = {"X-Gatehouse-Request": "1", **(headers or {})}
        if self.cookie:
            headers["Cookie"] = self.cookie
        if key:
            headers["Idempotency-Key"] = key
        connection = self._connection()
        connection.request(method, path + ("?" + query if query else ""),
                           None if body is None else json.dumps(body), headers)  # fmt: skip
        answer = connection.getresponse()
        if answer.getheader("Set-Cookie"):
            self.cookie = answer.getheader("Set-Cookie").split(";")[0]
        data = answer.read()
        connection.close()
        kind = answer.getheader("Content-Type", "")
        self.book.answer(method, path, answer.status, kind, data)
        return answer.status, json.loads(data) if "json" in kind and data else data

    def good(self, method, target, body=None, **more):
        status, document = self.ask(method, target, body, **more)
        check(f"{method} {target}: {status} {document}", status < 300)
        return document

    def refused(self, status, method, target, body=None, **more):
        got, document = self.ask(method, target, body, fits=False, **more)
        equal(f"{method} {target}: {document}", got, status)

    def stream(self):
        """The first bytes of an answer that never ends."""
        self.book.request("GET", "/api/v1/events/stream", "after=0", None)
        connection = self._connection()
        connection.request("GET", "/api/v1/events/stream?after=0")
        answer = connection.getresponse()
        check("events come", answer.readline().strip())
        self.book.answer("GET", "/api/v1/events/stream", answer.status,
                         answer.getheader("Content-Type"), b"")  # fmt: skip
        connection.close()


# It takes a board that is asked: cabinets.py has one.
ELSEWHERE = ("POST /api/v1/cabinets/{cabinet}/clock",)
SIGNED = {"by": "s-01", "second": "s-02", "reason": "the test"}


def looks(caller, month):
    for target in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/units", "/meters",
                   "/meters/e-1", "/readings?after=0&limit=5", "/quarantine", "/accounts?low=1",
                   "/accounts/a-1", "/accounts/a-1/ledger", "/charges", "/periods",
                   f"/periods/{month}", "/pools", f"/pools/stairs?month={month}", "/alerts",
                   "/alerts?state=open", "/events?after=0", "/status", "/status?brief=1", "/clock",
                   "/setup", "/staff", "/tokens", "/registry", "/access", "/erasures", "/session",
                   "/units/u-1", "/units/u-2", "/events?after=0&limit=1000",
                   f"/accounts/a-1/why?month={month}",
                   f"/reports/daily/{month}-28", "/ledger-book?account=a-1"):  # fmt: skip
        caller.good("GET", target)
    for step in ("raw", "hour", "day", "month"):
        caller.good("GET", f"/meters/e-1/readings?step={step}")
    for target in ("/meters.csv", "/accounts.xlsx", "/units.csv", "/keys.xlsx", "/tickets.csv"):
        path, _, suffix = target.rpartition(".")
        kind = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument"
                                           ".spreadsheetml.sheet"}[suffix]  # fmt: skip
        caller.good("GET", path, headers={"Accept": kind})
    languages = caller.book.with_language()
    check(f"lists that take a language: {languages}", len(languages) > 5)
    for path in languages:
        caller.good("GET", path.removeprefix("/api/v1") + "?lang=zh-CN")
    caller.stream()
    for target in ("/meters/none", "/accounts/none", "/entries/none", "/units/none",
                   "/periods/1999-01"):  # fmt: skip
        caller.refused(404, "GET", target)


def meters(caller, house):
    caller.good("POST", "/meters/e-1/hold", {"by": "s-01", "reason": "looked at"})
    caller.good("POST", "/meters/e-1/unhold", {"by": "s-01"})
    caller.good("POST", "/meters/e-1/read", {})
    caller.good("POST", "/meters/w-1/readings",
                {"register": "12.5", "by": "s-01", "second": "s-02"})  # fmt: skip
    caller.refused(422, "POST", "/meters/w-1/readings", {"register": "dial", "by": "s-01"})
    wrong = next(row for row in caller.good("GET", "/readings?after=0&limit=1000")["items"]
                 if row["meter"] == "e-1" and row["kind"] == "month"
                 and row["register"].startswith("100"))  # fmt: skip
    body = {"register": "100", "supersedes": wrong["seq"]}
    caller.good("POST", "/meters/e-1/readings?dry_run=1", body)
    caller.refused(422, "POST", "/meters/e-1/readings?dry_run=1", {"register": "100"})
    caller.good("POST", "/meters/e-5/confirm", {"register": "500", "by": "s-01"})
    caller.good("POST", "/meters/e-3/replacement",
                {"old_final": "330", "new_serial": "B-1", "new_opening": "5", "by": "s-01",
                 "second": "s-02"})  # fmt: skip
    caller.good("POST", "/meters/e-6/clock", {"by": "s-01"})
    caller.good("POST", "/buses/b1/scan", {"from": 1, "to": 3})
    caller.good("GET", "/buses/b1/scan")
    caller.good("DELETE", "/buses/b1/scan")
    # A register that falls, twice seen, is held: once it is rejected, once it is right.
    for number, action in ((150, "reject"), (160, "release")):
        house.slaves.register("b1", 2, number)
        held = wait_for("a reading is held",
                        lambda: [row for row in caller.good("GET", "/quarantine")["items"]
                                 if row["meter"] == "e-2"])  # fmt: skip
        caller.good("POST", f"/quarantine/{held[0]['id']}/{action}",
                    {"by": "s-01", "reason": "seen"})  # fmt: skip
        if action == "reject":
            house.slaves.register("b1", 2, 221)
            house.wait_register("e-2", 221)


def crossed(caller, month):
    """Two meters were mixed up: looked at, set right, and the statement of it."""
    body = {"with": "e-3", "from": f"{month}-15"}
    caller.good("POST", "/meters/e-2/remap?dry_run=1", body)
    caller.refused(404, "POST", "/meters/none/remap?dry_run=1", body)
    done = caller.good("POST", "/meters/e-2/remap", {**body, **SIGNED}, key="k-0")
    caller.good("GET", f"/remaps/{done['event']}")
    caller.good("GET", f"/remaps/{done['event']}?account=a-2", headers={"Accept": "text/html"})
    caller.refused(404, "GET", "/remaps/1")


def money(caller, month):
    paid = caller.good("POST", "/accounts/a-1/topups", {"amount": "50.00", "by": "s-01"}, key="k-1")
    caller.good("POST", "/accounts/a-1/topups", {"amount": "50.00", "by": "s-01"}, key="k-1")
    caller.refused(422, "POST", "/accounts/a-1/topups", {"amount": "0", "by": "s-01"}, key="k-2")
    caller.good("GET", f"/entries/{paid['entry']}")
    caller.good("POST", f"/entries/{paid['entry']}/reversal", SIGNED, key="k-3")
    caller.good("POST", "/accounts/a-1/refunds", {"amount": "1.00", **SIGNED}, key="k-4")
    caller.good("POST", "/accounts/a-1/transfers", {"amount": "1.00", "to": "a-3", **SIGNED},
                key="k-5")  # fmt: skip
    caller.good("POST", "/accounts/a-1/adjustments", {"amount": "-1.00", **SIGNED}, key="k-6")
    caller.good("POST", "/pools/stairs/approve", {"month": month, **SIGNED}, key="k-7")
    caller.good("POST", "/pools/stairs/withdraw",
                {"month": month, "by": "s-01", "reason": "wait"})  # fmt: skip
    caller.good("POST", "/units/u-1/occupant",
                {"holder": "p-2", "settle": "refund", **SIGNED}, key="k-8")  # fmt: skip
    left = caller.good("GET", "/accounts/a-9")["balance"]
    caller.good("POST", "/accounts/a-9/refunds", {"amount": left, **SIGNED}, key="k-9")
    caller.good("POST", "/accounts/a-9/close", SIGNED, key="k-10")
    caller.good("POST", "/people/p-1/erase", SIGNED)
    caller.good("POST", "/alerts/test", {})
    alert = caller.good("GET", "/alerts?state=open")["items"][0]
    caller.good("POST", f"/alerts/{alert['id']}/ack", {"by": "s-01", "via": "phone"})


def period(caller, house, month):
    def closed(name):
        house.clock.set(house.clock.now() + datetime.timedelta(minutes=1))
        status, document = caller.ask("POST", f"/periods/{name}/close", {"by": "s-01"})
        check(f"only unposted days are waited for: {document}",
              status == 200 or "not posted" in str(document))  # fmt: skip
        return document if status == 200 else None

    for one in caller.good("GET", "/periods")["items"]:
        if one["month"] <= month:
            wait_for("the month closes", lambda name=one["month"]: closed(name), every=0.5)
    for name in ("readings", "charges", "ledger", "summary"):
        caller.good("GET", f"/periods/{month}/{name}")
    caller.good("GET", f"/periods/{month}")
    caller.good("GET", f"/reports/monthly/{month}")


def people(house, book, caller, port):
    for staff in ("s-02", "s-03", "s-04"):
        caller.good("POST", f"/staff/{staff}/password", {"password": WORDS})
    tech, head, cashier = (Caller(house, book, port) for _ in range(3))
    cashier.good("POST", "/session", {"staff": "s-04", "password": WORDS})
    tech.good("POST", "/session", {"staff": "s-03", "password": WORDS})
    head.good("POST", "/session", {"staff": "s-02", "password": WORDS})
    tech.refused(403, "GET", "/accounts")
    tech.good("GET", "/session")
    asked = [tech.good("POST", "/units/u-2/access", {"reason": "a leak"}) for _ in range(2)]
    head.good("POST", f"/access/{asked[0]['id']}/grant", {})
    head.good("POST", f"/access/{asked[1]['id']}/refuse", {"reason": "not needed"})
    tech.good("GET", "/units/u-2?reveal=1&reason=leak")
    head.good("GET", "/units/u-2/views")
    head.good("GET", "/units/u-2/views", headers={"Accept": "text/html"})
    code = head.good("POST", "/session/approvals", {})["code"]
    signed = {"reason": "moved", "by": "s-04", "second": "s-02"}
    cashier.refused(422, "POST", "/accounts/a-2/refunds", {"amount": "1.00", **signed}, key="k-20")
    cashier.good("POST", "/accounts/a-2/refunds", {"amount": "1.00", **signed, "approval": code},
                 key="k-20")  # fmt: skip
    head.good("DELETE", "/session")
    head.refused(401, "GET", "/session")
    caller.good("DELETE", "/staff/s-03/password")
    token = caller.good("POST", "/tokens", {"name": "office", "scopes": ["readings:read"],
                                            "addresses": ["192.0.2.0/24"]})  # fmt: skip
    caller.good("DELETE", f"/tokens/{token['id']}")


def office(caller, house, month):
    """Keys, tickets and the registers of the desk."""
    desk = Desk(house)
    events = [
        desk.event("access.granted", cred={"kind": "card", "fmt": "w34", "ref": "111"}),
        desk.event("door.opened", door=1),
        desk.event("key.removed", slot=1, door=1),
        desk.event("door.closed", door=1),
    ]
    caller.good("POST", "/cabinets/kc-01/events", {"src": "kc-01", "boot": 7, "events": events})
    for target in ("/cabinets", "/cabinets/kc-01/events", "/keys", "/keys/k-1", "/tickets",
                   "/timeline?key=k-1"):  # fmt: skip
        caller.good("GET", target)
    caller.good("POST", "/keys/k-9/out", {"by": "s-01", "person": "s-03", "reason": "a wall"})
    caller.good("POST", "/keys/k-9/in", {"by": "s-01"})
    ticket = caller.good("POST", "/tickets", {"kind": "repair", "unit": "u-1", "urgency": "normal",
                                              "category": "门窗锁具", "text": "lock jams",
                                              "by": "s-01"})["number"]  # fmt: skip
    caller.good("GET", f"/tickets/{ticket}")
    caller.good("POST", f"/tickets/{ticket}/dispatch", {"by": "s-01", "crew": ["s-03"]})
    caller.refused(409, "POST", f"/tickets/{ticket}/close", {"by": "s-01"})
    caller.good("POST", "/rounds", {"area": "Stair 1", "by": "s-01", "items": {"lamps": "pass"}})
    caller.good("POST", "/documents", {"name": "Notice 7", "receiver": "Flat 1", "unit": "u-1",
                                       "by": "s-01"})  # fmt: skip
    caller.good("POST", "/units/u-1/files", {"name": "入住通知书", "state": "held",
                                             "place": "cabinet 3", "by": "s-01"})  # fmt: skip
    caller.good("GET", "/units/u-1/files")
    caller.refused(404, "GET", "/units/none/files")
    caller.refused(422, "POST", "/cabinets/kc-01/clock", {"by": "s-01"})
    caller.good("POST", "/calls", {"text": "When is it open?", "unit": "u-1", "by": "s-01"})
    caller.good("POST", "/units/u-1/handover", {"direction": "in", "keys": {"door": "5"},
                                                "receiver": "p-2", "by": "s-01"})  # fmt: skip
    caller.good("POST", f"/reports/repairs/{month}/freeze", {"by": "s-02"})
    for target in ("/documents", "/rounds", "/calls", "/units/u-1/handover",
                   f"/reports/repairs/{month}", f"/reports/visits/{month}", "/reports/keys",
                   "/reports/stock-take", "/reports/shift", "/search?q=Flat"):  # fmt: skip
        caller.good("GET", target)


def first_run(house, book, port):
    journal = house.daemon.log
    code = wait_for("the setup code", lambda: re.search(r"setup code (\S+)", journal.read_text()))
    Caller(house, book, port).good("POST", "/setup", {"code": code.group(1), "staff": "s-01",
                                                      "password": WORDS})  # fmt: skip


def write_registry(house):
    rows = [(f"e-{n}", f"u-{n}", "b1", n) for n in (1, 2, 3, 8, 9)]
    rows += [("e-5", "u-5", "b1", 5, "acrel-ddsy1352-iot"),
             ("e-6", "u-6", "b1", 6, "chint-dtsu666")]  # fmt: skip
    house.write_registry(rows, [(f"a-{n}", f"u-{n}", "flat", "300.00") for n in (1, 2, 3)]
                         + [("a-9", "u-8", "flat", "40.00")])  # fmt: skip
    files = house.registry
    head, *rows = (files / "meters.csv").read_text().splitlines()
    rows = [f"{row},{'main' if row.startswith('e-9') else 'unit'}" for row in rows]
    rows.append("w-1,u-1,water,,,,,unit")
    (files / "meters.csv").write_text("\n".join([head + ",role", *rows]) + "\n")
    head, *rows = (files / "accounts.csv").read_text().splitlines()
    rows = [f"{row},{'p-1' if row.startswith('a-1') else ''}" for row in rows]
    (files / "accounts.csv").write_text("\n".join([head + ",holder", *rows]) + "\n")
    (files / "people.csv").write_text(
        "person,kind,name,phone,unit\np-1,owner,Lin Anna,13812345678,u-1\np-2,tenant,Hu Fei,,u-1\n"
    )
    (files / "staff.csv").write_text(
        "staff,name,roles,cards\ns-01,First,admin,\ns-02,Second,head,\n"
        "s-03,Third,tech,w34:111\ns-04,Fourth,cashier,\n"
    )
    (files / "keys.csv").write_text(
        "key,class,cabinet,slot,opens,place\nk-1,entrusted,kc-01,1,u-1,\n"
        "k-9,rework,,,u-2,drawer\n"
    )
    (files / "pools.csv").write_text(
        "pool,service,main,subs,share,members,tariff\n"
        "stairs,electricity,e-9,e-1;e-2;e-3,equal,u-1;u-2;u-3,flat\n"
    )


def test():
    port = free_port()
    with House(mqtt=False) as house:
        house.own_clock(day=28)
        house.tcp_bus("b1")
        for address, value in {1: 100, 2: 200, 3: 300, 8: 10, 9: 5000}.items():
            house.slaves.register("b1", address, value)
        for unit, register, words in ((5, 0, [0, 50_000]), (6, DTSU666_CLOCK, [0, 0, 9, 1, 6, 26]),
                                      (6, DTSU666_IMPORT, float_words(10.0))):  # fmt: skip
            house.slaves.ask(op="words", bus="b1", unit=unit, function=HOLDING, address=register,
                             words=words)  # fmt: skip
        house.write_config(CABINET)
        listen = f'[http]\nlisten = "127.0.0.1:{port}"\n'
        house.config.write_text(house.config.read_text().replace("[http]\n", listen))
        write_registry(house)
        house.launch()
        book = Book(house.get("/openapi.json"))
        caller = Caller(house, book)
        files = {str(path.relative_to(house.registry)): base64.b64encode(path.read_bytes()).decode()
                 for path in house.registry.rglob("*") if path.is_file()}  # fmt: skip
        caller.good("POST", "/registry?dry_run=1", {"files": files})
        caller.good("POST", "/registry", {"files": files})
        caller.refused(422, "POST", "/registry", {"files": {"units.csv": "bm9uZQo="}})
        first_run(house, book, port)
        over_month_end(house, {1: 100, 2: 200, 3: 300, 9: 5000})
        month = over_month_end(house, {1: 110, 2: 220, 3: 330, 9: 5071})
        caller.good("POST", "/clock/confirm", {"by": "s-01"})
        looks(caller, month)
        crossed(caller, month)
        meters(caller, house)
        money(caller, month)
        period(caller, house, month)
        office(caller, house, month)
        people(house, book, caller, port)
        looks(caller, month)
        caller.good("POST", "/verify", {})
        left = [one for one in book.left() if one not in ELSEWHERE]
        equal("operations that nobody carried out to a good end", left, [])


if __name__ == "__main__":
    main(test)
