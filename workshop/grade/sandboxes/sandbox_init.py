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
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from workshop.grade.sandboxes.sandbox_files import RUN_INSIDE
from workshop.grade.sandboxes.sandbox_sockets import CONF, DOOR_INSIDE, READY, receive
from workshop.labs import find
from workshop.paths import ROOT
from workshop.run import nginx_config, process, tcp_ports, unix_to_tcp
from workshop.run.agent import Agent, _Handler, _Server
from workshop.run.nginx_process import NginxProcess
from workshop.run.target_processes import TargetProcesses

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
TARGET = "/target"
NGINX_SECONDS = 15.0
STACK = 256 << 10  # bytes of a thread's: a bridge has two threads a connection, and a load run a thousand


class Handler(_Handler):
    """Requests of the judge process's, over a connection that begins as a bridge's does."""

    server: Server

    def handle(self) -> None:
        self.wfile.write(unix_to_tcp.OPEN)
        super().handle()

    def reply(self, line: bytes) -> dict[str, Any]:
        """A command is told with the sandbox's own ports, whichever they are on this host."""
        reply = super().reply(line)
        for port, own in self.server.own_ports.items() if "command" in reply else ():
            reply["command"] = reply["command"].replace(str(port), str(own))
        return reply


class Server(_Server):
    """The agent's server, on a socket that was made outside."""

    def __init__(self, listener: socket.socket, agent: Agent, own_ports: dict[int, int]) -> None:
        super().__init__("", Handler, bind_and_activate=False)
        self.own_ports = own_ports
        self.socket.close()
        self.socket = listener
        self.agent = agent


class NginxAlone:
    """Whether it is the agent's nginx that listens in front: the submission can end it, and take its port."""

    def __init__(self, door: NginxProcess) -> None:
        self._door = door
        self._sockets: set[int] = set()  # those that were seen to be nginx's: the kernel numbers none twice

    def is_there(self) -> bool:
        ports = {front.port for front in self._door.fronts}
        there = {inode for port, inode in tcp_ports.listening() if port in ports}
        if not there or (there != self._sockets and not self._door.is_ready()):
            return False
        self._sockets = there
        return True


def limit(limits: dict[str, int]) -> None:
    """Limits that every process from here on inherits: {"NOFILE": 1024, …}, as `resource` names them."""
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))


def run(lab_number: str) -> None:
    """Come up, say so once, and serve until the sandbox is ended from outside."""
    for option, value in ((PR_SET_DUMPABLE, 0), (PR_SET_NO_NEW_PRIVS, 1)):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    limit(json.loads(os.environ.pop("SANDBOX_LIMITS", "{}")))
    threading.stack_size(STACK)
    target = Path(os.environ.pop("SANDBOX_TARGET", TARGET))
    shift = int(os.environ.pop("SANDBOX_SHIFT", "0"))  # where the host's ports are not the sandbox's own
    knock = os.environ.pop("SANDBOX_DOOR", DOOR_INSIDE)
    link, listeners = receive(knock)
    lab = find(lab_number)
    folder = Path(tempfile.gettempdir(), "run")
    folder.mkdir()
    process.adopt_orphans()
    crew = TargetProcesses(lab, target, "127.0.0.1")
    crew.ports = {name: port + shift for name, port in unix_to_tcp.ports(lab).items()}
    crew.hold_given()
    agent = Agent(lab, {"learner": crew})
    program = nginx_config.command()
    front = nginx_config.Front("learner", f"127.0.0.1:{unix_to_tcp.FRONT + shift}", crew.ports, target)
    written = ROOT / "front" if not nginx_config.is_own(lab) and folder == RUN_INSIDE else None
    door = NginxProcess(lab, [front], "127.0.0.1", folder, folder, program or "", written=written)
    agent.door = door
    door.main = {"nginx.conf": Path(knock).with_name(CONF).read_text(encoding="utf-8")}
    door.write()
    door.open()
    server = Server(
        listeners.pop(unix_to_tcp.AGENT), agent, {port: port - shift for port in crew.ports.values()}
    )
    unix_to_tcp.serve(listeners.pop(unix_to_tcp.FRONT), unix_to_tcp.FRONT + shift, NginxAlone(door).is_there)
    for port, listener in listeners.items():
        unix_to_tcp.serve(listener, port + shift)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    well = door.refused or await_nginx(door)
    trouble = ("" if well else "nginx does not listen") or crew.await_given()
    link.sendall(READY if not trouble else " ".join(trouble.split())[-300:].encode() + b"\n")
    link.close()
    threading.Event().wait()


def await_nginx(door: NginxProcess) -> bool:
    """Whether nginx listens, or it is the submission's own configuration that keeps it from that."""
    deadline = time.monotonic() + NGINX_SECONDS
    while door.running and time.monotonic() < deadline:
        status = door.status()
        if status["refused"] or (status["code"] is not None and nginx_config.is_own(door.lab)):
            return True
        if status["code"] is not None:
            return False
        if status["ready"]:
            return True
        time.sleep(process.POLL)
    return False


if __name__ == "__main__":
    run(sys.argv[1])
