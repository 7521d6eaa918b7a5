"""gatehouse-sim as a program, driven by a client that this project did not write (pymodbus, over
TCP and over the pseudo-terminal) and by frames put together here (RTU over TCP, late replies)."""
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import types
import unittest

# Debian 12's pymodbus imports it for its asynchronous serial client, which is not used here, and
# does not depend on it.
sys.modules.setdefault("serial_asyncio", types.SimpleNamespace(create_serial_connection=None))

SIM, SOURCE = sys.argv[1], sys.argv[2]
DEADLINE_S = 20

CONFIG = """schema = 1
[site]
id = "test"
timezone = "Asia/Shanghai"
[[bus]]
id = "t"
url = "modbus+tcp://127.0.0.1:502"
[[bus]]
id = "r"
url = "modbus+rtu-tcp://127.0.0.1:4001"
[[bus]]
id = "p"
url = "modbus+rtu://{folder}/line?baud=9600&parity=even"
"""
METERS = """meter,service,bus,address,channel,profile,serial,opening_register
t1,electricity,t,1,,eastron-sdm120,20240001,1234.5
t2,electricity,t,2,,abb-b23,,50
r1,electricity,r,1,,eastron-sdm120,,100
r2,electricity,r,2,,eastron-sdm120,,200
p1,electricity,p,1,,eastron-sdm120,,300.25
p2,electricity,p,2,,chint-ddsu666,,400
"""


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def question(unit, function, first, count):
    body = struct.pack(">BBHH", unit, function, first, count)
    return body + struct.pack("<H", crc16(body))


ENERGY = 0x48
REPLY_BYTES = 9  # address, function, count, two registers, checksum


def energy_in(frame):
    return struct.unpack(">f", frame[3:7])[0]


