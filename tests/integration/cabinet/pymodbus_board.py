#!/usr/bin/python3
"""A module of eight inputs by Debian's python3-pymodbus, at address 1 over Modbus TCP.

    pymodbus_board.py PORT

Prints "ready" once it serves; each line of standard input, such as 11011111, sets the inputs.
Runs on pymodbus 3.0 (Debian 12) and 3.8 (Debian 13).
"""
import asyncio
import sys
import threading

from pymodbus.datastore import ModbusServerContext, ModbusSlaveContext, ModbusSequentialDataBlock
from pymodbus.server import StartAsyncTcpServer


def board(block_of):
    try:
        return ModbusSlaveContext(zero_mode=True, di=block_of(0))
    except TypeError:  # newer ones count their registers from 1 and cannot be told otherwise
        return ModbusSlaveContext(di=block_of(1))


BLOCKS = []


def block_of(first):
    BLOCKS[:] = [(ModbusSequentialDataBlock(first, [True] * 8), first)]
    return BLOCKS[0][0]


def follow():
    for line in sys.stdin:
        block, first = BLOCKS[0]
        block.setValues(first, [level == "1" for level in line.strip()])


async def main():
    context = ModbusServerContext(slaves={1: board(block_of)}, single=False)
    serving = StartAsyncTcpServer(context=context, address=("127.0.0.1", int(sys.argv[1])))
    task = asyncio.ensure_future(serving)
    await asyncio.sleep(0.5)
    threading.Thread(target=follow, daemon=True).start()
    print("ready", flush=True)
    await task


asyncio.run(main())
