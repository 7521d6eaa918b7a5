"""The house for end-to-end tests: the built programs, a real broker and slaves that this project
did not write, all in one temporary folder and on free ports. Everything that a House starts ends
with it, each process by its own id. Nothing here sleeps for luck: tests wait for a condition with
a generous deadline, and say what they waited for when it does not come.
"""
import contextlib
import datetime
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zoneinfo
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

PATIENCE = 90.0  # seconds; a loaded machine is slow, a broken program never comes
HERE = pathlib.Path(__file__).resolve().parent

DAEMON = os.environ.get("GATEHOUSED", "gatehoused")
CONTROL = os.environ.get("GATEHOUSECTL", "gatehousectl")
SIMULATOR = os.environ.get("GATEHOUSE_SIM", "gatehouse-sim")
CLOCK_SHIM = os.environ.get("GATEHOUSE_CLOCK_SHIM", "")

# eastron-sdm120: where the registers stand (drivers/meters/eastron-sdm120.toml).
SDM120_IMPORT, SDM120_POWER, SDM120_VOLTAGE = 0x0048, 0x000C, 0x0000
INPUT = 4


def float_words(number):
    """A number as a meter sends it: IEEE 754 single, high word first."""
    return list(struct.unpack(">HH", struct.pack(">f", number)))


def sent_value(number):
    """What those words are, exactly; that is what must be charged."""
    return Fraction(struct.unpack(">f", struct.pack(">f", number))[0])


def half_up(number, places):
    """A fraction rounded half up to so many places, as a Decimal without any float in between."""
    scaled = number * 10**places
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(whole).scaleb(-places)


def charge(price, quantity):
    """One line: price times quantity, half up to the fen."""
    return (Decimal(price) * quantity).quantize(Decimal("0.01"), ROUND_HALF_UP)


def wait_for(what, condition, patience=PATIENCE, every=0.05):
    """Waits until condition() is true and returns what it gave."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"did not come within {patience:.0f} s: {what}")
        time.sleep(every)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def morning_zone():
    """A zone where the day is young, so that no test meets a midnight that it did not ask for."""
    names = [
        "Pacific/Honolulu", "America/Phoenix", "America/Bogota", "America/Sao_Paulo",
        "Africa/Abidjan", "Africa/Nairobi", "Asia/Karachi", "Asia/Shanghai",
        "Australia/Brisbane", "Pacific/Tarawa",
    ]  # fmt: skip
    now = datetime.datetime.now(datetime.timezone.utc)

    def distance(name):
        local = now.astimezone(zoneinfo.ZoneInfo(name))
        return abs(local.hour * 60 + local.minute - 8 * 60)

    return min(names, key=distance)


class Clock:
    """The wall clock of the daemon, where a test wants another one than the host's. It never goes
    back: what is trusted never does."""

    def __init__(self, folder):
        check("GATEHOUSE_CLOCK_SHIM names the shim that clock_shim.c makes", CLOCK_SHIM)
        self.file = folder / "clock"
        self.file.write_bytes(struct.pack("<q", 0))
        self.offset_ms = 0

    @property
    def environment(self):
        return {"LD_PRELOAD": CLOCK_SHIM, "GATEHOUSE_TEST_CLOCK": str(self.file)}

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(
            milliseconds=self.offset_ms
        )

    def set(self, moment):
        ahead = moment - datetime.datetime.now(datetime.timezone.utc)
        offset_ms = ahead // datetime.timedelta(milliseconds=1)
        check("the clock goes forward", offset_ms >= self.offset_ms)
        self.offset_ms = offset_ms
        with open(self.file, "r+b") as file:  # in place: the daemon has it mapped
            file.write(struct.pack("<q", offset_ms))


class Process:
    """A program that was started here, with its output in a file."""

    def __init__(self, name, arguments, folder, environment=None, stdin=None, stdout=None):
        self.name = name
        self.log = folder / f"{name}.log"
        self._log = open(self.log, "ab")
        self.child = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or self._log,
            stderr=self._log,
            env={**os.environ, **(environment or {})},
            cwd=folder,
        )

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child.poll() is None

    def kill(self):
        """kill -9, as a power cut would: nothing is tidied up."""
        self.child.kill()
        self.child.wait()
        self._log.close()

    def stop(self, patience=PATIENCE):
        """SIGTERM; returns the exit code."""
        if self.running():
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(patience)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.name} did not end within {patience:.0f} s") from None
        self._log.close()
        return self.child.returncode

    def tail(self, lines=15):
        text = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"    {self.name}: {line}" for line in text[-lines:])


class Broker:
    """A mosquitto of our own."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.process = None

    def start(self):
        conf = self.folder / "mosquitto.conf"
        conf.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            "max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\n"
        )
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.process = Process("mosquitto", [program, "-c", conf], self.folder)

        def listens():
            with contextlib.suppress(OSError), socket.create_connection(
                ("127.0.0.1", self.port), 1
            ):
                return True
            return False

        wait_for("the broker listens", listens)

    def stop(self):
        if self.process is not None:
            self.process.stop()
            self.process = None


