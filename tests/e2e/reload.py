#!/usr/bin/python3
"""SIGHUP on the built daemon: thresholds, polling and the certificate change while it runs, and a
connection that is open stays so; a wrong file, a wrong key or a setting that only a restart takes
changes nothing and says so with its place.
"""
import contextlib
import http.client
import signal
import socket
import ssl
import subprocess

from house import House, check, equal, free_port, main, wait_for


def make_certificate(folder, name):
    """A key and a certificate of its own, for 127.0.0.1."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def shown_certificate(port):
    """The PEM of what a new connection is shown."""
    context = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", port), 20) as plain:
        with context.wrap_socket(plain) as wrapped:
            return ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(binary_form=True))


class Reloading:
    def __init__(self, house):
        self.house = house
        self.good = house.config.read_text()

    def hang_up(self, text=None):
        """Writes the file, sends SIGHUP, returns what the journal says of it."""
        if text is not None:
            self.house.config.write_text(text)
        log = self.house.daemon.log
        told = log.stat().st_size
        self.house.daemon.child.send_signal(signal.SIGHUP)

        def said():
            new = log.read_bytes()[told:].decode()
            return new if "SIGHUP" in new else None

        return wait_for("the journal says what came of SIGHUP", said)

    def refused(self, text, *words):
        said = self.hang_up(text)
        check(f"nothing was changed: {said}", "SIGHUP: nothing was changed" in said)
        for word in words:
            check(f"{word!r} stands in: {said}", word in said)
        warnings = self.house.get("/status")["warnings"]
        check(f"the status warns of it: {warnings}",
              len(warnings) == 1 and "the last SIGHUP was refused" in warnings[0]
              and words[0].split(":")[0] in warnings[0])  # fmt: skip
        self.house.config.write_text(self.good)


def certificates(house, reload, port):
    context = ssl._create_unverified_context()
    kept = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
    ask = {"Authorization": f"Bearer {house.token}"}
    kept.request("GET", "/api/v1/clock", headers=ask)
    answer = kept.getresponse()
    equal("over TLS", (answer.status, bool(answer.read())), (200, True))
    first = shown_certificate(port)
    one = house.folder / "one.pem", house.folder / "one.key"
    two = house.folder / "two.pem", house.folder / "two.key"
    for old, new in zip(one, two):
        old.write_bytes(new.read_bytes())
    equal("not before SIGHUP", shown_certificate(port), first)
    check("read again", "certificate and key were read again" in reload.hang_up())
    wait_for("new connections see the new one", lambda: shown_certificate(port) != first)
    equal("which is two's", shown_certificate(port).split(), two[0].read_text().split())
    kept.request("GET", "/api/v1/clock", headers=ask)
    answer = kept.getresponse()
    equal("the open connection goes on", (answer.status, bool(answer.read())), (200, True))
    second = shown_certificate(port)
    one[1].write_bytes((house.folder / "three.key").read_bytes())
    reload.refused(None, "http.tls_key_file", "one.key")
    equal("a key of another certificate changes nothing", shown_certificate(port), second)
    one[1].write_text("no key at all\n")
    reload.refused(None, "http.tls_key_file")
    equal("nor one that is none", shown_certificate(port), second)
    one[1].write_bytes(two[1].read_bytes())
    kept.close()


def settings(house, reload):
    equal("before", house.account("a-1")["thresholds"]["low_balance"], "50.00")
    equal("not low", house.account("a-1")["level"], 0)
    good = reload.good
    line = good[: good.index('low_balance = "50.00"')].count("\n") + 1
    reload.refused(good.replace('low_balance = "50.00"', 'low_balance = "much"'),
                   f"gatehouse.toml:{line}:", "alerts.low_balance")  # fmt: skip
    reload.refused(good + "[extra]\nx = 1\n", "gatehouse.toml:", "extra")
    reload.refused(
        good.replace('low_balance = "50.00"', 'low_balance = "500.00"').replace(
            'name = "End to end"', 'name = "Another"'
        ),
        "only a restart takes site.name", "alerts.low_balance",
    )  # fmt: skip
    equal("still", house.account("a-1")["thresholds"]["low_balance"], "50.00")
    house.config.unlink()
    reload.refused(None, "does not exist")

    check("no series of meters", "gatehouse_meter_online{" not in metrics(house))
    slow = house.good_polls("b1")
    better = (
        good.replace('low_balance = "50.00"', 'low_balance = "500.00"')
        .replace('poll_interval = "250ms"', 'poll_interval = "1h"')
        .replace("[http]\n", "[http]\nmetrics_meters = true\n")
    )
    said = reload.hang_up(better)
    equal("nothing is warned of any more", house.get("/status")["warnings"], [])
    for word in ("changed", "alerts.low_balance", "bus b1 poll_interval", "http.metrics_meters"):
        check(f"{word} stands in: {said}", word in said)
    reload.good = better
    equal("at once", house.account("a-1")["thresholds"]["low_balance"], "500.00")
    wait_for("and judged", lambda: house.account("a-1")["level"] == 1)
    check("series of meters", 'gatehouse_meter_online{meter="e-1"} 1' in metrics(house))
    check("it polled until then", house.good_polls("b1") >= slow > 0)
    settled = house.good_polls("b1")
    house.wait_quiet("b1")
    check("it polls hourly now", house.good_polls("b1") - settled < 20)
    check("the same again", "no setting changed" in reload.hang_up())


def metrics(house):
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(60)
        plain.connect(house.socket)
        plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        with contextlib.suppress(TimeoutError):
            while chunk := plain.recv(65536):
                data += chunk
    return data.decode()


class Quiet(House):
    token = ""

    def wait_quiet(self, bus):
        """Until two looks a second apart see the same count."""
        seen = [self.good_polls(bus)]

        def same():
            seen.append(self.good_polls(bus))
            return seen[-1] == seen[-2]

        wait_for("the bus is quiet", same, every=1.0)


def test():
    port = free_port()
    with Quiet(mqtt=False) as house:
        house.tcp_bus("b1")
        house.slaves.register("b1", 1, 100)
        for name in ("one", "two", "three"):
            make_certificate(house.folder, name)
        house.write_config()
        house.config.write_text(
            house.config.read_text().replace(
                "[http]\n",
                f'[http]\nlisten = "127.0.0.1:{port}"\ntls_cert_file = "one.pem"\n'
                'tls_key_file = "one.key"\n',
            )
        )
        house.write_registry([("e-1", "u-1", "b1", 1)], [("a-1", "u-1", "flat", "80.00")])
        house.launch()
        house.ctl("import", house.registry)
        house.wait_register("e-1", 100)
        house.token = house.ctl("token", "add", "--name", "t", "--scope", "meters:read")["token"]
        reload = Reloading(house)
        certificates(house, reload, port)
        settings(house, reload)
        check("it runs on", house.daemon.running())
        equal("verify", house.ctl("verify")["ok"], True)
        equal("and ends well", house.daemon.stop(), 0)


if __name__ == "__main__":
    main(test)
