#!/usr/bin/python3
"""Modbus slaves that this project did not write: framing, decoding and answering are pymodbus's.

Only the transport is here (sockets and pseudo-terminals), so that a test can pull a plug at a known
moment and so that nothing is needed beyond python3-pymodbus. One process, one thread, driven by one
JSON object a line on standard input; each is answered by one line, `{"ok": ...}` or
`{"error": ...}`. It ends when standard input ends.

  {"op": "tcp",   "bus": B, "port": P}           listens on 127.0.0.1:P (0: a free one)
  {"op": "pty",   "bus": B, "link": PATH}        opens a pseudo-terminal, linked at PATH
  {"op": "close", "bus": B}                      pulls the plug: port and connections, or terminal
  {"op": "free",  "bus": B}                      forgets the exclusive use of a program that died
  {"op": "words", "bus": B, "unit": U, "function": F, "address": A, "words": [...]}
  {"op": "mute",  "bus": B, "unit": U, "on": true}    that unit never answers
  {"op": "twin",  "bus": B, "unit": U, "delay_ms": D, "function": F, "address": A, "words": [...]}
                                                 a second device with that address: at once, so
                                                 that both talk over each other, or D later
  {"op": "count", "bus": B}                      requests answered so far
"""
import fcntl
import json
import os
import selectors
import socket
import sys
import termios
import threading
import tty

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.factory import ServerDecoder
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer

LARGEST_READ = 4096


def new_unit():
    """All 65,536 registers, all zero, read from address 0 on."""
    return ModbusSlaveContext(
        ir=ModbusSequentialDataBlock(0, [0] * 65536),
        hr=ModbusSequentialDataBlock(0, [0] * 65536),
        zero_mode=True,
    )


class Bus:
    """The units of one bus and what stands open for it."""

    def __init__(self):
        self.units = {}
        self.twins = {}  # unit -> (its second device, how much later that one answers)
        self.muted = set()
        self.answered = 0
        self.listener = None
        self.connections = []
        self.terminal = None
        self.link = None

    def unit(self, number):
        return self.units.setdefault(number, new_unit())

    def serve(self, framer, data, send):
        context = ModbusServerContext(slaves=self.units, single=False)

        def answer(request):
            if request.unit_id in self.muted:
                return
            self.answered += 1
            frame = self.frame(framer, request, context[request.unit_id])
            if request.unit_id not in self.twins:
                send(frame)
                return
            twin, delay_ms = self.twins[request.unit_id]
            second = self.frame(framer, request, twin)
            if delay_ms == 0:
                send(talk_over_each_other(frame, second))
                return
            send(frame)
            threading.Timer(delay_ms / 1000, send, [second]).start()

        framer.processIncomingPacket(
            data=data, callback=answer, unit=list(self.units), single=False
        )


    @staticmethod
    def frame(framer, request, unit):
        response = request.execute(unit)
        response.transaction_id = request.transaction_id
        response.unit_id = request.unit_id
        return framer.buildPacket(response)


def talk_over_each_other(one, other):
    """Two drivers on one pair: where either pulls low the line is low."""
    longer = one if len(one) >= len(other) else other
    both = min(len(one), len(other))
    return bytes(a & b for a, b in zip(one, other)) + longer[both:]


class Slaves:
    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.buses = {}
        self.selector.register(sys.stdin.buffer.fileno(), selectors.EVENT_READ, self.command_bytes)
        self.pending = b""
        self.running = True

    def run(self):
        while self.running:
            for key, _ in self.selector.select():
                if key.fd in self.selector.get_map():
                    key.data()

    def command_bytes(self):
        data = os.read(sys.stdin.buffer.fileno(), LARGEST_READ)
        if not data:
            self.running = False
            return
        self.pending += data
        while b"\n" in self.pending:
            line, self.pending = self.pending.split(b"\n", 1)
            try:
                answer = {"ok": self.command(json.loads(line))}
            except Exception as error:  # the test is told, whatever it was
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)

    def command(self, command):
        bus = self.buses.setdefault(command["bus"], Bus())
        op = command["op"]
        if op == "tcp":
            return self.open_tcp(bus, command["port"])
        if op == "pty":
            return self.open_terminal(bus, command["link"])
        if op == "close":
            return self.close(bus)
        if op == "free":
            fcntl.ioctl(bus.terminal[1], termios.TIOCNXCL)
            return None
        if op == "words":
            bus.unit(command["unit"]).setValues(
                command["function"], command["address"], command["words"]
            )
            return None
        if op == "mute":
            change = bus.muted.add if command["on"] else bus.muted.discard
            return change(command["unit"])
        if op == "twin":
            twin, _ = bus.twins.setdefault(command["unit"], (new_unit(), 0))
            twin.setValues(command["function"], command["address"], command["words"])
            bus.twins[command["unit"]] = (twin, command["delay_ms"])
            return None
        if op == "count":
            return bus.answered
        raise ValueError(f"no operation {op}")

    def open_tcp(self, bus, port):
        bus.listener = socket.create_server(("127.0.0.1", port))
        self.selector.register(bus.listener, selectors.EVENT_READ, lambda: self.accept(bus))
        return bus.listener.getsockname()[1]

    def accept(self, bus):
        connection, _ = bus.listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        framer = ModbusSocketFramer(ServerDecoder(), client=None)
        bus.connections.append(connection)

        def readable():
            try:
                data = connection.recv(LARGEST_READ)
                if data:
                    bus.serve(framer, data, connection.sendall)
            except OSError:
                data = b""
            if not data:
                self.selector.unregister(connection)
                bus.connections.remove(connection)
                connection.close()

        self.selector.register(connection, selectors.EVENT_READ, readable)

    def open_terminal(self, bus, link):
        # The slave's end stays open here: otherwise each restart of the daemon would hang it up.
        master, slave = os.openpty()
        tty.setraw(slave)
        os.symlink(os.ttyname(slave), link)
        framer = ModbusRtuFramer(ServerDecoder(), client=None)
        bus.terminal = (master, slave)
        bus.link = link

        def readable():
            data = os.read(master, LARGEST_READ)
            bus.serve(framer, data, lambda reply: os.write(master, reply))

        self.selector.register(master, selectors.EVENT_READ, readable)
        return os.ttyname(slave)

    def close(self, bus):
        for each in [bus.listener, *bus.connections]:
            if each is not None:
                self.selector.unregister(each)
                each.close()
        bus.listener = None
        bus.connections = []
        if bus.terminal is not None:
            self.selector.unregister(bus.terminal[0])
            os.unlink(bus.link)
            for end in bus.terminal:
                os.close(end)
            bus.terminal = None


if __name__ == "__main__":
    Slaves().run()
