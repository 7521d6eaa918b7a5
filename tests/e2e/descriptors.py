#!/usr/bin/python3
"""libmodbus waits with select(), which must never be given a descriptor of 1,024 or above. The
daemon is started with all of those taken, then with some 900, and besieged by 1,000 clients: it
says that nothing is left, or each bus gets a low descriptor and nothing else suffers."""
import contextlib
import pathlib
import resource
import socket

from house import DAEMON, House, Process, check, equal, main, wait_for

PATIENT_CLIENTS = 1000
# A program that was careless with its own descriptors starts the daemon.
CARELESS = (
    "import os, sys\n"
    "while True:\n"
    "    fd = os.open('/dev/null', os.O_RDONLY)\n"
    "    os.set_inheritable(fd, True)\n"
    "    if fd + 1 >= int(sys.argv[1]):\n"
    "        break\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


def start_with(house, descriptors):
    daemon = Process(
        f"gatehoused-{descriptors}",
        ["/usr/bin/python3", "-c", CARELESS, descriptors, DAEMON, "--config", house.config],
        house.folder,
        environment={"STATE_DIRECTORY": ""},
    )
    house.started.append(daemon)
    return daemon


def highest_descriptor(house):
    return max(int(fd.name) for fd in pathlib.Path(f"/proc/{house.daemon.pid}/fd").iterdir())


def none_left_is_said(house):
    """Every descriptor below 1,024 is taken: it says so, and ends instead of reading wrongly."""
    daemon = start_with(house, 1024)
    equal("exit code", daemon.child.wait(60), 1)
    text = daemon.log.read_text()
    check(text, "no descriptor below 1024 is free" in text)
    house.started.remove(daemon)


def below_it_is_served(house):
    """Nine hundred and more stand open and the buses still fit below 1,024."""
    house.daemon = start_with(house, 940)
    house.wait_ready()
    house.slaves.register("b1", 1, 140)
    house.slaves.register("b2", 2, 240)
    house.wait_register("e-1", 140)
    house.wait_register("e-2", 240)


def besieged(house):
    """A thousand clients, most of which are turned away, cost no bus its descriptor."""
    clients = []
    for _ in range(PATIENT_CLIENTS):
        client = socket.socket(socket.AF_UNIX)
        clients.append(client)
        client.settimeout(5)
        with contextlib.suppress(OSError):
            client.connect(house.socket)
            client.sendall(b"GET /api/v1/status HTTP/1.1\r\n")  # and never the rest
    port = int(house.buses["b1"].rsplit(":", 1)[1])
    house.slaves.ask(op="close", bus="b1")
    house.slaves.ask(op="tcp", bus="b1", port=port)
    before = house.slaves.ask(op="count", bus="b1")
    wait_for("the bus is read while they stand there",
             lambda: house.slaves.ask(op="count", bus="b1") > before)  # fmt: skip
    highest = highest_descriptor(house)
    for client in clients:
        client.close()
    house.slaves.register("b1", 1, 150)
    house.wait_register("e-1", 150)
    check("the daemon lives", house.daemon.running())
    return highest


def test():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with House(mqtt=False) as house:
        house.tcp_bus("b1")
        house.pty_bus("b2")
        house.write_config()
        house.write_registry(
            [("e-1", "u-1", "b1", 1), ("e-2", "u-2", "b2", 2)],
            [("a-1", "u-1", "flat", "60.00"), ("a-2", "u-2", "flat", "60.00")],
        )
        house.slaves.register("b1", 1, 100)
        house.slaves.register("b2", 2, 200)
        house.launch()
        house.ctl("import", house.registry)
        house.wait_register("e-1", 100)
        house.wait_register("e-2", 200)
        house.daemon.stop()
        house.started.remove(house.daemon)
        none_left_is_said(house)
        below_it_is_served(house)
        print(f"highest descriptor beside 1,000 clients: {besieged(house)}")


if __name__ == "__main__":
    main(test)