class Building:
    """One run of the program in a folder of its own."""

    def __init__(self, *more):
        self.folder = tempfile.TemporaryDirectory(prefix="gatehouse-sim-")
        self.link = os.path.join(self.folder.name, "line")
        self.truth = os.path.join(self.folder.name, "truth.jsonl")
        with open(os.path.join(self.folder.name, "gatehouse.toml"), "w") as file:
            file.write(CONFIG.format(folder=self.folder.name))
        with open(os.path.join(self.folder.name, "meters.csv"), "w") as file:
            file.write(METERS)
        self.arguments = [
            SIM, "--config", os.path.join(self.folder.name, "gatehouse.toml"),
            "--registry", self.folder.name, "--profiles", os.path.join(SOURCE, "drivers/meters"),
            "--port", "t=0", "--port", "r=0", "--control", "0", "--seed", "11",
            "--start-time", "19:00", "--truth", self.truth, *more]
        self.process = None
        self.ports = {}

    def __enter__(self):
        self.process = subprocess.Popen(self.arguments, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            found = re.match(r"(?:bus )?(\w+): .*127\.0\.0\.1:(\d+)", line)
            if found:
                self.ports[found[1]] = int(found[2])
            if line.startswith("ready"):
                return self
        raise AssertionError("the program ended before it was ready")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()

    def stop(self, with_signal=signal.SIGTERM):
        self.process.send_signal(with_signal)
        return self.process.wait(DEADLINE_S)

    def connect(self, bus):
        connection = socket.create_connection(("127.0.0.1", self.ports[bus]), DEADLINE_S)
        connection.settimeout(DEADLINE_S)
        return connection

    def command(self, text):
        with self.connect("control") as connection:
            connection.sendall(text.encode() + b"\n")
            answer = b""
            while not re.search(rb"^(ok|error: .*)\n", answer, re.M):
                answer += connection.recv(4096)
        return answer.decode()

    def register(self, meter):
        return float(re.search(r'"register":"([0-9.]+)"', self.command("truth " + meter))[1])


def receive(connection, count):
    data = b""
    while len(data) < count:
        got = connection.recv(count - len(data))
        if not got:
            raise AssertionError("the connection ended after %d bytes" % len(data))
        data += got
    return data


def silent_for(connection, seconds):
    connection.settimeout(seconds)
    try:
        return connection.recv(1) is None
    except socket.timeout:
        return True
    finally:
        connection.settimeout(DEADLINE_S)


def read_input(client, first, count, unit):
    try:
        return client.read_input_registers(first, count=count, slave=unit)
    except TypeError:  # pymodbus since 3.10
        return client.read_input_registers(first, count=count, device_id=unit)


def read_holding(client, first, count, unit):
    try:
        return client.read_holding_registers(first, count=count, slave=unit)
    except TypeError:
        return client.read_holding_registers(first, count=count, device_id=unit)


def as_float(registers):
    return struct.unpack(">f", struct.pack(">HH", *registers))[0]


class Wire(unittest.TestCase):
    def test_pymodbus_over_tcp(self):
        from pymodbus.client import ModbusTcpClient

        with Building() as building:
            client = ModbusTcpClient("127.0.0.1", port=building.ports["t"])
            self.assertTrue(client.connect())
            voltage = as_float(read_input(client, 0, 2, 1).registers)
            self.assertAlmostEqual(voltage, 230, delta=5)
            energy = as_float(read_input(client, ENERGY, 2, 1).registers)
            self.assertAlmostEqual(energy, 1234.5, delta=0.2)
            abb = read_holding(client, 0x5000, 4, 2).registers
            total = sum(word << shift for word, shift in zip(abb, (48, 32, 16, 0)))
            self.assertAlmostEqual(total / 100, 50, delta=0.2)
            self.assertEqual(read_input(client, 0x4000, 2, 1).exception_code, 2)
            self.assertEqual(read_input(client, 0, 2, 9).exception_code, 0x0B)
            client.close()

    def test_pymodbus_over_the_pseudo_terminal(self):
        from pymodbus.client import ModbusSerialClient

        with Building() as building:
            client = ModbusSerialClient(port=building.link, baudrate=9600, timeout=5)
            self.assertTrue(client.connect())
            started = time.monotonic()
            energy = as_float(read_input(client, ENERGY, 2, 1).registers)
            elapsed = time.monotonic() - started
            self.assertAlmostEqual(energy, 300.25, delta=0.2)
            # 8 + 9 characters of 11 bits at 9600 baud and 20 ms of turnaround, at the least.
            self.assertGreater(elapsed, 17 * 11 / 9600 + 0.019)
            client.close()

    def test_a_client_that_was_killed_may_come_back_with_its_parity(self):
        with Building() as building:
            for _ in range(3):
                # As libmodbus sets a port, and gone without putting anything back.
                port = os.open(building.link, os.O_RDWR | os.O_NOCTTY)
                flags = termios.tcgetattr(port)
                flags[2] |= termios.PARENB
                flags[4] = flags[5] = termios.B9600
                deadline = time.monotonic() + DEADLINE_S
                while True:
                    try:
                        termios.tcsetattr(port, termios.TCSANOW, flags)
                        break
                    except termios.error:
                        self.assertLess(time.monotonic(), deadline)
                        time.sleep(0.05)
                os.write(port, question(1, 4, ENERGY, 2))
                reply = b""
                while len(reply) < REPLY_BYTES:
                    reply += os.read(port, REPLY_BYTES - len(reply))
                self.assertAlmostEqual(energy_in(reply), 300.25, delta=0.2)
                os.close(port)

    def test_rtu_over_tcp_by_hand(self):
        with Building() as building, building.connect("r") as line:
            # In two pieces, and after noise that silence has to part from the question.
            line.sendall(b"\x55\xaa\x00")
            time.sleep(0.15)
            asked = question(1, 4, ENERGY, 2)
            line.sendall(asked[:3])
            line.sendall(asked[3:])
            reply = receive(line, REPLY_BYTES)
            self.assertEqual(crc16(reply), 0)
            self.assertAlmostEqual(energy_in(reply), 100, delta=0.2)
            line.sendall(question(1, 3, 0, 1) + question(2, 4, ENERGY, 2))
            first = receive(line, 2)
            if first[1] & 0x80:  # the SDM120 has holding registers only at 0xFC00
                receive(line, 3)
            self.assertAlmostEqual(energy_in(receive(line, REPLY_BYTES)), 200, delta=0.2)

    def test_a_broken_tcp_stream_ends_that_connection_alone(self):
        with Building() as building, building.connect("t") as good:
            with building.connect("t") as bad:
                bad.sendall(b"GET / HTTP/1.1\r\n\r\n")
                self.assertEqual(bad.recv(1), b"")
            good.sendall(struct.pack(">HHHBBHH", 77, 0, 6, 1, 4, ENERGY, 2))
            self.assertEqual(receive(good, 13)[:2], struct.pack(">H", 77))


class Faults(unittest.TestCase):
    def test_a_late_reply_comes_before_the_next_answer(self):
        with Building("--fault", "late-reply=1@r1") as building, building.connect("r") as line:
            line.sendall(question(1, 4, ENERGY, 2))
            self.assertTrue(silent_for(line, 0.3))
            line.sendall(question(2, 4, ENERGY, 2))
            stale = receive(line, REPLY_BYTES)
            self.assertEqual(stale[0], 1)
            self.assertAlmostEqual(energy_in(stale), 100, delta=0.2)
            self.assertAlmostEqual(energy_in(receive(line, REPLY_BYTES)), 200, delta=0.2)

    def test_a_late_reply_by_time_needs_no_question(self):
        with Building("--fault", "late-reply=1@r1", "--late-ms", "200") as building:
            with building.connect("r") as line:
                line.sendall(question(1, 4, ENERGY, 2))
                started = time.monotonic()
                receive(line, REPLY_BYTES)
                self.assertGreater(time.monotonic() - started, 0.19)

    def test_on_tcp_a_late_reply_keeps_its_transaction_number(self):
        with Building("--fault", "late-reply=1@t1") as building, building.connect("t") as line:
            line.sendall(struct.pack(">HHHBBHH", 501, 0, 6, 1, 4, ENERGY, 2))
            self.assertTrue(silent_for(line, 0.3))
            line.sendall(struct.pack(">HHHBBHH", 502, 0, 6, 2, 3, 0x5000, 4))
            self.assertEqual(struct.unpack(">H", receive(line, 13)[:2])[0], 501)
            self.assertEqual(struct.unpack(">H", receive(line, 17)[:2])[0], 502)

    def test_bit_error_and_wrong_unit_on_the_wire(self):
        with Building("--fault", "bit-error=1@r1", "--fault", "wrong-unit=1@r2") as building:
            with building.connect("r") as line:
                line.sendall(question(1, 4, ENERGY, 2))
                self.assertNotEqual(crc16(receive(line, REPLY_BYTES)), 0)
                line.sendall(question(2, 4, ENERGY, 2))
                reply = receive(line, REPLY_BYTES)
                self.assertEqual((crc16(reply), reply[0]), (0, 3))

    def test_the_seed_replays_which_exchanges_fail(self):
        def outcomes():
            with Building("--fault", "exception=0.3", "--turnaround", "0") as building:
                with building.connect("t") as line:
                    seen = []
                    for number in range(200):
                        line.sendall(struct.pack(">HHHBBHH", number, 0, 6, 1, 4, ENERGY, 2))
                        head = receive(line, 8)
                        receive(line, 1 if head[7] & 0x80 else 5)
                        seen.append(bool(head[7] & 0x80))
                    return seen

        first = outcomes()
        self.assertEqual(first, outcomes())
        self.assertTrue(30 < sum(first) < 90, sum(first))

    def test_a_dead_meter_and_the_control_port(self):
        with Building("--dead", "r1") as building, building.connect("r") as line:
            line.sendall(question(1, 4, ENERGY, 2))
            self.assertTrue(silent_for(line, 0.3))
            self.assertEqual(building.command("alive r1"), "ok\n")
            self.assertEqual(building.command("set r1 777.5"), "ok\n")
            line.sendall(question(1, 4, ENERGY, 2))
            self.assertAlmostEqual(energy_in(receive(line, REPLY_BYTES)), 777.5, delta=0.2)
            self.assertIn("error: ", building.command("set nobody 1"))
            self.assertAlmostEqual(building.register("r1"), 777.5, delta=0.2)
            with open(building.truth) as file:
                self.assertRegex(file.read(), r'"meter":"r1","register":"777\.5')


class Program(unittest.TestCase):
    def test_it_stops_cleanly_and_leaves_no_link(self):
        for with_signal in (signal.SIGTERM, signal.SIGINT):
            with Building() as building:
                self.assertTrue(os.readlink(building.link).startswith("/dev/pts/"))
                with building.connect("r"), building.connect("t"):
                    self.assertEqual(building.stop(with_signal), 0)
                self.assertFalse(os.path.lexists(building.link))

    def test_a_link_of_an_earlier_run_is_replaced_and_a_file_is_not(self):
        with Building() as building:
            building.process.kill()
            building.process.wait()
            self.assertTrue(os.path.lexists(building.link))
            again = subprocess.Popen(building.arguments, stdout=subprocess.PIPE, text=True)
            while not again.stdout.readline().startswith("ready"):
                self.assertIsNone(again.poll())
            again.terminate()
            self.assertEqual(again.wait(DEADLINE_S), 0)
            again.stdout.close()
            with open(building.link, "w") as file:
                file.write("precious")
            refused = subprocess.run(building.arguments, capture_output=True, text=True)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("is no link of ours", refused.stderr)

    def run_with(self, *more):
        building = Building(*more)
        done = subprocess.run(building.arguments, capture_output=True, text=True,
                              timeout=DEADLINE_S)
        building.folder.cleanup()
        return done

    def test_list_and_bad_usage(self):
        listed = self.run_with("--list")
        self.assertEqual(listed.returncode, 0)
        self.assertEqual(len(listed.stdout.splitlines()), 6)
        self.assertIn("p1  p  modbus+rtu://", listed.stdout)
        for more in (["--speed", "0"], ["--seed", "x"], ["--fault", "noise=1"],
                     ["--dead", "nobody"], ["--start", "t1=abc"], ["--start-time", "25:00"],
                     ["--port", "b9=1"], ["--unknown"], ["--late-transactions", "0"]):
            done = self.run_with(*more)
            self.assertEqual(done.returncode, 2, more)
            self.assertTrue(done.stderr, more)
        self.assertIn("late-reply", subprocess.run([SIM, "--help"], capture_output=True,
                                                   text=True).stdout)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
