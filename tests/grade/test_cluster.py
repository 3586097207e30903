"""Grading on other machines: a scheduler over TLS and its workers, started as INSTRUCTORS.md says."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.grade.test_batch import LAB, shown, the_class, tiny_manifest
from tests.judging import environment
from workshop.grade import engines
from workshop.grade.batch import Batch
from workshop.grade.bubblewrap import family
from workshop.grade.cluster import Cluster, Tls
from workshop.grade.store import Store
from workshop.paths import ROOT, SOLUTIONS

SECONDS = 120.0
SOLUTION = (SOLUTIONS / LAB.name / "server.py").read_text(encoding="utf-8")

pytestmark = [
    pytest.mark.skipif(bool(engines.bubblewrap_trouble()), reason=engines.bubblewrap_trouble()),
]


def commands() -> list[str]:
    """The lines that INSTRUCTORS.md tells people to type, for certificate, scheduler, worker and grading."""
    text = (ROOT / "INSTRUCTORS.md").read_text(encoding="utf-8")
    block = re.search(r"```console\n(\$ openssl .*?)```", text, re.DOTALL)
    assert block is not None
    lines = block[1].replace("\\\n", " ").splitlines()
    return [
        line.removeprefix("$ ").replace(".venv/bin/python", shlex.quote(sys.executable)) for line in lines
    ]


class Site:
    """A scheduler on this machine, as an instructor starts one, and workers that come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        certificate, self.tls_words, scheduler, self.worker_words, self.grade_words = commands()
        subprocess.run(shlex.split(certificate), cwd=folder, check=True, capture_output=True)
        self.started: list[subprocess.Popen[bytes]] = []
        file = folder / "scheduler.json"
        words = scheduler.replace("10.0.0.1", "127.0.0.1").replace("--port 8786", "--port 0")
        self._start(f"{words} --scheduler-file {shlex.quote(str(file))}")
        await_true(file.exists, "the scheduler does not come up")
        self.address = json.loads(file.read_text())["address"]
        self.tls = Tls(*(folder / name for name in ("cert.pem", "cert.pem", "key.pem")))

    def worker(self, more: str = "--nthreads 1") -> subprocess.Popen[bytes]:
        """A worker without a nanny, so that its process is the one that grades."""
        words = self.worker_words.replace("tls://10.0.0.1:8786", self.address)
        return self._start(f"{words} --no-nanny --host tls://127.0.0.1 {more}")

    def _start(self, words: str) -> subprocess.Popen[bytes]:
        tls = re.sub(r"\b(cert|key)\.pem", lambda found: str(self.folder / found[0]), self.tls_words)
        assignments, _, rest = words.partition(" ")
        with (self.folder / f"{len(self.started)}.log").open("wb") as log:
            made = subprocess.Popen(
                ["sh", "-c", f"{tls}\nexport {assignments}\nexec {rest}"],
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(made)
        return made

    def said(self) -> str:
        """What scheduler and workers have said: for a person whose test failed."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in logs)

    @contextlib.contextmanager
    def cluster(self, workers: int) -> Iterator[Cluster]:
        """A pool on so many workers."""
        made = Cluster(self.address, self.tls, LAB, "bubblewrap")
        try:
            await_true(lambda: len(made._workers()) == workers, f"there are not {workers} workers")
            yield made
        finally:
            made.close()

    def end(self) -> None:
        """End everything, workers first, and see that they leave nothing."""
        for one in reversed(self.started):
            one.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.wait(SECONDS)
            one.kill()
            one.wait()


def await_true(what: Callable[[], object], otherwise: str, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def folders_of(pid: int) -> list[str]:
    return [path.name for path in Path("/tmp").glob(f"wg-{pid}-*")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    try:
        made.worker()
        yield made
    finally:
        made.end()
        print(made.said())


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the class gets on this machine alone."""
    folder = tmp_path_factory.mktemp("local")
    with contextlib.closing(engines.choose(LAB, "bubblewrap")) as engine:
        batch = Batch(tiny_manifest(folder / "manifest"), engine, Store(folder / "store"), quiet=True)
        return shown(batch.grade(the_class()), batch, the_class())


def test_a_cluster_gives_the_same_bytes(site: Site, local: str, tmp_path: Path) -> None:
    with site.cluster(1) as cluster:
        batch = Batch(tiny_manifest(tmp_path / "manifest"), cluster, Store(tmp_path / "store"), quiet=True)
        outcomes = batch.grade(the_class())
        assert shown(outcomes, batch, the_class()) == local
    assert {one.run["worker"] for one in outcomes.values() if one.run} != {""}
    worker = site.started[-1].pid
    assert not folders_of(worker), "a worker keeps what a class that is over has left"
    assert family(worker) == [worker]
