"""`make bundle`: what a room without a network needs, in .workshop/bundle.

Wheels for this kind of machine, which `make lab-1` then installs without asking the network, and, where an
engine answers, the images as one file for `docker load`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from workshop import bootstrap
from workshop.errors import InfraError
from workshop.paths import ROOT, SERVICES, STATE

FOLDER = STATE / "bundle"
LOCKS = [
    SERVICES / "runtime" / "uv.lock",
    ROOT / "requirements.lock",
    SERVICES / "nginx" / "requirements.lock",
    SERVICES / "load" / "requirements.lock",
]


def make_bundle() -> list[str]:
    """Fill the folder; the lines to say. Raises InfraError when something can't be had."""
    wheels = FOLDER / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    for lock in LOCKS:
        _download(lock, wheels)
    size = sum(path.stat().st_size for path in wheels.iterdir()) >> 20
    lines = [f"{len(list(wheels.iterdir()))} packages, {size} MB, in {wheels.relative_to(ROOT)}"]
    saved = _save_images()
    lines.append(saved or "No Docker engine answers: no images in the bundle; labs run embedded from it.")
    lines.append(
        "Copy the whole workshop folder, .workshop/bundle included, and `make lab-1` needs no network."
    )
    return lines


def _download(lock: Path, wheels: Path) -> None:
    words = [sys.executable, "-m", "pip", "download", "-q", "--require-hashes", "--dest", str(wheels)]
    words += ["--only-binary", ":all:", "-r", str(lock)]
    env = bootstrap.installing_env(sys.executable)
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        asked = bootstrap.asked(env)
        raise InfraError(f"{lock.relative_to(ROOT)} can't be downloaded whole: {last} Asked: {asked}")


def _save_images() -> str:
    if shutil.which("docker") is None:
        return ""
    listed = subprocess.run(
        ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "web-stack-workshop/*"],
        capture_output=True,
        text=True,
        check=False,
    )
    tags = listed.stdout.split()
    if listed.returncode != 0 or not tags:
        return ""
    nginx = [os.environ["NGINX_IMAGE"]] if os.environ.get("NGINX_IMAGE") else []
    file = FOLDER / "images.tar"
    subprocess.run(["docker", "save", "-o", str(file), *tags, *nginx], check=True)
    return f"{len(tags) + len(nginx)} images in {file.relative_to(ROOT)}: `docker load -i` takes them"
