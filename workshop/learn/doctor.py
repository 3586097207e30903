"""`make doctor`: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from rich.console import Console

from workshop.errors import Refusal
from workshop.judge.stack import DEFAULT_PORT
from workshop.labs import all_labs
from workshop.paths import ROOT, STATE
from workshop.run import nginx_config, tcp_ports

MEGABYTES_NEEDED = 500
IN_DOCKER = os.environ.get("WORKSHOP_STACK") == "docker"


@dataclass(frozen=True)
class Symptom:
    """One thing looked at; `needed` says whether the workshop can't run without it."""

    what: str
    found: str
    good: bool
    needed: bool = False
    advice: str = ""


def examine() -> list[Symptom]:
    """What matters where this runs: in Docker the host's engine, nginx and ports are not this process's."""
    here = [] if IN_DOCKER else [_nginx(), _docker(), _compose(), _port()]
    return [_python(), *here, _disk(), _writable(), _locust(), _labs()]


def show_health(console: Console) -> bool:
    """Print what was found; True when nothing that is needed is missing."""
    symptoms = examine()
    for one in symptoms:
        sign = "[green]✓[/green]" if one.good else ("[red]✗[/red]" if one.needed else "[yellow]·[/yellow]")
        console.print(f"{sign} {one.what:<10} {one.found}", highlight=False, soft_wrap=True)
        if not one.good and one.advice:
            console.print(f"             {one.advice}", highlight=False)
    return all(one.good or not one.needed for one in symptoms)


def _said(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout or done.stderr).strip() if done.returncode == 0 else ""


def _python() -> Symptom:
    return Symptom("Python", f"{sys.version.split()[0]} in {sys.prefix}", sys.version_info >= (3, 11), True)


def _nginx() -> Symptom:
    advice = "Debian: apt-get install nginx-light; macOS: brew install nginx; or NGINX=/path/to/nginx."
    try:
        program = nginx_config.command()
    except Refusal as refusal:
        return Symptom("nginx", str(refusal), False, True, advice)
    version = _said(program, "-v") if program else ""
    return Symptom(
        "nginx", f"{version} ({program})" if program else "none", program is not None, True, advice
    )


def _docker() -> Symptom:
    version = _said("docker", "version", "-f", "{{.Server.Version}}")
    found = f"engine {version}" if version else "no engine answers: labs run embedded"
    return Symptom("Docker", found, bool(version))


def _compose() -> Symptom:
    version = _said("docker", "compose", "version", "--short")
    return Symptom("Compose", version or "none", bool(version), advice="2.24 or newer is needed for Docker.")


def _port() -> Symptom:
    taken = tcp_ports.is_listening("127.0.0.1", DEFAULT_PORT)
    found = f"{DEFAULT_PORT} is {'taken: the next free one is used' if taken else 'free'}"
    return Symptom("Port", found, not taken)


def _disk() -> Symptom:
    free = shutil.disk_usage(ROOT).free >> 20
    advice = f"{MEGABYTES_NEEDED} MB are needed for the environments."
    return Symptom("Disk", f"{free} MB free", free > MEGABYTES_NEEDED, True, advice)


def _writable() -> Symptom:
    folder = STATE if STATE.exists() else ROOT
    good = os.access(folder, os.W_OK)
    advice = "Copy the workshop to a folder of your own."
    return Symptom("Folder", f"{folder} can{'' if good else 'not'} be written to", good, True, advice)


def _locust() -> Symptom:
    there = IN_DOCKER or (STATE / "load-venv").exists()
    return Symptom("locust", "installed" if there else "installed at the first `make load-N`", there)


def _labs() -> Symptom:
    labs = all_labs()
    return Symptom("Labs", f"{len(labs)}, {sum(lab.points for lab in labs)} points", bool(labs), True)
