"""`make lab-N` on a terminal: a new verdict on every save, and keys, until q or Ctrl-C.

The stack stays up; only the learner's processes are ended and started again. Each verdict is a process of its
own, a fork of a warm one, so that a save in the middle of one ends it and begins the next.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import subprocess
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import watchfiles

from workshop.errors import EXIT_PASSED, EXIT_USAGE
from workshop.judge.stack import DOCKER, Stack
from workshop.labs import target_folder
from workshop.learn.lab_page import LabPage
from workshop.paths import ROOT
from workshop.warm_runs import WarmRuns

DEBOUNCE_MS = 150
LOAD_REQUESTED = 75
KEYS = "h hint   a all   l load   r run again   q quit"


def watch(stack: Stack, options: argparse.Namespace) -> int:
    """Judge, wait for a save or a key, judge again. Returns the exit code."""
    stack.await_front()
    return Watch(stack, options).run()


class Watch:
    def __init__(self, stack: Stack, options: argparse.Namespace) -> None:
        self.stack, self.options = stack, options
        self.folder = target_folder(stack.lab, options.target)
        self.everything: bool = options.everything
        self.page = LabPage(stack, options.target)
        self.env = {**os.environ, **stack.attachment(), "WORKSHOP_STAYS": "1", **self.page.environment()}
        self.recorded = False
        self.warm = WarmRuns(self.env)
        self.saved, self._saved_in = os.pipe()
        self._stop = threading.Event()

    def run(self) -> int:
        watcher = threading.Thread(target=self._watch_files, daemon=True)
        watcher.start()
        try:
            with keys() as keyboard:
                return self._loop(keyboard)
        except KeyboardInterrupt:
            print()
            return EXIT_PASSED
        finally:
            self._stop.set()
            self.warm.end()
            self.page.end()

    def _loop(self, keyboard: int) -> int:
        if self.page.url:
            print(f"Lesson, verdicts and hints in a browser: {self.page.url}", flush=True)
        else:
            print("In Docker mode this lab has no page in a browser: its nginx is yours.", flush=True)
        self._judge()
        while True:
            asked = [keyboard, self.saved, *([self.page.descriptor] if self.page.descriptor >= 0 else [])]
            ready = select.select(asked, [], [])[0]
            if self.saved in ready:
                names = os.read(self.saved, 4096).decode().split("\n")
                self._say(f"{names[0]} saved")
                self.page.tell(saved=names[0])
                self._judge_anew()
                continue
            if self.page.descriptor in ready:
                self.page.look_up()
                if self.page.viewers and not self.recorded:
                    self._say("the page is open: once more, and recorded for it")
                    self._judge_anew()
                continue
            key = os.read(keyboard, 1).decode("utf-8", "replace").lower()
            if key in ("q", "\x03", "\x04", ""):
                return EXIT_PASSED
            code = self._press(key)
            if code is not None:
                return code

    @staticmethod
    def _say(what: str) -> None:
        print(f"\n— {time.strftime('%H:%M:%S')} · {what} —", flush=True)

    def _judge_anew(self) -> None:
        """With the files as they are now, in services that no check has used yet.

        What happens is recorded while somebody looks at the page.
        """
        self.recorded = self.page.viewers > 0
        self.stack.ask("restart", record=self.recorded)
        self._judge()

    def _press(self, key: str) -> int | None:
        """Do what a key asks for; an exit code ends the watch."""
        number = str(self.stack.lab.number)
        if key == "h":
            self._child("hint", number)
        elif key == "l":
            if self.stack.mode == DOCKER:
                return LOAD_REQUESTED
            print()
            self._child("load", number, attach=False)
            self.page.tell(load=True)
        elif key == "a":
            self.everything = True
            self._judge_anew()
        elif key in ("r", "\r", "\n"):
            self._judge_anew()
        else:
            return None
        self._prompt()
        return None

    def _judge(self) -> None:
        """One verdict. A save ends it early: the next round is for the new text."""
        words = ["check", str(self.stack.lab.number), "--target", self.options.target]
        words += ["-k", self.options.chosen] if self.options.chosen else []
        words += ["--all"] if self.everything else []
        words += ["--record"] if self.recorded else []
        words += ["--seed", str(self.options.seed)] if self.options.seed is not None else []
        if self._code_of(words) == EXIT_USAGE:
            print("Nothing was judged: the line above says why.")
        self.page.tell(idle=True)
        self._keep_up()
        self._prompt()

    def _code_of(self, words: list[str]) -> int | None:
        try:
            pid = self.warm.begin(words)
        except OSError:  # it has gone: whoever ended it may have meant only that
            self.warm = WarmRuns(self.env)
            pid = self.warm.begin(words)
        answers = self.warm.answers.fileno()
        if answers not in select.select([answers, self.saved], [], [])[0]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        return self.warm.code()

    def _keep_up(self) -> None:
        """Have what nginx shows running, for curl and the browser, whatever the checks did."""
        for name, service in self.stack.lab.services.items():
            if service.at is not None:
                self.stack.ask("start", service=name)

    def _prompt(self) -> None:
        lab = self.stack.lab
        files = " ".join(lab.edit)
        print(
            f"\n{self.stack.public} is yours for curl and browser. Watching {files}   [ {KEYS} ]", flush=True
        )

    def _child(self, *words: str, attach: bool = True) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            self._start(list(words), attach).wait()

    def _start(self, words: list[str], attach: bool) -> subprocess.Popen[bytes]:
        env = self.env if attach else dict(os.environ)
        return subprocess.Popen(
            [sys.executable, "-m", "workshop", *words], cwd=ROOT, env=env, stdin=subprocess.DEVNULL
        )

    def _watch_files(self) -> None:
        """Write the names of saved files to the pipe.

        Whether to poll, watchfiles finds out (WSL), or WATCHFILES_FORCE_POLLING says; a bind mount of another
        kernel's is what it can't know of, and where the kernel refuses to watch, polling is what is left.
        """
        told = os.environ.get("WATCHFILES_FORCE_POLLING")
        try:
            self._watch_with(True if self.stack.mode == DOCKER and not told else None)
        except OSError:
            self._watch_with(True)

    def _watch_with(self, force_polling: bool | None) -> None:
        edited = {str(self.folder / name) for name in self.stack.lab.edit}
        changes = watchfiles.watch(
            self.folder,
            watch_filter=lambda _, path: path in edited,
            debounce=DEBOUNCE_MS,
            step=20,
            force_polling=force_polling,
            recursive=False,
            stop_event=self._stop,
            raise_interrupt=False,
        )
        for batch in changes:
            names = sorted({Path(path).name for _, path in batch})
            os.write(self._saved_in, "\n".join(names).encode())


@contextlib.contextmanager
def keys() -> Iterator[int]:
    """The keyboard, one key at a time, without Enter; the terminal is put back afterwards."""
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard)
        yield keyboard
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
