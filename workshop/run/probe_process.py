"""The agent's end of the probe: starts it, asks it, and keeps the record of each call."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import time
from pathlib import Path
from typing import Any

from workshop.paths import ROOT
from workshop.run import call_memory, process
from workshop.run.call_memory import CallMemory
from workshop.run.call_record import CallRecord, Garbled

Reply = dict[str, Any]
# The probe's own modules are imported before the learner's, and their folder is not left on the path.
PROBE = (
    "import gc, sys; gc.disable(); "
    f"sys.path.insert(0, {str(ROOT)!r}); from workshop.run import probe; sys.path.pop(0); "
    "gc.enable(); probe.main(*map(int, sys.argv[1:]))"
)
LINE_LIMIT = 32 << 20  # bytes
HEARING_SECONDS = 2.0


class ProbeProcess:
    """The probe's process, which imports the learner's modules once and forks for every call."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.imported: set[str] = set()
        self.calls = 0
        self.is_over = False
        self.answers, answers_out = os.pipe()
        requests_in, self.requests = os.pipe()
        self.link, theirs = socket.socketpair()
        self.process = process.Process(
            [sys.executable, "-P", "-c", PROBE, str(answers_out), str(theirs.fileno())],
            cwd=folder,
            env=env,
            stdin=requests_in,
            pass_fds=(answers_out, theirs.fileno()),
        )
        os.close(answers_out)
        os.close(requests_in)
        theirs.close()
        self.link.setblocking(False)
        self._pending = b""
        self._said = bytearray()

    def import_module(self, module: str, seconds: float) -> Reply:
        """Have it import a module.

        On a busy machine it gets up to three times as long, while it works and has not had so many seconds of
        a processor.
        """
        return self._ask({"kind": "import", "module": module}, None, seconds, patient=True)

    def call(self, request: dict[str, Any], seconds: float) -> Reply:
        """One call: its transcript, or what the process came to when there is none in time."""
        self.calls += 1
        self._said.clear()
        memory = CallMemory(self.process.pid) if request.get("memory") else None
        record = CallRecord(request, request.get("record", False), memory)
        try:
            reply = self._ask({**record.request, "call": self.calls}, record, seconds)
            self._hear(record)  # what it said before its answer is all there
        except Garbled:
            self.process.end(grace=0)
            reply = self._no_answer(timed_out=False)
        reply["events"] = record.events
        return reply

    def _ask(
        self, request: dict[str, Any], record: CallRecord | None, seconds: float, patient: bool = False
    ) -> Reply:
        with contextlib.suppress(BrokenPipeError):
            data = memoryview(json.dumps(request).encode() + b"\n")
            while data:
                data = data[os.write(self.requests, data) :]
        began, used = time.monotonic(), self._processor_seconds()
        deadline = began + seconds
        wanted = [self.answers] if record is None else [self.answers, self.link.fileno()]
        while b"\n" not in self._pending:
            ready = select.select(wanted, [], [], self._patience(record, deadline))[0]
            if not ready and time.monotonic() < deadline and record is not None:
                continue
            if record is not None and self.link.fileno() in ready and time.monotonic() < deadline:
                if not self._hear(record):
                    wanted.remove(self.link.fileno())
                if self.answers not in ready:
                    continue
            now = self._processor_seconds()
            if not ready and patient and used < now < seconds and deadline < began + 3 * seconds:
                used, deadline = now, deadline + 1.0
                continue
            piece = os.read(self.answers, 1 << 16) if self.answers in ready else b""
            if not piece:
                return self._no_answer(timed_out=self.answers not in ready)
            self._pending += piece
        line, _, self._pending = self._pending.partition(b"\n")
        reply: Reply = json.loads(line)
        return reply

    @staticmethod
    def _patience(record: CallRecord | None, deadline: float) -> float:
        """How long nothing need be looked at; a call's memory is, while it works."""
        left = max(0.0, deadline - time.monotonic())
        if record is None or record.memory is None:
            return left
        record.memory.look()
        return min(left, call_memory.LOOK_SECONDS)

    def _hear(self, record: CallRecord) -> bool:
        """Take what lies on the line, and answer it; False when nobody is at its other end any more."""
        while True:
            try:
                piece = self.link.recv(1 << 18)
            except BlockingIOError:
                return True
            except ConnectionError:
                return False
            if not piece:
                return False
            self._said += piece
            if b"\n" in piece:
                *lines, self._said = self._said.split(b"\n")
                for line in lines:
                    self._answer(bytes(line), record)
            if len(self._said) > LINE_LIMIT:
                raise Garbled("a line without end")

    def _answer(self, line: bytes, record: CallRecord) -> None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Garbled("no JSON") from error
        if not isinstance(message, dict) or message.get("call") != self.calls:
            return  # an earlier call's, of a process that it has left behind
        if record.memory is not None:
            record.memory.begin(message.get("pid"))
        if "pid" in message:
            return
        answer = record.hear(message, len(line))
        if answer is None:
            return
        told = {"call": self.calls, "ask": message.get("ask"), **answer}
        data = memoryview(json.dumps(told).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            while data:
                if not select.select([], [self.link], [], HEARING_SECONDS)[1]:
                    raise Garbled("questions whose answers nobody reads")
                data = data[self.link.send(data) :]

    def _processor_seconds(self) -> float:
        return process.cpu_ticks([self.process.pid]) / os.sysconf("SC_CLK_TCK")

    def _no_answer(self, timed_out: bool) -> Reply:
        if not timed_out:
            with contextlib.suppress(Exception):
                self.process.popen.wait(timeout=1)
        self.process.drain(0.2)
        return {"died": self.process.exit_code(), "hung": timed_out}

    def end(self) -> None:
        self.is_over = True
        process.end_all([self.process])
        os.close(self.requests)
        os.close(self.answers)
        self.link.close()
