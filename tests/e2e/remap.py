#!/usr/bin/python3
"""Two crossed meters on the built programs: looked at first, signed by two people, set right since
a day line by line on both households, once whatever is killed meanwhile; proved, printed for each
household alone, and each meter counts where it belongs from then on. The daemon's wall clock is the
test's own; amounts are Decimal, never the daemon's.
"""
from decimal import Decimal

from house import FLAT, House, UnixConnection, charge, check, equal, main, wait_for
from pools import page
from settle import amounts, day_ends, entries

SIGNED = ("--by", "s-01", "--second", "s-02", "--reason", "the risers were crossed", "--key", "r-1")


def sums(document):
    return {a["account"]: Decimal(a["amount"]) for a in document["accounts"]}


def test():
    with House(mqtt=False) as house:
        house.own_clock(day=10)
        house.tcp_bus("b1")
        house.write_config()
        house.write_registry([("e-1", "u-1", "b1", 1), ("e-2", "u-2", "b1", 2)],
                             [("a-1", "u-1", "flat", "100.00"), ("a-2", "u-2", "flat", "100.00")])
        for address in (1, 2):
            house.slaves.register("b1", address, 1000 * address)
        house.launch()
        house.ctl("import", house.registry)
        house.wait_register("e-1", 1000)
        house.wait_register("e-2", 2000)
        day_ends(house, {"e-1": 1010, "e-2": 2020})
        crossed = day_ends(house, {"e-1": 1040, "e-2": 2025})
        # Until then 10 and 20 kWh; on that day 30 and 5, which were the other one's.
        fair = {"a-1": charge(FLAT, Decimal(15)), "a-2": charge(FLAT, Decimal(50))}
        were = {"a-1": charge(FLAT, Decimal(40)), "a-2": charge(FLAT, Decimal(25))}
        moved = {account: were[account] - fair[account] for account in fair}
        what = ("remap", "e-1", "--with", "e-2", "--from", str(crossed))

        shown = house.ctl(*what, "--dry-run")
        equal("shown", sums(shown), moved)
        equal("nothing is booked", entries(house, "a-1", "correction", "adjustment"), [])
        refusal = house.refused(*what, "--by", "s-01", "--second", "s-01", "--reason", "x",
                                "--key", "r-0")  # fmt: skip
        equal("one person is not two", refusal.problem["errors"][0]["pointer"], "/second")
        equal("exit code", refusal.code, 2)
        status, problem = UnixConnection.request(
            house.socket, "POST", "/api/v1/meters/e-1/remap",
            {"with": "e-2", "from": str(crossed), "by": "s-01", "second": "s-02", "reason": "x"})
        equal(f"without a key: {problem}", status, 400)

        done = house.ctl(*what, *SIGNED)
        equal("as it was shown", sums(done), moved)
        equal("a-1 is given back", amounts(entries(house, "a-1", "correction")), [moved["a-1"]])
        cause = f"remap:{done['event']}"
        equal("a-2 is charged", [Decimal(e["amount"]) for e in entries(house, "a-2")
                                 if e["cause"] == cause], [moved["a-2"]])  # fmt: skip
        equal("asked again", house.ctl(*what, *SIGNED), done)
        equal("e-1 is u-2's", house.meter("e-1")["unit"], "u-2")
        equal("verify", house.ctl("verify")["ok"], True)
        house.kill()
        house.launch()
        equal("once", len([e for e in entries(house, "a-2") if e["cause"] == cause]), 1)

        own = page(house, f"/remaps/{done['event']}?account=a-1")
        check(f"a household sees its own: {own}", "a-1" in own and "a-2" not in own
              and str(moved["a-1"]) in own)  # fmt: skip
        whole = page(house, f"/remaps/{done['event']}")
        check(f"the office sees both: {whole}", "a-1" in whole and "a-2" in whole)
        why = house.ctl("why", "a-1")
        equal("whose readings", {r["meter"] for r in why["lines"][0]["readings"]}, {"e-1", "e-2"})

        # One more kWh at e-1 is of a-2 now.
        house.slaves.register("b1", 1, 1041)
        house.wait_register("e-1", 1041)
        wait_for("a-2 pays for it", lambda: Decimal(house.account("a-2")["balance"])
                 == Decimal(100) - charge(FLAT, Decimal(51)))  # fmt: skip
        equal("and a-1 does not", Decimal(house.account("a-1")["balance"]),
              Decimal(100) - fair["a-1"])  # fmt: skip
        equal("verify", house.ctl("verify")["ok"], True)
        exported = house.folder / "exported"
        house.ctl("export", exported)
        equal("import of an export changes nothing",
              house.ctl("import", exported)["changed"], 0)  # fmt: skip


if __name__ == "__main__":
    main(test)
