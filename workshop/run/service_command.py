"""The command line that runs a lab's service, and `workshop serve`, which prints it and becomes it."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from workshop import environment as passed_on
from workshop.errors import Refusal
from workshop.labs import Lab, Service, target_folder
from workshop.paths import APPS, LABS, SOLUTIONS, STATE
from workshop.run import tcp_ports


def argv(service: Service, host: str, port: int, state: Path = STATE) -> list[str]:
    """The service's command with its holes filled; programs come from this Python's environment.

    {solutions} is for labs that run on an earlier lab's reference: {solutions}/05-wsgi-server/server.py;
    {state} is a folder that the services of one run share, for what they keep.
    """
    holes = {"solutions": shlex.quote(str(SOLUTIONS)), "state": shlex.quote(str(state))}
    words = shlex.split(service.command.format(host=host, port=port, **holes))
    program = Path(sys.prefix) / "bin" / words[0]
    return [str(program) if program.exists() else words[0], *words[1:]]


def environment(lab: Lab, folder: Path, *, on_terminal: bool = False) -> dict[str, str]:
    """What the learner's process sees: its own folder on the path, the lab's given files and applications."""
    return {
        **passed_on.of_program(os.environ, on_terminal=on_terminal),
        "PYTHONPATH": os.pathsep.join(map(str, import_path(lab, folder))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",  # a service that hangs can say where (target_processes.py)
        **(_layers(lab, folder) if lab.yours else {}),
    }


def import_path(lab: Lab, folder: Path) -> list[Path]:
    """Where imports are looked for: the learner's folder first, the references of earlier labs last."""
    earlier = [place for name in lab.on for place in (SOLUTIONS / name, LABS / name / "apps")]
    return [folder, lab.folder, lab.apps, APPS, *earlier]


def _layers(lab: Lab, folder: Path) -> dict[str, str]:
    from workshop.run import layers_in_use  # few labs need it, and it needs rich

    return {"STACK_LAYERS": layers_in_use.as_text(lab, folder)}


def shown_command(words: list[str]) -> str:
    """The command as somebody would type it."""
    return shlex.join([Path(words[0]).name, *words[1:]])


def serve(lab: Lab, target: str, host: str, port: int, name: str | None = None) -> None:
    """Become the lab's service: print the exact command, then exec it. Returns only by raising Refusal."""
    chosen = name or next(iter(lab.services))
    if chosen not in lab.services:
        raise Refusal(f"Lab {lab.number} has no service {chosen!r}: it has {', '.join(lab.services)}.")
    if tcp_ports.is_listening(host, port) or not tcp_ports.can_bind(host, port):
        raise Refusal(f"Port {port} is taken: end what listens there, or choose another with PORT=.")
    folder = target_folder(lab, target)
    STATE.mkdir(exist_ok=True)
    words = argv(lab.services[chosen], host, port)
    print(f"{shown_command(words)}    (in {folder})", flush=True)
    os.chdir(folder)
    os.execvpe(words[0], words, environment(lab, folder, on_terminal=True))
