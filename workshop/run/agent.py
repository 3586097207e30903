"""The agent: runs the learner's service and the probe, and says what became of them. It judges nothing.

One agent serves one lab and one target. In Docker it is the container `app`; embedded it is a child of the
tool. Checks reach it through a Unix socket, one JSON line a request and one a reply:

    {"do": "start", "service": "wsgi"}   ready | exited | silent, with port, pid, command and output
    {"do": "status", "service": "wsgi"}  exit code (null: running), output, and a mark for later output;
                                         told: a check's signal asked its first process to end
    {"do": "rest", "service": "wsgi"}    whether all of its threads wait for something
    {"do": "restart"}                    end everything; the next start is of the files as they are now
    {"do": "signal", "service": ..., "number": 15}, {"do": "pids", "service": ...}  (and which are zombies)
    {"do": "connections", "service": ...}  the peers of its connections so far (null: nobody can tell)
    {"do": "probe", "module": ..., ...}  a transcript from workshop/run/probe.py

`crew` is "learner" (the default) or "reference", which a load run drives beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import shutil
import signal
import socketserver
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from workshop.errors import EXIT_INFRA, Refusal
from workshop.labs import Lab, Service, find, target_folder
from workshop.run import nginx_config, process, serve
from workshop.run.nginx_process import Door, clear

Reply = dict[str, Any]
PROBE = Path(__file__).with_name("probe.py")
IMPORT_SECONDS = 4.0
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
TETHERED = bool(os.environ.get("WORKSHOP_TETHERED"))


class Crew:
    """The processes of one target: its services by name, and its probe."""

    def __init__(self, lab: Lab, folder: Path, bind: str) -> None:
        self.lab, self.folder, self.bind = lab, folder, bind
        self.ports = {name: process.free_port(bind) for name in lab.services}
        self.running: dict[str, process.Process] = {}
        self.failed: dict[str, Reply] = {}
        self.told: set[int] = set()
        self.closing = False
        self.probe: Probe | None = None
        self.locks = {name: threading.RLock() for name in lab.services}
        self.probe_lock = threading.Lock()
        self.state = Path(tempfile.mkdtemp(prefix="workshop-state-"))

    def environment(self) -> dict[str, str]:
        """What the learner's processes see. Whatever they leave in the temporary folder goes with the run."""
        return {**serve.environment(self.lab, self.folder), "TMPDIR": str(self.state)}

    def start(self, name: str) -> Reply:
        """Start a service unless it runs; returns when it listens, has exited, or is out of time.

        What did not start is not tried again: the same files would do the same. `restart` forgets that.
        """
        with self.locks[name]:
            if name in self.failed:
                return self.failed[name]
            current = self.running.get(name)
            if self.closing:
                return {"state": "absent", "service": name}
            if current is None or current.exit_code() is not None:
                self._clear(name)
                current = self._spawn(self.lab.services[name])
            return self._await_listening(name, current)

    def _spawn(self, service: Service) -> process.Process:
        words = serve.argv(service, self.bind, self.ports[service.name], self.state)
        started = process.Process(words, cwd=self.folder, env=self.environment())
        self.running[service.name] = started
        return started

    def _await_listening(self, name: str, one: process.Process) -> Reply:
        """Wait until it listens, or has exited, or surely never will.

        A process that sits still for a second after its time is over never will; one that still works may be
        slow, or on a busy machine, and gets three times as long.
        """
        port, limit = self.ports[name], self.lab.start_seconds
        used, moved = 0, one.started
        while True:
            exited = one.exit_code() is not None
            if not exited and process.is_listening(self.bind, port):
                return self._reply("ready", name, one)
            if exited or self.closing:
                return self._exited(name, one)
            now = time.monotonic()
            if now > one.started + limit - 1.0:
                family = [one.pid, *process.descendants(one.pid)]
                if (ticks := process.cpu_ticks(family)) != used:
                    used, moved = ticks, now
                if (now > one.started + limit and now > moved + 1.0) or now > one.started + 3 * limit:
                    reply = self._reply("silent", name, one)
                    reply["listens_on"] = process.ports_of(family)
                    return self._give_up(name, reply)
            time.sleep(process.POLL)

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
            left = {*process.descendants(one.pid), *process.orphans()}
            left -= set(process.zombies(left))
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(process.POLL)

    def _give_up(self, name: str, reply: Reply) -> Reply:
        self._clear(name)
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
            "output": one.output(),
            "mark": one.written,
            "seconds": round(time.monotonic() - one.started, 2),
            "command": serve.shown_command(one.argv),
            "folder": str(self.folder),
        }

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

    def pids(self, name: str) -> list[int]:
        one = self.running.get(name)
        return [one.pid, *process.descendants(one.pid)] if one else []

    def send_signal(self, name: str, number: int, pid: int | None = None) -> Reply:
        """Send a signal to a service's first process, or to one of its descendants."""
        known = self.pids(name)
        wanted = pid or (known[0] if known else 0)
        if wanted not in known:
            return {"error": f"{wanted} is no process of {name}"}
        if wanted == known[0] and number in ENDING:
            self.told.add(wanted)
        with contextlib.suppress(ProcessLookupError):
            os.kill(wanted, number)
        return {"state": "sent"}

    def _clear(self, name: str) -> None:
        with self.locks[name]:
            one = self.running.pop(name, None)
            if one is not None:
                one.end()
                process.end_orphans()

    def end(self) -> None:
        """End every service, side by side, and the probe."""
        enders = [threading.Thread(target=self._clear, args=[name]) for name in self.lab.services]
        for ender in enders:
            ender.start()
        with self.probe_lock:
            self._end_probe()
        for ender in enders:
            ender.join()
        self.failed.clear()

    def _end_probe(self) -> None:
        if self.probe is not None:
            self.probe.end()
            self.probe = None

    def call_probe(self, request: dict[str, Any]) -> Reply:
        """Have the probe answer one request; a probe that died or was never there is started first."""
        with self.probe_lock:
            for module in request.get("modules", []):
                problem = self._import(module)
                if problem is not None:
                    return problem
            if self.probe is None:  # nothing of the learner's was named: a script by itself
                self.probe = Probe(self.folder, self.environment())
            before = self.probe.process.written
            reply = self.probe.ask(request, request["seconds"] + 3.0)
            reply.setdefault("output", self.probe.process.output(before))
            reply["shouted"] = self.probe.process.flooded
            return {"folder": str(self.folder), **reply}

    def _import(self, module: str) -> Reply | None:
        if self.probe is None:
            self.probe = Probe(self.folder, self.environment())
        if module in self.probe.imported:
            return None
        reply = self.probe.ask({"kind": "import", "module": module}, IMPORT_SECONDS)
        if reply.get("import", "gone") is None:
            self.probe.imported.add(module)
            return None
        trouble = {"folder": str(self.folder), "module": module, "output": self.probe.process.output()}
        self._end_probe()
        return {"not_imported": reply, **trouble}


