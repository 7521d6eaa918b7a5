#!/usr/bin/python3
"""A slave of Debian's python3-pymodbus: an SDM120 at address 1 and a pulse counter at address 2.

    pymodbus_slave.py tcp PORT | serial DEVICE | rtu-over-tcp PORT

Prints "ready" once it serves. Runs on pymodbus 3.0 (Debian 12, which needs python3-serial-asyncio
beside it) and 3.8 (Debian 13).
"""
import asyncio
import struct
import sys

from pymodbus.datastore import ModbusServerContext, ModbusSlaveContext, ModbusSparseDataBlock
from pymodbus.server import StartAsyncSerialServer, StartAsyncTcpServer

try:
    from pymodbus.framer import FramerType

    RTU = FramerType.RTU
except ImportError:
    from pymodbus.framer.rtu_framer import ModbusRtuFramer as RTU


def floats(values):
    words = {}
    for address, value in values.items():
        high, low = struct.unpack(">HH", struct.pack(">f", value))
        words[address], words[address + 1] = high, low
    return words


def slave(**tables):
    try:
        blocks = {name: ModbusSparseDataBlock(words) for name, words in tables.items()}
        return ModbusSlaveContext(zero_mode=True, **blocks)
    except TypeError:  # newer ones count their registers from 1 and cannot be told otherwise
        blocks = {
            name: ModbusSparseDataBlock({address + 1: word for address, word in words.items()})
            for name, words in tables.items()
        }
        return ModbusSlaveContext(**blocks)


def context():
    meter = slave(
        ir=floats({0x00: 230.0, 0x06: 0.5, 0x0C: 125.0, 0x48: 1234.5}),
        hr={0xFC00: 0x0113, 0xFC01: 0x8A2C},
    )
    pulses = {60 + i: (i + 1) // 2 * (i % 2) for i in range(16)}
    counter = slave(ir={**pulses, 270: 0x00BC, 271: 0x614E})
    return ModbusServerContext(slaves={1: meter, 2: counter}, single=False)


async def main():
    kind, where = sys.argv[1], sys.argv[2]
    if kind == "serial":
        serving = StartAsyncSerialServer(context=context(), framer=RTU, port=where, baudrate=9600)
    elif kind == "rtu-over-tcp":
        serving = StartAsyncTcpServer(
            context=context(), framer=RTU, address=("127.0.0.1", int(where))
        )
    else:
        serving = StartAsyncTcpServer(context=context(), address=("127.0.0.1", int(where)))
    task = asyncio.ensure_future(serving)
    await asyncio.sleep(0.5)
    print("ready", flush=True)
    await task


asyncio.run(main())
