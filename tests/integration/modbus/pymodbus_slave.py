#!/usr/bin/python3
"""A slave of Debian's python3-pymodbus: an SDM120 at address 1 and a pulse counter at address 2.

    pymodbus_slave.py tcp PORT | serial DEVICE | rtu-over-tcp PORT

Prints "ready" once it serves.
"""
import asyncio
import struct
import sys

from pymodbus.datastore import ModbusServerContext, ModbusSlaveContext, ModbusSparseDataBlock
from pymodbus.framer.rtu_framer import ModbusRtuFramer
from pymodbus.server import ModbusSerialServer, ModbusTcpServer


def floats(values):
    words = {}
    for address, value in values.items():
        high, low = struct.unpack(">HH", struct.pack(">f", value))
        words[address], words[address + 1] = high, low
    return words


def context():
    meter = ModbusSlaveContext(
        ir=ModbusSparseDataBlock(floats({0x00: 230.0, 0x06: 0.5, 0x0C: 125.0, 0x48: 1234.5})),
        hr=ModbusSparseDataBlock({0xFC00: 0x0113, 0xFC01: 0x8A2C}),
        zero_mode=True,
    )
    counter = ModbusSlaveContext(
        ir=ModbusSparseDataBlock({60 + i: (i + 1) // 2 * (i % 2) for i in range(16)}),
        zero_mode=True,
    )
    return ModbusServerContext(slaves={1: meter, 2: counter}, single=False)


async def main():
    kind, where = sys.argv[1], sys.argv[2]
    if kind == "serial":
        server = ModbusSerialServer(context(), framer=ModbusRtuFramer, port=where, baudrate=9600)
        await server.start()
    else:
        extra = {"framer": ModbusRtuFramer} if kind == "rtu-over-tcp" else {}
        server = ModbusTcpServer(context(), address=("127.0.0.1", int(where)), **extra)
    task = asyncio.ensure_future(server.serve_forever())
    await asyncio.sleep(0.2)
    print("ready", flush=True)
    await task


asyncio.run(main())
