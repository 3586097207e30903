"""The first program of a sandbox: takes the sockets, starts nginx and the bridges, and becomes the agent.

It runs beside the submission, so it holds no answer and decides nothing; and it makes itself undumpable, so
that code of the same user can neither trace it nor take its sockets.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import sys
import threading
import time
from pathlib import Path

from workshop import bridge, nginx, process
from workshop.agent import Agent, Crew, _Handler, _Server
from workshop.door import Door
from workshop.grade.handover import READY, receive
from workshop.labs import find
from workshop.stack import AGENT_PORT, FRONT_INSIDE, sandbox_ports
from workshop.wire import BRIDGE_OPEN

PR_SET_DUMPABLE = 4
RUN = Path("/tmp/run")
TARGET = Path("/target")
NGINX_SECONDS = 10.0


class Handler(_Handler):
    """Requests of the proctor's, over a connection that begins as a bridge's does."""

    def handle(self) -> None:
        self.wfile.write(BRIDGE_OPEN)
        super().handle()


class Server(_Server):
    """The agent's server, on a socket that was made outside."""

    def __init__(self, listener: socket.socket, agent: Agent) -> None:
        super().__init__("", Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.agent = agent


def limit(limits: dict[str, int]) -> None:
    """Limits that every process from here on inherits: {"NOFILE": 1024, …}, as `resource` names them."""
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))


def run(lab_number: str) -> None:
    """Come up, say so once, and serve until the sandbox is ended from outside."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    limit(json.loads(os.environ.pop("SANDBOX_LIMITS", "{}")))
    link, listeners = receive()
    lab = find(lab_number)
    RUN.mkdir()
    process.adopt_orphans()
    crew = Crew(lab, TARGET, "127.0.0.1")
    crew.ports = sandbox_ports(lab)
    agent = Agent(lab, {"learner": crew})
    program = nginx.command()
    front = nginx.Front("learner", f"127.0.0.1:{FRONT_INSIDE}", crew.ports, TARGET)
    door = agent.door = Door(lab, [front], "127.0.0.1", RUN, RUN, program or "")
    door.write()
    door.open()
    server = Server(listeners.pop(AGENT_PORT), agent)
    for port, listener in listeners.items():
        bridge.serve(listener, port)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    link.sendall(READY if door.refused or await_nginx(door) else b"nginx does not listen\n")
    link.close()
    threading.Event().wait()


def await_nginx(door: Door) -> bool:
    deadline = time.monotonic() + NGINX_SECONDS
    while door.running and door.status()["code"] is None and time.monotonic() < deadline:
        if process.is_listening("127.0.0.1", FRONT_INSIDE):
            return True
        time.sleep(process.POLL)
    return False


if __name__ == "__main__":
    run(sys.argv[1])