class Probe:
    """The probe's process, which imports the learner's modules once and forks for every call."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.imported: set[str] = set()
        self.answers, answers_out = os.pipe()
        requests_in, self.requests = os.pipe()
        self.process = process.Process(
            [sys.executable, "-P", str(PROBE), str(answers_out)],
            cwd=folder,
            env=env,
            stdin=requests_in,
            pass_fds=(answers_out,),
        )
        os.close(answers_out)
        os.close(requests_in)
        self._pending = b""

    def ask(self, request: dict[str, Any], seconds: float) -> Reply:
        """One request, one answer; what the process came to when there is none in time."""
        with contextlib.suppress(BrokenPipeError):
            data = memoryview(json.dumps(request).encode() + b"\n")
            while data:
                data = data[os.write(self.requests, data) :]
        deadline = time.monotonic() + seconds
        while b"\n" not in self._pending:
            ready = select.select([self.answers], [], [], max(0.0, deadline - time.monotonic()))[0]
            piece = os.read(self.answers, 1 << 16) if ready else b""
            if not piece:
                return self._no_answer(timed_out=not ready)
            self._pending += piece
        line, _, self._pending = self._pending.partition(b"\n")
        reply: Reply = json.loads(line)
        return reply

    def _no_answer(self, timed_out: bool) -> Reply:
        if not timed_out:
            with contextlib.suppress(Exception):
                self.process.popen.wait(timeout=1)
        self.process.drain(0.2)
        return {"events": [], "died": self.process.exit_code(), "hung": timed_out}

    def end(self) -> None:
        self.process.end(grace=0)
        os.close(self.requests)
        os.close(self.answers)


class Agent:
    """Answers requests for the crews of one lab."""

    def __init__(self, lab: Lab, crews: dict[str, Crew]) -> None:
        self.lab, self.crews = lab, crews
        self.door: Door | None = None

    def answer(self, request: dict[str, Any]) -> Reply:
        crew = self.crews[request.get("crew", "learner")]
        name = request.get("service") or next(iter(self.lab.services))
        match request["do"]:
            case "start":
                return crew.start(name)
            case "status":
                return crew.status(name, request.get("since", 0))
            case "pids":
                known = crew.pids(name)
                return {"pids": known, "zombies": process.zombies(known)}
            case "rest":
                return {"at_rest": process.at_rest(crew.pids(name))}
            case "signal":
                return crew.send_signal(name, request["number"], request.get("pid"))
            case "connections":
                return {"peers": process.peers(crew.ports[name])}
            case "probe":
                return crew.call_probe(request)
            case "restart":
                crew.end()
                if self.door is not None:
                    self.door.renew()
                return {"state": "ended"}
            case "nginx":
                return self.door.status() if self.door is not None else {"code": None}
        return {"error": f"the agent does not know {request['do']!r}"}

    def start_shown(self) -> None:
        """Start what nginx shows, side by side."""
        for crew in self.crews.values():
            for service in nginx_config.shown(self.lab):
                threading.Thread(target=crew.start, args=[service.name], daemon=True).start()

    def end(self) -> None:
        for crew in self.crews.values():
            crew.closing = True
            crew.end()
            shutil.rmtree(crew.state, ignore_errors=True)
        if self.door is not None:
            self.door.close()
        process.end_orphans()


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # who asked has gone
            for line in self.rfile:
                self.wfile.write(json.dumps(self.reply(line)).encode() + b"\n")

    def reply(self, line: bytes) -> Reply:
        try:
            return self.server.agent.answer(json.loads(line))
        except Exception as error:  # ours: reported as such, never as the learner's
            return {"error": f"{type(error).__name__}: {error}"}


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    agent: Agent


def run(
    lab: Lab, targets: dict[str, str], run_folder: Path, listens: dict[str, str], nginx_program: str
) -> None:
    """Serve until SIGTERM, or until the tool that started us is gone (its end of standard input closes)."""
    bind = os.environ.get("WORKSHOP_BIND", "127.0.0.1")
    host = os.environ.get("WORKSHOP_NAME", "127.0.0.1")
    tmp = Path(os.environ.get("WORKSHOP_NGINX_TMP", run_folder))
    process.adopt_orphans()
    crews = {crew: Crew(lab, target_folder(lab, target), bind) for crew, target in targets.items()}
    fronts = [
        nginx_config.Front(name, listens[name], crew.ports, crew.folder) for name, crew in crews.items()
    ]
    agent = Agent(lab, crews)
    agent.door = Door(lab, fronts, host, run_folder, tmp, nginx_program)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    # Whoever runs us under nohup ignores SIGHUP, and children inherit that: not a learner's server.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    clear(run_folder)
    (run_folder / "agent.sock").unlink(missing_ok=True)
    with _Server(str(run_folder / "agent.sock"), _Handler) as server:
        server.agent = agent
        agent.door.write()
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        if not os.environ.get("WORKSHOP_LAZY"):
            agent.start_shown()
        agent.door.open()
        if TETHERED:
            threading.Thread(target=_wait_for_end_of_input, args=[ended], daemon=True).start()
        ended.wait()
        agent.end()
        server.shutdown()
    if TETHERED:
        shutil.rmtree(run_folder, ignore_errors=True)


def _wait_for_end_of_input(ended: threading.Event) -> None:
    sys.stdin.buffer.read()
    ended.set()


def main() -> int:
    parser = argparse.ArgumentParser(prog="workshop.run.agent")
    parser.add_argument("--lab", default=os.environ.get("LAB", "1"))
    parser.add_argument("--target", default=os.environ.get("TARGET", "starter"))
    parser.add_argument("--run", type=Path, default=os.environ.get("WORKSHOP_RUN", "/run/workshop"))
    parser.add_argument("--listen", default="8080")
    parser.add_argument("--listen-reference", default="8081" if os.environ.get("WORKSHOP_LOAD") else "")
    parser.add_argument("--nginx", default="", help="the nginx to start (in Docker it is a container)")
    options = parser.parse_args()
    targets, listens = {"learner": options.target}, {"learner": options.listen}
    if options.listen_reference:
        targets["reference"], listens["reference"] = "solution", options.listen_reference
    try:
        run(find(options.lab), targets, options.run, listens, options.nginx)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return refusal.code
    except OSError as error:
        print(f"The agent can't go on: {error.strerror or error} ({error.filename}).", file=sys.stderr)
        return EXIT_INFRA
    return 0


if __name__ == "__main__":
    sys.exit(main())
