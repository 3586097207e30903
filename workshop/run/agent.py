"""The agent: runs the learner's service and the probe, and says what became of them. It judges nothing.

One agent serves one lab and one target. In Docker it is the container `app`; embedded it is a child of the
tool. Checks reach it through a Unix socket, one JSON line a request and one a reply:

    {"do": "start", "service": "wsgi"}   ready | exited | silent, with port, pid and command, and with
                                         its output where it is not ready;
                                         with "hurry": half of its time is enough, for another has hung
    {"do": "status", "service": "wsgi"}  exit code (null: running), output, and a mark for later output;
                                         told: a check's signal asked its first process to end
    {"do": "rest", "service": "wsgi"}    whether all of its threads wait for something
    {"do": "ticks", "service": "wsgi"}   its pids, the processor time of each, in clock ticks, and how often
                                         each has waited
    {"do": "stacks", "service": "wsgi"}  ends it, by SIGABRT: what Python's faulthandler says of its threads
    {"do": "nginx", "since": 0}          nginx's exit code, and the errors that it has logged since a mark
    {"do": "restart"}                    end everything; the next start is of the files as they are now;
                                         with "record": the applications that services serve note each event
    {"do": "recorded", "since": 0.0}     what nginx logged, applications noted and services printed since then
    {"do": "signal", "service": ..., "number": 15}, {"do": "pids", "service": ...}  (and which are zombies)
    {"do": "connections", "service": ...}  the peers of its connections so far (null: nobody can tell)
    {"do": "probe", "module": ..., ...}  a transcript from workshop/run/probe.py

`crew` is "learner" (the default) or "reference", which a load run drives beside it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import queue
import shutil
import signal
import socketserver
import sys
import threading
from pathlib import Path
from typing import Any

from workshop.errors import EXIT_INFRA, Refusal
from workshop.labs import Lab, find, target_folder
from workshop.run import nginx_config, process, tcp_ports
from workshop.run.nginx_process import NginxProcess, clear
from workshop.run.target_processes import Reply, TargetProcesses


class Agent:
    """Answers requests for the crews of one lab."""

    def __init__(self, lab: Lab, crews: dict[str, TargetProcesses]) -> None:
        self.lab, self.crews = lab, crews
        self.door: NginxProcess | None = None

    def answer(self, request: dict[str, Any]) -> Reply:
        crew = self.crews[request.get("crew", "learner")]
        name = request.get("service") or next(iter(self.lab.services))
        match request["do"]:
            case "start":
                return crew.start(name, request.get("hurry", False))
            case "status":
                return crew.status(name, request.get("since", 0))
            case "pids":
                known = crew.pids(name)
                return {"pids": known, "zombies": process.zombies(known)}
            case "stacks":
                return {"output": crew.stacks(name)}
            case "rest":
                return {"at_rest": process.at_rest(crew.pids(name))}
            case "ticks":
                known = crew.pids(name)
                ticks = [process.cpu_ticks([pid]) for pid in known]
                return {"pids": known, "ticks": ticks, "waits": [process.waits(pid) for pid in known]}
            case "signal":
                return crew.send_signal(name, request["number"], request.get("pid"))
            case "connections":
                return {"peers": tcp_ports.peers(crew.ports[name])}
            case "probe":
                return crew.call_probe(request)
            case "recorded":
                return self.recorded(request["since"], request["since_wall"])
            case "restart":
                crew.record = request.get("record", False)
                crew.end()
                crew.prepare_probe()
                if self.door is not None:
                    self.door.renew()
                return {"state": "ended"}
            case "nginx":
                return self.door.status(request.get("since", 0)) if self.door is not None else {"code": None}
        return {"error": f"the agent does not know {request['do']!r}"}

    def recorded(self, since: float, since_wall: float) -> Reply:
        """What happened since a moment, told by the monotonic clock and by the wall's, which nginx uses."""
        log = self.door.log if self.door is not None else None
        return {
            "nginx": None if log is None else log.since(since_wall),
            **self.crews["learner"].recorded(since),
        }

    def start_early(self, which: str) -> None:
        """Start services before anybody asks, as `stack.embedded` says. One a core at a time."""
        if which in ("shown", "front"):
            chosen = nginx_config.shown(self.lab)
        else:
            chosen = [
                one for one in self.lab.services.values() if which == "all" or one.name in which.split(",")
            ]
        waiting: queue.SimpleQueue[tuple[TargetProcesses, str]] = queue.SimpleQueue()
        for service in chosen:
            for crew in self.crews.values():
                waiting.put((crew, service.name))

        def start() -> None:
            with contextlib.suppress(queue.Empty, OSError):
                while True:
                    crew, name = waiting.get_nowait()
                    crew.start_early(name)

        for _ in range(os.cpu_count() or 1):
            threading.Thread(target=start, daemon=True).start()

    def end(self) -> None:
        for crew in self.crews.values():
            crew.closing = True
        fronts = self.door.running if self.door is not None else []
        process.end_all([*fronts, *(one for crew in self.crews.values() for one in crew.processes())])
        for crew in self.crews.values():
            crew.end()
            crew.temporary.remove()
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
    tethered = bool(os.environ.get("WORKSHOP_TETHERED"))  # read here: a warm process imports this in advance
    process.adopt_orphans()
    crews = {crew: TargetProcesses(lab, target_folder(lab, target), bind) for crew, target in targets.items()}
    fronts = [
        nginx_config.Front(name, listens[name], crew.ports, crew.folder) for name, crew in crews.items()
    ]
    agent = Agent(lab, crews)
    page = bool(os.environ.get("WORKSHOP_PAGE"))
    record = page or bool(os.environ.get("WORKSHOP_RECORD"))
    agent.door = NginxProcess(lab, fronts, host, run_folder, tmp, nginx_program, record, page)
    agent.door.moves = bool(nginx_program)  # a container has its ports to itself
    for crew in crews.values() if nginx_program else ():
        crew.moved = agent.door.follow
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    # Whoever runs us under nohup ignores SIGHUP, and children inherit that: not a learner's server.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    clear(run_folder)
    (run_folder / "agent.sock").unlink(missing_ok=True)
    server = _Server(str(run_folder / "agent.sock"), _Handler)
    server.agent = agent
    if which := os.environ.get("WORKSHOP_START", "shown"):
        if which in ("shown", "all"):
            crews["learner"].prepare_probe()
        agent.start_early(which)
    agent.door.write()  # while the services begin: what renders it has to be imported
    threading.Thread(target=server.serve_forever, daemon=True).start()  # it ends with this process
    agent.door.open()
    if tethered:
        threading.Thread(target=_wait_for_end_of_input, args=[ended], daemon=True).start()
    ended.wait()
    agent.end()
    if tethered:
        shutil.rmtree(run_folder, ignore_errors=True)


def _wait_for_end_of_input(ended: threading.Event) -> None:
    sys.stdin.buffer.read()
    ended.set()


def main() -> int:
    import argparse  # a sandbox's first program has no use for it

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
    code = main()
    gc.freeze()  # what the process leaves behind need not be looked through
    sys.exit(code)
