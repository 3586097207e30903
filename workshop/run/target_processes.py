"""The processes of one target: its services by name, and its probe. Started, watched and ended here."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workshop.labs import Lab, Service
from workshop.run import given_services, process, recorded_apps, service_command, tcp_ports
from workshop.run.in_service import where_it_waits
from workshop.run.probe_pool import ProbePool
from workshop.run.probe_process import ProbeProcess
from workshop.run.run_folder import RunFolder

Reply = dict[str, Any]
IN_SERVICE = Path(where_it_waits.__file__).parent
IMPORT_SECONDS = 4.0
STACK_SECONDS = 1.0
PORTS_TRIED = 5
TICKS = os.sysconf("SC_CLK_TCK")
GIVEN_SECONDS = 20.0  # for what a service of ours does: on a busy machine it may be slow, and is not at fault
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)


class TargetProcesses:
    """The processes of one target: its services by name, and its probe.

    `moved` is called when a service was given another port, since somebody else has its own. Without it ports
    are fixed.
    """

    def __init__(self, lab: Lab, folder: Path, bind: str) -> None:
        self.lab, self.folder, self.bind = lab, folder, bind
        self.ports = {name: tcp_ports.free_port(bind) for name in lab.services}
        self.running: dict[str, process.Process] = {}
        self.failed: dict[str, Reply] = {}
        self.held: dict[str, socket.socket] = {}
        self.waiting: dict[str, socket.socket] = {}  # what tells a given service to begin
        self.listeners: dict[str, tcp_ports.Listener] = {}
        self.told: set[int] = set()
        self.closing = False
        self.record = False  # what the applications that services serve are asked, and answer
        self.moved: Callable[[], None] | None = None
        self.probes = ProbePool(self._new_probe)
        self.locks = {name: threading.RLock() for name in lab.services}
        self.temporary = RunFolder()
        self.state = self.temporary.path

    def environment(self) -> dict[str, str]:
        """What the learner's processes see. Whatever they leave in the temporary folder goes with the run."""
        return {**service_command.environment(self.lab, self.folder), "TMPDIR": str(self.state)}

    def hold_given(self) -> None:
        """Before any code of the learner's runs: a process for each service that the lab gives."""
        for name in (one.name for one in self.lab.services.values() if one.given):
            self.held[name] = given_services.bound(self.bind, self.ports[name])
            self._spawn(self.lab.services[name])

    def await_given(self) -> str:
        """Why one of them does not wait to be asked for; "" when all do."""
        told = self.waiting.items()
        late = [name for name, one in told if not given_services.is_waiting(one, GIVEN_SECONDS)]
        return "; ".join(f"{name} did not begin: {self.running[name].output()}" for name in late)

    def start_early(self, name: str) -> None:
        """Start a service that nobody has asked for yet: what a check does with it comes first."""
        with self.locks[name]:
            if name not in self.running:
                self.start(name)

    def start(self, name: str, hurry: bool = False) -> Reply:
        """Start a service unless it runs; returns when it listens, has exited, or is out of time.

        In a `hurry` that is half of its lab's time.

        What did not start is not tried again: the same files would do the same. `restart` forgets that, but
        for what the lab gives: that was ended by the learner's code.
        """
        with self.locks[name]:
            if name in self.failed:
                return self.failed[name]
            current = self.running.get(name)
            if self.closing:
                return {"state": "absent", "service": name}
            if current is not None and name in self.held and current.exit_code() is not None:
                return self._exited(name, current)
            if name in self.waiting and current is not None:
                self._let_go(name, current)
            if current is not None and self._listens_as_before(name, current):
                return self._reply("ready", name, current)
            for _ in range(PORTS_TRIED):
                if current is None or current.exit_code() is not None:
                    self._clear(name)
                    current = self._spawn(self.lab.services[name])
                reply = self._await_listening(name, current, self._start_seconds(name, hurry))
                if reply["state"] != "taken":
                    return reply
                self._move(name)
                current = None
            raise OSError(f"other programs took {PORTS_TRIED} ports in turn")

    def _start_seconds(self, name: str, hurry: bool) -> float:
        if name in self.held:
            return GIVEN_SECONDS
        return self.lab.start_seconds / 2 if hurry else self.lab.start_seconds

    def _move(self, name: str) -> None:
        """Give a service another port: somebody else has the one that it was to have."""
        assert self.moved is not None
        self._clear(name)
        self.ports[name] = tcp_ports.free_port(self.bind)
        self.moved()

    def _let_go(self, name: str, one: process.Process) -> None:
        """Have a given service begin that has waited for it."""
        with self.waiting.pop(name) as told, contextlib.suppress(OSError):
            told.send(given_services.WAITS)
        one.started = time.monotonic()

    def _spawn(self, service: Service) -> process.Process:
        words = service_command.argv(service, self.bind, self.ports[service.name], self.state)
        held = self.held.get(service.name)
        if held is None:
            env = self.environment()
            env["PYTHONPATH"] = os.pathsep.join([str(IN_SERVICE), env["PYTHONPATH"]])
            if self.record:
                env = recorded_apps.environment(env, service, self.state)
            started = process.Process(words, cwd=self.folder, env=env)
        else:
            started = self._spawn_given(service, words, held)
        self.running[service.name] = started
        return started

    def _spawn_given(self, service: Service, words: list[str], held: socket.socket) -> process.Process:
        argv = given_services.argv(words, held.fileno())
        env = given_services.environment(self.lab, self.state)
        self.waiting[service.name], theirs = socket.socketpair()
        with theirs:
            started = process.Process(
                argv, cwd=self.lab.folder, env=env, stdin=theirs.fileno(), pass_fds=(held.fileno(),)
            )
        started.argv = words  # as it is shown
        return started

    def _await_listening(self, name: str, one: process.Process, limit: float) -> Reply:
        """Wait until it listens, or has exited, or surely never will.

        A process that sits still for a second after its time is over never will; one that still works may be
        on a busy machine, and gets up to three times as long, until it has had its time of a processor.
        """
        used, moved = 0, one.started
        while True:
            exited = one.exit_code() is not None
            owner = tcp_ports.Owner.NOBODY if exited else self._owner(name, one)
            if owner is tcp_ports.Owner.OURS:
                self._note_listener(name, one)
                return self._reply("ready", name, one)
            if owner is tcp_ports.Owner.OTHER and self.moved is not None:
                return {"state": "taken"}
            if exited or self.closing:
                return self._exited(name, one)
            now = time.monotonic()
            if now > one.started + limit - 1.0:
                family = [one.pid, *process.descendants(one.pid)]
                if (ticks := process.cpu_ticks(family)) != used:
                    used, moved = ticks, now
                still = now > moved + 1.0 or ticks > limit * TICKS
                if (now > one.started + limit and still) or now > one.started + 3 * limit:
                    reply = self._reply("silent", name, one)
                    reply["listens_on"] = tcp_ports.ports_of(family)
                    reply["taken"] = owner is tcp_ports.Owner.OTHER
                    return self._give_up(name, reply)
            time.sleep(max(process.POLL, (now - one.started) / 16))  # what takes long is asked less often

    def _owner(self, name: str, one: process.Process) -> tcp_ports.Owner:
        """Whose the port is: the service's, with all that it started and left behind, or a stranger's."""
        port = self.ports[name]
        if name in self.held:  # nobody else can have it
            listens = tcp_ports.is_listening(self.bind, port)
            return tcp_ports.Owner.OURS if listens else tcp_ports.Owner.NOBODY
        found = tcp_ports.owner(self.bind, port, [one.pid])
        if found is not tcp_ports.Owner.OTHER:
            return found
        tops = (one.pid, *process.orphans())
        return tcp_ports.owner(self.bind, port, [*tops, *process.descendants(*tops)])

    def _exited(self, name: str, one: process.Process) -> Reply:
        left = self._left_behind(one)
        if not left:
            one.drain(0.5)
        reply = self._reply("exited", name, one)
        reply["left_behind"] = len(left)
        return self._give_up(name, reply)

    @staticmethod
    def _left_behind(one: process.Process) -> set[int]:
        """What runs on although it has ended; helpers that are about to end themselves get a moment."""
        deadline = time.monotonic() + 0.5
        while True:
            left = {*process.below(one), *process.orphans()}
            left -= set(process.zombies(left))
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(process.POLL)

    def _give_up(self, name: str, reply: Reply) -> Reply:
        """End it, and remember why: except where a check told it to end, before it was up."""
        self._clear(name)
        if self.moved is not None and not tcp_ports.can_bind(self.bind, self.ports[name]):
            return {"state": "taken"}
        if reply["pid"] not in self.told:
            self.failed[name] = reply
        return reply

    def _reply(self, state: str, name: str, one: process.Process) -> Reply:
        return {
            "state": state,
            "service": name,
            "port": self.ports[name],
            "pid": one.pid,
            "code": one.exit_code(),
            "told": one.pid in self.told,
            "flooded": one.flooded,
            "output": "" if state == "ready" else one.output(),  # each request of a check's asks for that
            "mark": one.written,
            "seconds": round(time.monotonic() - one.started, 2),
            "command": service_command.shown_command(one.argv),
            "listener": self._listener(name, one) if state == "ready" else "",
            "folder": str(self.folder),
        }

    def _note_listener(self, name: str, one: process.Process) -> None:
        """Which of its processes listens: a service may have become another one."""
        self.listeners.pop(name, None)
        if name not in self.held:
            found = tcp_ports.listener(self.ports[name], process.family(one.pid))
            self.listeners |= {name: found} if found else {}

    def _listens_as_before(self, name: str, one: process.Process) -> bool:
        """Whether what was found ready has not changed: every request of a check's asks for that first."""
        known = self.listeners.get(name)
        return known is not None and one.exit_code() is None and known.still_listens()

    def _listener(self, name: str, one: process.Process) -> str:
        """The program that listens, by its command line."""
        if name in self.held:
            return service_command.shown_command(one.argv)
        return self.listeners[name].command() if name in self.listeners else ""

    def status(self, name: str, since: int = 0) -> Reply:
        one = self.running.get(name)
        if one is None:
            return {"state": "absent", "service": name, "output": "", "mark": 0, "folder": str(self.folder)}
        exited = one.exit_code() is not None
        if exited:  # its last words may still be on the way: they are what the report is about
            one.drain(0.5)
        reply = self._reply("exited" if exited else "running", name, one)
        reply["output"] = one.output(since)
        return reply

    def recorded(self, since: float) -> Reply:
        """What applications noted and services printed since a moment of the monotonic clock."""
        return {
            "events": recorded_apps.events(self.state, since) if self.record else None,
            "printed": {name: one.printed(since) for name, one in list(self.running.items())},
        }

    def pids(self, name: str) -> list[int]:
        one = self.running.get(name)
        return [one.pid, *process.below(one)] if one else []

    def send_signal(self, name: str, number: int, pid: int | None = None) -> Reply:
        """Send a signal to a service's first process, or to one of its descendants."""
        known, one = self.pids(name), self.running.get(name)
        wanted = pid or (known[0] if known else 0)
        if wanted not in known:
            return {"state": "absent"}  # it has ended by itself: the check sees what became of it
        if wanted == known[0] and number in ENDING:
            self.told.add(wanted)
        if one is not None and (wanted != one.pid or one.exit_code() is None):
            process.send([wanted], number)
        return {"state": "sent"}

    def stacks(self, name: str) -> str:
        """End a service that hangs, and have it say where: its tasks and threads (in_service/)."""
        one = self.running.get(name)
        if one is None:
            return ""
        mark, known = one.written, self.pids(name)[one.exit_code() is not None :]
        self.told.add(one.pid)
        if where_it_waits.number():
            process.send(known, where_it_waits.number())
            deadline = time.monotonic() + STACK_SECONDS
            while one.output(mark).count(where_it_waits.END) < len(known) and time.monotonic() < deadline:
                time.sleep(process.POLL)
        process.send(known, signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.popen.wait(timeout=STACK_SECONDS)
        return one.output(mark)

    def _clear(self, name: str) -> None:
        with self.locks[name]:
            one = self.running.pop(name, None)
            self.listeners.pop(name, None)
            if one is not None:
                process.end_all([one])

    def processes(self) -> list[process.Process]:
        """Those that `end` ends: what the lab gives runs on."""
        services = [one for name, one in list(self.running.items()) if name not in self.held]
        return [*services, *self.probes.processes()]

    def end(self) -> None:
        """End every service and the probe, all at once; then what was about to start meanwhile."""
        process.end_all(self.processes())
        for name in self.lab.services:
            if name not in self.held:
                self._clear(name)
        self.probes.end()
        self.failed = {name: reply for name, reply in self.failed.items() if name in self.held}
        recorded_apps.forget(self.state)

    def prepare_probe(self) -> None:
        """Start a probe before anybody asks, where a check will."""
        if not self.closing and _asks_probe(self.lab):
            self.probes.prepare()

    def _new_probe(self) -> ProbeProcess:
        return ProbeProcess(self.folder, self.environment())

    def call_probe(self, request: dict[str, Any]) -> Reply:
        """Have a probe answer one request. One whose import failed is not used again."""
        with self.probes.one(request.get("modules", [])) as probe:
            for module in request.get("modules", []):
                problem = self._import(probe, module)
                if problem is not None:
                    return problem
            before = probe.process.written
            reply = probe.call(request, request["seconds"] + 3.0)
            reply.setdefault("output", probe.process.output(before))
            reply["shouted"] = probe.process.flooded
            return {"folder": str(self.folder), **reply}

    def _import(self, probe: ProbeProcess, module: str) -> Reply | None:
        if module in probe.imported:
            return None
        reply = probe.import_module(module, IMPORT_SECONDS)
        if reply.get("import", "gone") is None:
            probe.imported.add(module)
            return None
        trouble = {"folder": str(self.folder), "module": module, "output": probe.process.output()}
        probe.end()
        return {"not_imported": reply, **trouble}


def _asks_probe(lab: Lab) -> bool:
    """Whether a lab's checks call its code, by their text: some of a server's only talk to it."""
    return any("probe" in path.read_text(encoding="utf-8") for path in lab.folder.glob("test_*.py"))
