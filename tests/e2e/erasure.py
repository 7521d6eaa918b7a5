#!/usr/bin/python3
"""A person is erased on the built programs: by two people, from every file of the books, with the
proof of the books as before; a copy of yesterday that is put back forgets the person again. The
household's list of looks is handed out before, and an export of all names stands in it.
"""
import base64
import re
import shutil
import socket

from house import House, check, equal, main, wait_for

NAME, PHONE, PAYER = "Ouyang Feilong", "13912345678", "Mrs Ouyang"


def words_on_disk(house):
    """Which of the person's words lie in any file of the books."""
    found = set()
    for file in house.folder.glob("gatehouse.db*"):
        if ".copy" in file.name:
            continue
        data = file.read_bytes()
        found |= {word for word in (NAME, PHONE, PAYER, "Wuhan") if word.encode() in data}
    return sorted(found)


def person(house, wanted):
    text = base64.b64decode(house.get("/registry")["files"]["people.csv"]).decode("utf-8-sig")
    return next(line for line in text.splitlines() if line.startswith(wanted + ","))


def page(house, target):
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(60)
        plain.connect(house.socket)
        plain.sendall(f"GET /api/v1{target} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n"
                      "Connection: close\r\n\r\n".encode())  # fmt: skip
        data = b""
        while chunk := plain.recv(65536):
            data += chunk
    return data.decode()


def looks(house):
    house.get("/units/u-1?reveal=1&reason=a%20cheque%20came%20back")
    exported = house.get("/registry")["exported"]
    views = house.get("/units/u-1/views")["items"]
    check(f"a look and an export of all names: {views}",
          {"names and phones", "registry"} <= {view["what"] for view in views})  # fmt: skip
    sheet = page(house, "/units/u-1/views")
    for word in ("Who looked into", "a cheque came back", "Made at", "local"):
        check(f"{word!r} stands on the household's list", word in sheet)
    equal("an export says who took it", exported["by"], "local")
    check(f"and when: {exported}", re.match(r"20\d\d-", exported["at"]))


def erase(house):
    held = house.refused("erase", "p-1", "--by", "s-01", "--second", "s-02", "--reason", "asked")
    equal("who holds an account is not", held.problem["type"].split(":")[-1], "holds-account")
    house.ctl("occupant", "u-1", "--holder", "p-2", "--settle", "refund", "--key", "k-2",
              "--reason", f"{NAME} moved to Wuhan", "--by", "s-01", "--second", "s-02")  # fmt: skip
    equal("before", words_on_disk(house), sorted([NAME, PHONE, PAYER, "Wuhan"]))
    alone = house.refused("erase", "p-1", "--by", "s-01", "--second", "s-01", "--reason", "asked")
    equal("one person alone", (alone.code, alone.problem["status"]), (2, 422))
    before = house.ctl("verify")
    # Yesterday's copy, made while nothing runs.
    equal("it ends", house.daemon.stop(), 0)
    shutil.copyfile(house.folder / "gatehouse.db", house.folder / "gatehouse.db.copy")
    house.launch()
    done = house.ctl("erase", "p-1", "--by", "s-01", "--second", "s-02", "--reason", "in writing")
    check(f"words and bodies went: {done}", done["texts"] >= 2 and done["event_bodies"] >= 1)
    wait_for("no file of the books holds a word of it", lambda: words_on_disk(house) == [])
    after = house.ctl("verify")
    equal("the same proof", (after["ok"], after["entries"], after["lines"]),
          (True, before["entries"], before["lines"]))  # fmt: skip
    check("more events than before", after["events"] > before["events"])
    equal("in the registry", person(house, "p-1").split(",")[2:4], ["***", ""])
    removed = [event for event in house.get("/events?after=0&limit=1000")["items"]
               if event.get("removed")]  # fmt: skip
    equal("the log says why a body is gone", {event["removed"] for event in removed}, {"erased"})
    listed = house.ctl("erasures")["items"]
    equal("and who asked for it", [(row["person"], row["second"]) for row in listed],
          [("p-1", "s-02")])  # fmt: skip


def brought_back(house):
    back = house.refused("import", house.registry)
    check(f"the office's own file is refused at its cell: {back.stderr}",
          "people.csv" in back.stderr and "erased" in back.stderr)  # fmt: skip
    folder = house.folder / "exported"
    house.ctl("export", folder)
    again = house.ctl("import", folder, "--dry-run")
    equal("an export comes back unchanged", (again["added"], again["changed"]), (0, 0))
    equal("it ends", house.daemon.stop(), 0)
    for end in ("-wal", "-shm"):
        (house.folder / f"gatehouse.db{end}").unlink(missing_ok=True)
    shutil.copyfile(house.folder / "gatehouse.db.copy", house.folder / "gatehouse.db")
    check("the copy knows the person", NAME in words_on_disk(house))
    house.launch()
    equal("and the start forgets it again", words_on_disk(house), [])
    equal("in the registry", person(house, "p-1").split(",")[2:4], ["***", ""])
    equal("verify", house.ctl("verify")["ok"], True)
    told = [event["body"] for event in house.get("/events?after=0&limit=1000")["items"]
            if event["kind"] == "person.erased"]  # fmt: skip
    equal("once, and as restored", [body["restored"] for body in told], [True])


def test():
    with House(mqtt=False) as house:
        house.tcp_bus("b1")
        house.slaves.register("b1", 1, 100)
        house.write_config()
        house.write_registry([("e-1", "u-1", "b1", 1)], [("a-1", "u-1", "flat", "80.00")])
        (house.registry / "people.csv").write_text(
            f"person,kind,name,phone,unit\np-1,owner,{NAME},{PHONE},u-1\n"
            "p-2,tenant,Hu Fei,13700001111,u-1\n"
        )
        accounts = house.registry / "accounts.csv"
        head, row = accounts.read_text().splitlines()
        accounts.write_text(f"{head},holder\n{row},p-1\n")
        house.launch()
        house.ctl("import", house.registry)
        house.wait_register("e-1", 100)
        house.ctl("topup", "a-1", "10.00", "--by", "s-01", "--key", "k-1", "--payer", PAYER,
                  "--note", f"{PAYER} came in person")  # fmt: skip
        looks(house)
        erase(house)
        brought_back(house)


if __name__ == "__main__":
    main(test)
