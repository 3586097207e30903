"""Why a service did not start, or its configuration is refused, in words for a person."""

from __future__ import annotations

from typing import Any

from workshop.judge.shown_bytes import clean


class StartTrouble(Exception):
    """A service that did not start, in the agent's words."""

    def __init__(self, reply: dict[str, Any]) -> None:
        super().__init__(reply["state"])
        self.reply = reply
        self.hung = reply["state"] == "silent"


class ConfigurationTrouble(Exception):
    """A configuration of the learner's that `nginx -t` refuses: its own words, with file and line."""


def exit_text(code: int | None) -> str:
    """How a process ended, for a person."""
    if code is None:
        return "no exit code"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def start_text(reply: dict[str, Any]) -> str:
    """Why a service did not start, for a person."""
    ended = f"`{reply['command']}` ended after {reply['seconds']:g} s ({exit_text(reply['code'])})"
    if reply["flooded"]:
        return f"`{reply['command']}` wrote more than 16 MiB of output and was ended"
    if reply["state"] == "exited" and reply["left_behind"]:
        return (
            f"{ended} and left {reply['left_behind']} process(es) behind: a service stays in the foreground"
        )
    if reply["state"] == "exited":
        return f"{ended} before it listened on port {reply['port']}"
    said = f"`{reply['command']}` runs, but did not listen on port {reply['port']} in {reply['seconds']:g} s"
    elsewhere = [port for port in reply.get("listens_on", []) if port != reply["port"]]
    if reply.get("taken"):
        said += ": another process had taken it before"
    elif elsewhere:
        said += f"; it listens on port {clean(str(elsewhere[0]))} instead"
    return said
