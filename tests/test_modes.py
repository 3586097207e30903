"""Docker and embedded give the same verdicts, for every lab: starter, solution, and a mistake."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import judging
from workshop.labs import Lab, all_labs, find
from workshop.paths import ROOT, SOLUTIONS

SEED = "20260"
Verdicts = dict[str, str]


def no_engine() -> str:
    """Why there is no Docker mode here; "" when there is one."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    done = subprocess.run(
        ["docker", "compose", "version", "--short"], capture_output=True, text=True, timeout=120, check=False
    )
    engine = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=120, check=False)
    if engine.returncode != 0:
        return "no Docker engine answers"
    return "" if done.returncode == 0 else "docker has no compose plugin"


NO_ENGINE = no_engine()
pytestmark = pytest.mark.whole("comparisons of both modes")
needs_engine = pytest.mark.skipif(bool(NO_ENGINE), reason=f"Docker mode is not tested: {NO_ENGINE}")
each_lab = pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)


def verdicts(mode: str, lab: Lab, target: str | Path, *words: str) -> Verdicts:
    with judging.checkout_to_ourselves():
        done = subprocess.run(
            [
                "sh",
                "workshop/launch.sh",
                "check",
                str(lab.number),
                "--all",
                "--json",
                "--seed",
                SEED,
                "--target",
                str(target),
                *words,
            ],
            cwd=ROOT,
            env={**judging.environment(), "MODE": mode},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    try:
        result: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"{mode}: no result:\n{done.stdout}\n{done.stderr}") from None
    assert result["mode"] == mode
    return {check["name"]: check["verdict"] for check in result["checks"]}


@needs_engine
@each_lab
def test_both_modes_agree(lab: Lab, tmp_path: Path) -> None:
    """Embedded, the solution passes every check and the starter fails it: tests/test_labs.py has that."""
    assert verdicts("docker", lab, "solution") == dict.fromkeys(lab.checks, "PASS")
    assert verdicts("docker", lab, judging.starter(lab)) == dict.fromkeys(lab.checks, "FAIL")
    mistake = judging.mistakes(lab)[0]
    broken, named = judging.with_mistake(lab, mistake, tmp_path), ("-k", mistake.check)
    in_docker = verdicts("docker", lab, broken, *named)
    assert in_docker[mistake.check] != "PASS"
    assert in_docker == verdicts("embedded", lab, broken, *named)


@needs_engine
def test_nothing_is_left_of_docker() -> None:
    """A run takes its containers, networks and volumes with it."""
    verdicts("docker", all_labs()[0], "solution")
    for kind in ("container", "network", "volume"):
        listed = subprocess.run(
            ["docker", kind, "ls", *(["-a"] if kind == "container" else []), "--format", "{{json .}}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        ours = [line for line in listed.splitlines() if f"{ROOT}" in line and "-check" in line]
        assert ours == []


@needs_engine
def test_a_stack_that_stays_is_judged_by_the_files_as_they_are(tmp_path: Path) -> None:
    """`docker compose up` in one terminal, an edit, and `run --rm grade check` in another."""
    lab = find("4")
    mistake = judging.mistakes(lab)[0]
    broken = judging.with_mistake(lab, mistake, tmp_path)
    for name in lab.edit:
        shutil.copy(SOLUTIONS / lab.name / name, tmp_path / name)
    env = {**judging.environment(), "LAB": str(lab.number), "PORT": "0", "TARGET_DIR": str(tmp_path)}
    env |= {"TARGET": "/target", "WORKSHOP_UID": str(os.getuid()), "WORKSHOP_GID": str(os.getgid())}
    compose = ["docker", "compose", "-p", f"stays-{os.getpid()}"]

    def check() -> str:
        words = [
            *compose,
            "run",
            "--rm",
            "-T",
            "grade",
            "check",
            str(lab.number),
            "--target",
            "/target",
            "--json",
        ]
        done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        (found,) = (one for one in json.loads(done.stdout)["checks"] if one["name"] == mistake.check)
        return str(found["verdict"])

    try:
        subprocess.run([*compose, "up", "-d"], cwd=ROOT, env=env, capture_output=True, check=True)
        assert check() == "PASS"
        shutil.copy(broken / mistake.file, tmp_path / mistake.file)
        assert check() == "FAIL"
    finally:
        subprocess.run(
            [*compose, "down", "-v", "-t", "0"], cwd=ROOT, env=env, capture_output=True, check=False
        )


@needs_engine
def test_compose_works_without_make() -> None:
    """The configuration is whole without the launcher, and a new clone has each folder that it mounts."""
    done = subprocess.run(
        ["docker", "compose", "--profile", "*", "config", "--format", "json"],
        cwd=ROOT,
        env={**judging.environment(), "LAB": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert {"app", "nginx", "grade"} <= set(services)
    mounts = [one for service in services.values() for one in service.get("volumes", ())]
    sources = {one["source"] for one in mounts if one["type"] == "bind"}
    assert str(ROOT / ".workshop") in sources
    for source in sources:
        words = ["git", "ls-files", "--", source]
        kept = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert kept, f"{source} is in no new clone"
