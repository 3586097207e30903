"""`make debug-N`: the learner's code where `breakpoint()` works. It gives no points.

The probe's calls happen in this process; services run on this terminal, in its foreground group, without time
limits. So this is the one place where a check shares a process with the learner's code, and no verdict of it
counts. It is a pytest plug-in: `-p workshop.learn.debug` puts this stack in the place of the usual one.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workshop.errors import InfraError
from workshop.judge.stack import Address, Stack
from workshop.judge.stack_override import OTHER_STACK, OtherStack
from workshop.labs import Lab, target_folder
from workshop.run import nginx_config, process, service_command, tcp_ports
from workshop.run.call_record import CallRecord
from workshop.run.nginx_process import NginxProcess
from workshop.run.probe import import_first, perform
from workshop.run.probe_log import Log, describe_exception
from workshop.run.run_folder import RunFolder

DAY = 86400


def pytest_configure(config: pytest.Config) -> None:
    """Have the checks ask this process."""
    config.stash[OTHER_STACK] = OtherStack(debugging, DAY)


class DirectLine:
    """The probe's line to its record (run/probe_line.py), within one process."""

    def __init__(self, record: CallRecord) -> None:
        self._record = record

    def tell(self, message: Any) -> None:
        self.ask(message)

    def ask(self, message: Any) -> Any:
        data = json.dumps(message)
        return json.loads(json.dumps(self._record.hear(json.loads(data), len(data))))


class DebugStack(Stack):
    """A stack whose agent is this process."""

    folder: Path
    ports: dict[str, int]
    running: dict[str, subprocess.Popen[bytes]]
    door: NginxProcess | None = None

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        name = fields.get("service") or next(iter(self.lab.services))
        match do:
            case "start":
                return self._start(name)
            case "status":
                return self._reply(name)
            case "probe":
                return self._probe(fields)
            case "pids":
                return {"pids": [one.pid for key, one in self.running.items() if key == name]}
            case "rest":
                pids = [one.pid for key, one in self.running.items() if key == name]
                return {"at_rest": all(process.at_rest([pid, *process.descendants(pid)]) for pid in pids)}
            case "ticks":
                return {"pids": [], "ticks": [], "waits": []}  # a breakpoint is no hurry
            case "nginx":
                return self.door.status() if self.door is not None else {"code": None}
            case "signal":
                self.running[name].send_signal(fields["number"])  # unless it has ended
                return {"state": "sent"}
        raise InfraError(f"{do!r} is not part of debugging.")

    def _start(self, name: str) -> dict[str, Any]:
        port = self.ports[name]
        if name not in self.running or self.running[name].poll() is not None:
            words = service_command.argv(self.lab.services[name], "127.0.0.1", port, self.run)
            env = {
                **service_command.environment(self.lab, self.folder, on_terminal=True),
                "GUNICORN_CMD_ARGS": "--timeout 0",
            }
            self.running[name] = subprocess.Popen(words, cwd=self.folder, env=env)
        while self.running[name].poll() is None and not self._listens(name):
            time.sleep(process.POLL)
        return self._reply(name)

    def _listens(self, name: str) -> bool:
        pid = self.running[name].pid
        family = [pid, *process.descendants(pid)]
        return tcp_ports.owner("127.0.0.1", self.ports[name], family) is tcp_ports.Owner.OURS

    def _reply(self, name: str) -> dict[str, Any]:
        code = self.running[name].poll() if name in self.running else None
        words = service_command.argv(self.lab.services[name], "127.0.0.1", self.ports[name])
        return {
            "state": "ready" if code is None else "exited",
            "service": name,
            "port": self.ports[name],
            "code": code,
            "output": "",
            "mark": 0,
            "left_behind": 0,
            "flooded": False,
            "seconds": 0,
            "command": service_command.shown_command(words),
            "folder": str(self.folder),
        }

    def _probe(self, request: dict[str, Any]) -> dict[str, Any]:
        for module in request["modules"]:
            problem = import_first(module)
            if problem is not None:
                return {"not_imported": {"import": problem}, "module": module, "folder": str(self.folder)}
        record = CallRecord(request)
        try:
            perform(record.request, Log(DirectLine(record)))
        except Exception as error:
            return {"not_imported": {"import": describe_exception(error)}, "module": "", "folder": ""}
        return {"events": record.events, "folder": str(self.folder)}


@contextlib.contextmanager
def debugging(lab: Lab, target: str) -> Iterator[DebugStack]:
    """A stack for debugging; what it starts ends with it."""
    folder = RunFolder()
    folder.path.chmod(0o711)
    front = Address("127.0.0.1", tcp_ports.free_port())
    stack = DebugStack(lab, target, "debug", folder.path, front, front.url)
    stack.folder = target_folder(lab, target)
    stack.ports = {name: tcp_ports.free_port() for name in lab.services}
    stack.running = {}
    sys.path[:0] = service_command.environment(lab, stack.folder)["PYTHONPATH"].split(os.pathsep)
    try:
        _start_nginx(stack)
        yield stack
    finally:
        for one in stack.running.values():
            process.end_tree(one.pid, grace=1)
            one.wait()
        if stack.door is not None:
            stack.door.close()
        folder.remove()


def _start_nginx(stack: DebugStack) -> None:
    program = nginx_config.command()
    if program is None or stack.front is None:
        stack.front = None
        return
    options = {**stack.lab.nginx, "proxy_read_timeout": f"{DAY}s"}
    patient = Lab(**{**stack.lab.__dict__, "nginx": options})
    fronts = [nginx_config.Front("learner", f"127.0.0.1:{stack.front.port}", stack.ports, stack.folder)]
    stack.door = NginxProcess(patient, fronts, "127.0.0.1", stack.run, stack.run, program)
    stack.door.write()
    stack.door.open()