class Message:
    def __init__(self, record):
        self.topic = record["topic"]
        self.retained = bool(record["retain"])
        self.qos = record["qos"]
        self.text = record.get("payload") or ""  # null where the payload is empty

    @property
    def json(self):
        return json.loads(self.text)

    def __repr__(self):
        return f"{self.topic}{' (retained)' if self.retained else ''}: {self.text}"


class Subscriber:
    """mosquitto_sub with a session of its own, writing every message into a file."""

    def __init__(self, folder, port, topic, name="subscriber"):
        self.file = folder / f"{name}.messages"
        self._messages = []
        self._read = 0
        self._out = open(self.file, "wb")
        self.process = Process(
            name,
            # Retain-as-published (MQTT 5) shows how a message was sent, not that it was stored.
            ["mosquitto_sub", "-h", "127.0.0.1", "-p", port, "-V", "mqttv5",
             "--retain-as-published", "-q", "1", "-i", f"e2e-{name}", "-F", "%j", "-t", topic],
            folder,
            stdout=self._out,
        )  # fmt: skip

    def messages(self, topic=None):
        """All that came so far, oldest first; topic: only those whose topic ends so."""
        with open(self.file, "rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self._read += whole
        for line in data[:whole].splitlines():
            self._messages.append(Message(json.loads(line)))
        return [m for m in self._messages if topic is None or m.topic.endswith(topic)]

    def stop(self):
        self.process.stop()
        self._out.close()


class Slaves:
    """The process of slave.py; see there for what it can do."""

    def __init__(self, folder):
        self.process = Process(
            "slaves",
            ["/usr/bin/python3", HERE / "slave.py"],
            folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._lock = threading.Lock()

    def ask(self, **command):
        with self._lock:
            self.process.child.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.child.stdin.flush()
            answer = json.loads(self.process.child.stdout.readline())
        if "error" in answer:
            raise AssertionError(f"slaves: {answer['error']} at {command}")
        return answer["ok"]

    def register(self, bus, unit, number, address=SDM120_IMPORT):
        self.ask(op="words", bus=bus, unit=unit, function=INPUT, address=address,
                 words=float_words(number))  # fmt: skip

    def stop(self):
        if self.process.running():
            self.process.child.stdin.close()
            self.process.child.wait(PATIENCE)
        self.process.child.stdout.close()


class Refused(Exception):
    """gatehousectl ended with another code than 0."""

    def __init__(self, code, stdout, stderr):
        super().__init__(f"exit {code}: {stderr.strip() or stdout.strip()}")
        self.code, self.stdout, self.stderr = code, stdout, stderr

    @property
    def problem(self):
        return json.loads(self.stderr)


class UnixConnection:
    """One HTTP request at a time over the daemon's socket, for tests that ask much and fast."""

    @staticmethod
    def request(path, method, target, body=None, headers=None, timeout=PATIENCE):
        payload = b"" if body is None else body
        if not isinstance(payload, bytes):
            payload = json.dumps(body).encode()
        lines = [f"{method} {target} HTTP/1.1", "Host: gatehouse", "Connection: close"]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(path)
            connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
            data = b""
            while chunk := connection.recv(65536):
                data += chunk
        head, _, text = data.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.1 ") else None
        if status is None:
            raise OSError("the connection ended before an answer came")
        return status, json.loads(text) if text else None


FLAT = "0.5103"
TARIFFS = f"""
[[tariff]]
id = "flat"
service = "electricity"
source = "the end-to-end tests"
[[tariff.version]]
valid_from = "2020-01-01"
ladder = "none"
tiers = [ {{ price = "{FLAT}" }} ]

[[tariff]]
id = "ladder"
service = "electricity"
source = "the end-to-end tests"
[[tariff.version]]
valid_from = "2020-01-01"
ladder = "month"
tiers = [
  {{ up_to = "100", price = "0.4883" }},
  {{ up_to = "150", price = "0.5383" }},
  {{ price = "0.7883" }},
]
"""


class House:
    """One site in a temporary folder. Used as a context: on an error it prints the end of every
    log; in the end it stops every process and removes the folder."""

    def __init__(self, poll_interval="250ms", store_interval="1m", mqtt=True, alerts=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-e2e-"))
        self.config = self.folder / "gatehouse.toml"
        self.socket = str(self.folder / "api.sock")
        self.registry = self.folder / "registry"
        self.zone = morning_zone()
        self.buses = {}
        self.poll_interval, self.store_interval = poll_interval, store_interval
        self.mqtt, self.alerts = mqtt, alerts
        self.store_path = "gatehouse.db"  # relative to the folder
        self.started = []
        self.broker = Broker(self.folder)
        self._slaves = None
        self.daemon = None
        self.clock = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            for log in sorted(self.folder.glob("*.log")):
                for line in log.read_text(errors="replace").splitlines()[-25:]:
                    print(f"    {log.stem}: {line}", file=sys.stderr)
        for each in [*reversed(self.started), self._slaves, self.broker]:
            if each is None:
                continue
            try:
                each.stop()
            except Exception as failure:  # the rest is stopped all the same
                print(f"    while stopping: {failure}", file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def slaves(self):
        if self._slaves is None:
            self._slaves = Slaves(self.folder)
        return self._slaves

    def tcp_bus(self, bus, serve=True):
        port = self.slaves.ask(op="tcp", bus=bus, port=0) if serve else free_port()
        self.buses[bus] = f"modbus+tcp://127.0.0.1:{port}"
        return port

    def pty_bus(self, bus):
        link = self.folder / f"tty-{bus}"
        self.slaves.ask(op="pty", bus=bus, link=str(link))
        self.buses[bus] = f"modbus+rtu://{link}?baud=19200"
        return link

    def write_config(self, extra=""):
        parts = [
            f'schema = 1\n[site]\nid = "e2e"\nname = "End to end"\ntimezone = "{self.zone}"\n'
            'currency = "CNY"\nlanguage = "en"\n',
            f'[store]\npath = "{self.store_path}"\nstore_interval = "{self.store_interval}"\n'
            '[time]\ntrust = "system"\n',
            f'[http]\nsocket = "{self.socket}"\n',
            f'[alerts]\nlow_balance = "50.00"\ncritical_balance = "10.00"\n{self.alerts}',
        ]
        if self.mqtt:
            parts.append(
                f'[mqtt]\nurl = "mqtt://127.0.0.1:{self.broker.port}"\ntopic_root = "gatehouse"\n'
                'client_id = "e2e"\n'
            )
        for bus, url in self.buses.items():
            parts.append(
                f'[[bus]]\nid = "{bus}"\nurl = "{url}"\npoll_interval = "{self.poll_interval}"\n'
                'response_timeout = "500ms"\n'
            )
        self.config.write_text("\n".join(parts) + extra)

    def write_registry(self, meters, accounts):
        """meters: (meter, unit, bus, address[, profile]); accounts: (account, unit, tariff,
        opening balance). The rating is the largest that the registry takes, so that a register may
        jump in a test without being taken for a wrong reading."""
        (self.registry / "tariffs").mkdir(parents=True, exist_ok=True)
        units = sorted({meter[1] for meter in meters})
        self._csv("units.csv", "unit,label", [(unit, f"Flat {unit}") for unit in units])
        self._csv("staff.csv", "staff,name,roles",
                  [("s-01", "First", "cashier"), ("s-02", "Second", "head")])  # fmt: skip
        rows = []
        for meter, unit, bus, address, *profile in meters:
            model = profile[0] if profile else "eastron-sdm120"
            water = model.startswith("arad-")
            rows.append((meter, unit, "water" if water else "electricity", bus, address, model,
                         "" if water else "10000000"))  # fmt: skip
        self._csv("meters.csv", "meter,unit,service,bus,address,profile,rated_amps", rows)
        self._csv("accounts.csv", "account,unit,service,tariff,opening_balance",
                  [(account, unit, "electricity", tariff, opening)
                   for account, unit, tariff, opening in accounts])  # fmt: skip
        (self.registry / "tariffs" / "all.toml").write_text(TARIFFS)

    def _csv(self, name, head, rows):
        lines = [head, *(",".join(str(cell) for cell in row) for row in rows)]
        (self.registry / name).write_text("\n".join(lines) + "\n")

    def launch(self, wait=True):
        """Starts the daemon and waits until it answers."""
        if self.daemon in self.started:
            self.started.remove(self.daemon)
        environment = {"STATE_DIRECTORY": "", **(self.clock.environment if self.clock else {})}
        self.daemon = Process("gatehoused", [DAEMON, "--config", self.config], self.folder,
                              environment=environment)  # fmt: skip
        self.started.append(self.daemon)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        def ready():
            if not self.daemon.running():
                raise AssertionError(f"gatehoused ended with {self.daemon.child.returncode}")
            with contextlib.suppress(OSError):
                return UnixConnection.request(self.socket, "GET", "/readyz")[0] == 200

        wait_for("the daemon is ready", ready, every=0.02)

    def own_clock(self, day, hour=10):
        """Gives the daemon a clock of its own, at that hour of that day of the next month: far
        from the edges that a test does not ask for."""
        self.clock = Clock(self.folder)
        zone = zoneinfo.ZoneInfo(self.zone)
        here = datetime.datetime.now(zone)
        month = (here.replace(day=1) + datetime.timedelta(days=32)).replace(day=day)
        self.clock.set(month.replace(hour=hour, minute=0, second=0, microsecond=0))

    def before_midnight(self, seconds):
        """Sets that clock to so many seconds before the next local midnight. Returns the day that
        ends then."""
        local = self.clock.now().astimezone(zoneinfo.ZoneInfo(self.zone))
        begun = local.replace(hour=0, minute=0, second=0, microsecond=0)
        edge = begun + datetime.timedelta(days=1)
        moment = edge - datetime.timedelta(seconds=seconds)
        if moment > local:
            self.clock.set(moment)
        return begun.date()

    def kill(self):
        self.daemon.kill()
        for bus, url in self.buses.items():
            if url.startswith("modbus+rtu:"):
                # A real port forgets TIOCEXCL when its last descriptor closes; ours stays open.
                self.slaves.ask(op="free", bus=bus)

    def ctl(self, *arguments):
        """gatehousectl --json; the document, or Refused."""
        done = subprocess.run(
            [CONTROL, "--socket", self.socket, "--json", *[str(a) for a in arguments]],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise Refused(done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def refused(self, *arguments):
        """gatehousectl, that must be refused; what it said."""
        try:
            document = self.ctl(*arguments)
        except Refused as refusal:
            return refusal
        raise AssertionError(f"{arguments} was not refused but answered {document}")

    def get(self, target):
        status, document = UnixConnection.request(self.socket, "GET", "/api/v1" + target)
        if status != 200:
            raise AssertionError(f"GET {target}: {status} {document}")
        return document

    def account(self, account):
        return self.get(f"/accounts/{account}")

    def meter(self, meter):
        return self.get(f"/meters/{meter}")

    def bus(self, bus):
        return next(each for each in self.get("/status")["buses"] if each["bus"] == bus)

    def good_polls(self, bus):
        return self.bus(bus)["exchanges"]["ok"]

    def wait_polls(self, bus, count):
        """Waits until so many more exchanges went well on that bus."""
        goal = self.good_polls(bus) + count
        wait_for(f"{count} more polls on {bus}", lambda: self.good_polls(bus) >= goal)

    def wait_register(self, meter, number):
        """Waits until the register is confirmed; returns its figure in kWh."""
        figure = half_up(sent_value(number), 3)
        wait_for(
            f"{meter} confirms {figure}",
            lambda: self.meter(meter)["register"] is not None
            and Decimal(self.meter(meter)["register"]) == figure,
        )
        return figure

    def subscribe(self, topic="gatehouse/e2e/#", name="subscriber"):
        subscriber = Subscriber(self.folder, self.broker.port, topic, name)
        self.started.append(subscriber)
        return subscriber


def main(test):
    """Runs one test function with a line about how it ended."""
    began = time.monotonic()
    name = pathlib.Path(sys.argv[0]).name
    try:
        test()
    except Exception:
        print(f"{name}: FAILED after {time.monotonic() - began:.1f} s", file=sys.stderr)
        raise
    print(f"{name}: passed in {time.monotonic() - began:.1f} s")


def check(what, condition):
    """As assert, but with words, and not gone under python -O."""
    if not condition:
        raise AssertionError(what)


def equal(what, got, expected):
    if got != expected:
        raise AssertionError(f"{what}: got {got!r}, expected {expected!r}")
