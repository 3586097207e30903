"""What the applications that a lab serves are asked and answer: noted in the service's own process.

A service starts with `in_service/` on its path. Python imports the file `sitecustomize.py` there first; while
somebody wants to see the events, it wraps the application that the service's command names.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any

from workshop.labs import Service

FILE = "events-of-applications.jsonl"
READ = 4 << 20  # bytes, of the end


def environment(env: dict[str, str], service: Service, state: Path) -> dict[str, str]:
    """What a service sees that is to note the events of its application."""
    named = re.search(r"\b([\w.]+):([\w.]+)", service.command)
    if named is None:
        return env
    told = {"file": str(state / FILE), "service": service.name, "module": named[1], "attribute": named[2]}
    return {**env, "WORKSHOP_NOTES": json.dumps(told)}


def events(state: Path, since: float) -> list[dict[str, Any]]:
    """The events since a moment of the monotonic clock, of all services."""
    found = []
    with contextlib.suppress(OSError), (state / FILE).open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - READ))
        for line in file:
            with contextlib.suppress(ValueError, KeyError, TypeError):  # a learner's process can write there
                event = json.loads(line)
                if float(event["at"]) >= since:
                    found.append(event)
    return found


def forget(state: Path) -> None:
    (state / FILE).unlink(missing_ok=True)
