"""The workflow for GitHub Actions, as far as a machine without GitHub can tell: its form, and its steps."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]

from tests.judging import environment, mistakes, run, starter
from workshop.grade.sandboxes import choose_sandbox
from workshop.labs import find
from workshop.paths import ROOT, SERVICES, SOLUTIONS

FLOW: dict[Any, Any] = yaml.safe_load((SERVICES / "grader" / "grade.yml").read_text(encoding="utf-8"))
LAB = find(FLOW["env"]["LAB"])
FILE = LAB.edit[0]
SECONDS = 600.0
SECRET = "1234567"
ACTIONS = {  # what each takes, as its action.yml has it
    "actions/checkout@v4": {"persist-credentials"},
    "actions/upload-artifact@v4": {"name", "path", "if-no-files-found"},
    "actions/download-artifact@v4": {"path"},
}
EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".workshop", "__pycache__", ".*_cache", ".hypothesis", "tests", "bench"
)


@dataclass
class Runner:
    """A repository in a folder, in which a job's steps run as GitHub runs them; sudo only takes notes."""

    home: Path
    sudo: list[str] = field(default_factory=list)

    def steps(self, job: str, known: dict[str, str]) -> None:
        """Run a job's steps: shell text for shell text, artifacts as folders."""
        for step in FLOW["jobs"][job]["steps"]:
            if "run" in step:
                self.shell(filled(step["run"], known), known)
            elif step["uses"].startswith("actions/upload-artifact"):
                source = self.home / filled(step["with"]["path"], known)
                shutil.copytree(source, self.home.parent / "artifacts" / filled(step["with"]["name"], known))
                shutil.rmtree(source)
            elif step["uses"].startswith("actions/download-artifact"):
                shutil.copytree(self.home.parent / "artifacts", self.home / step["with"]["path"])

    def shell(self, text: str, known: dict[str, str]) -> None:
        tools = self.home.parent / "tools"
        own = {key: filled(str(value), known) for key, value in FLOW["env"].items()}
        path = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-e", "-c", text],  # GitHub: bash -e {0}
            cwd=self.home,
            env=environment() | path | own,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, text + done.stdout + done.stderr
        notes = tools / "notes"
        self.sudo = notes.read_text().splitlines() if notes.exists() else []


def filled(text: str, known: dict[str, str]) -> str:
    return EXPRESSION.sub(lambda found: known[found[1]], text)


def the_class() -> dict[str, str]:
    solution = (SOLUTIONS / LAB.name / FILE).read_text(encoding="utf-8")
    first = mistakes(LAB)[0]
    return {
        "ada": solution,
        "bob": (starter(LAB) / FILE).read_text(encoding="utf-8"),
        "cid": solution.replace(first.find, first.replace),
        "dee": "import os; os._exit(0)",
        "eve": f"{solution}\n# mine\n",
    }


@pytest.fixture(name="runner")
def runner_fixture(tmp_path: Path) -> Iterator[Runner]:
    home = tmp_path / "repository"
    shutil.copytree(ROOT, home / "workshop", ignore=LEFT_OUT)
    (home / "workshop" / ".venv").symlink_to(ROOT / ".venv")  # made from the same lock files
    (home / "workshop" / "tests").mkdir()
    shutil.copyfile(ROOT / "tests" / "requirements.lock", home / "workshop" / "tests" / "requirements.lock")
    for name, text in the_class().items():
        (home / "submissions" / name).mkdir(parents=True)
        (home / "submissions" / name / FILE).write_text(text, encoding="utf-8")
    sudo = tmp_path / "tools" / "sudo"
    sudo.parent.mkdir()
    sudo.write_text(f'#!/bin/sh\necho "$*" >>{sudo.parent}/notes\n')
    sudo.chmod(0o755)
    yield Runner(home)
    shutil.rmtree(home)


def steps() -> list[dict[str, Any]]:
    return [step for job in FLOW["jobs"].values() for step in job["steps"]]


def test_it_names_actions_that_are_and_what_they_take() -> None:
    for step in steps():
        assert ("run" in step) != ("uses" in step), step
        if "uses" in step:
            assert set(step.get("with", {})) <= ACTIONS[step["uses"]], step
    assert FLOW["permissions"] == {"contents": "read"}
    assert FLOW[True] == "workflow_dispatch"  # in YAML 1.1 the word `on` is true; nobody's push starts it
    assert all(job["runs-on"].startswith("ubuntu-") for job in FLOW["jobs"].values())


def test_the_parts_that_are_merged_are_those_that_are_made() -> None:
    job = FLOW["jobs"]["shard"]
    shards = job["strategy"]["matrix"]["shard"]
    assert not job["strategy"]["fail-fast"] and FLOW["jobs"]["merge"]["needs"] == "shard"
    (merge,) = [step["run"] for step in steps() if " merge " in step.get("run", "")]
    words = f"echo {merge.partition(' && ')[2]}"
    said = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=True)
    (made,) = [step["with"]["name"] for step in job["steps"] if "upload" in step.get("uses", "")]
    names = [filled(made, {"matrix.shard": str(shard)}) for shard in shards]
    assert re.findall(r"\.\./parts/(\S+)", said.stdout) == names


def test_every_expression_is_one_that_there_is() -> None:
    text = (SERVICES / "grader" / "grade.yml").read_text(encoding="utf-8")
    known = {"secrets.CLASS_SECRET", "matrix.shard", "strategy.job-total", "!cancelled()"}
    assert set(EXPRESSION.findall(text)) == known


@pytest.mark.whole("classes in sandboxes")
@pytest.mark.skipif(bool(choose_sandbox.bubblewrap_trouble()), reason=choose_sandbox.bubblewrap_trouble())
def test_its_steps_give_the_results_of_a_local_grade(runner: Runner, tmp_path: Path) -> None:
    shards = FLOW["jobs"]["shard"]["strategy"]["matrix"]["shard"]
    known = {"secrets.CLASS_SECRET": SECRET, "strategy.job-total": str(len(shards))}
    for shard in shards:
        runner.steps("shard", known | {"matrix.shard": str(shard)})
    assert runner.sudo.count("apt-get install -y bubblewrap") == len(shards)
    runner.steps("merge", known)
    merged = results(tmp_path / "artifacts" / "results")
    assert set(merged) == set(the_class())
    local = tmp_path / "local"
    words = [str(runner.home / "submissions"), "--lab", str(LAB.number), "--seed", SECRET]
    done = run("grade", *words, "--out", str(local), seconds=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert merged == results(local)
    assert (tmp_path / "artifacts" / "results" / "summary.csv").read_bytes() == (
        local / "summary.csv"
    ).read_bytes()


def results(out: Path) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in out.glob("students/*/results.json")}
