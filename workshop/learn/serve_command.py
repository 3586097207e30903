"""`make serve-N`: the services behind nginx, with all that they print, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import threading

from rich.console import Console
from rich.text import Text

from workshop.judge.stack import Stack

COLOURS = ("cyan", "magenta", "yellow", "blue", "green")
LOOK_AGAIN = 0.1


class Serving:
    """The services that nginx shows, and how far each one's output has been shown."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.console = Console(highlight=False, soft_wrap=True)
        self.shown = [name for name, one in stack.lab.services.items() if one.at is not None]
        self.marks = dict.fromkeys(self.shown, 0)
        self.unfinished = dict.fromkeys(self.shown, "")
        self.ended: set[str] = set()

    def run(self, ended: threading.Event) -> None:
        """Start them, say where they are, and show what they print."""
        self.stack.await_front()
        for name in self.shown:
            reply = self.stack.ask("start", service=name)
            at = self.stack.lab.services[name].at
            print(f"{self.stack.public}{at}  →  {reply['command']}", flush=True)
            if reply["state"] != "ready":
                self._show(name, reply["output"])
                self._say_ended(name, reply["code"])
        while not ended.wait(LOOK_AGAIN):
            for name in self.shown:
                self._look_at(name)

    def _look_at(self, name: str) -> None:
        reply = self.stack.ask("status", service=name, since=self.marks[name])
        self.marks[name] = reply["mark"]
        self._show(name, reply["output"])
        if reply["state"] == "exited":
            self._say_ended(name, reply["code"])

    def _show(self, name: str, output: str) -> None:
        *lines, self.unfinished[name] = (self.unfinished[name] + output).split("\n")
        for line in lines:
            self._print(name, line)

    def _say_ended(self, name: str, code: int | None) -> None:
        if name not in self.ended:
            self.ended.add(name)
            if rest := self.unfinished[name]:
                self._print(name, rest)
            how = "does not listen" if code is None else f"ended with exit code {code}"
            self._print(name, f"{how}. Ctrl-C, and serve it again when it is fixed.")

    def _print(self, name: str, line: str) -> None:
        width = max(map(len, self.shown))
        colour = COLOURS[self.shown.index(name) % len(COLOURS)]
        self.console.print(Text(f"{name:<{width}} | ", style=colour).append(Text.from_ansi(line)))
