"""Grading on other machines: a scheduler over TLS and its workers, started as INSTRUCTORS.md says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.grade.test_batch import LAB, TINY, shown, the_class, tiny_manifest
from tests.judging import environment
from workshop.errors import InfraError, Refusal
from workshop.grade.judging import remote_tasks
from workshop.grade.judging.dask_pool import Cluster, Tls
from workshop.grade.judging.local_pool import LocalPool
from workshop.grade.judging.outcome_cache import Store
from workshop.grade.judging.whole_class import Batch
from workshop.grade.sandboxes import choose_sandbox
from workshop.grade.sandboxes.bubblewrap import family
from workshop.grade.submissions.class_roster import Person
from workshop.grade.submissions.collect import Submission
from workshop.paths import ROOT, SOLUTIONS

SECONDS = 120.0
SOLUTION = (SOLUTIONS / LAB.name / "server.py").read_text(encoding="utf-8")

FIRST = "from __future__ import annotations\n"
LOOKS = """
import os, socket
for place in PLACES:
    try:
        socket.create_connection(place, 5).close()
    except OSError:
        continue
    os._exit(3)
"""

pytestmark = [
    pytest.mark.whole("classes in sandboxes"),
    pytest.mark.skipif(bool(choose_sandbox.bubblewrap_trouble()), reason=choose_sandbox.bubblewrap_trouble()),
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

    def worker(self) -> subprocess.Popen[bytes]:
        """A worker without a nanny, so that its process is the one that grades."""
        words = self.worker_words.replace("tls://10.0.0.1:8786", self.address)
        place = f"--local-directory {shlex.quote(str(self.folder))}"
        return self._start(f"{words} --no-nanny --host tls://127.0.0.1 --nthreads 1 {place}")

    def last(self) -> subprocess.Popen[bytes]:
        """The last worker that lives."""
        return next(one for one in reversed(self.started) if one.poll() is None)

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
            await_true(lambda: len(made.workers()) == workers, f"there are not {workers} workers")
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


def at_work(pid: int) -> list[str]:
    return [name for name in folders_of(pid) if "-one-" in name]


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
    with contextlib.closing(choose_sandbox.choose(LAB, "bubblewrap")) as engine:
        batch = Batch(tiny_manifest(folder / "manifest"), engine, Store(folder / "store"), quiet=True)
        return shown(batch.grade(grown()), batch, grown())


def grown() -> list[Submission]:
    """The class, and some who did the same work: enough for somebody to be in the middle."""
    texts = [(f"more{number}", f"{SOLUTION}\n# {number}\n") for number in range(4)]
    more = [Submission(Person(word, word), 1, {"server.py": text.encode()}) for word, text in texts]
    return [*the_class(), *more]


def test_a_cluster_gives_the_same_bytes(site: Site, local: str, tmp_path: Path) -> None:
    with site.cluster(1) as cluster:
        batch = Batch(tiny_manifest(tmp_path / "manifest"), cluster, Store(tmp_path / "store"), quiet=True)
        outcomes = batch.grade(grown())
        assert shown(outcomes, batch, grown()) == local
    worker = site.last().pid
    assert {one.run["worker"].endswith(f"process {worker}") for one in outcomes.values() if one.run} == {True}
    assert not folders_of(worker), "a worker keeps what a class that is over has left"
    assert family(worker) == [worker]


def test_a_worker_that_is_killed_in_the_middle_loses_nothing(site: Site, local: str, tmp_path: Path) -> None:
    victim, store = site.worker(), Store(tmp_path / "store")
    pids: list[int] = []

    def kill() -> None:
        """As soon as something is known and the victim is at work."""
        await_true(lambda: [*store.folder.glob("*.json")] and len(family(victim.pid)) > 3, "it does nothing")
        pids.extend(family(victim.pid))
        victim.kill()
        victim.wait()

    with site.cluster(2) as cluster:
        batch = Batch(tiny_manifest(tmp_path / "manifest"), cluster, store, quiet=True)
        killer = threading.Thread(target=kill)
        killer.start()
        try:
            outcomes = batch.grade(grown())
        finally:
            killer.join()
        assert shown(outcomes, batch, grown()) == local
    assert len(pids) > 3, "it was not killed with a judge process and a sandbox"
    await_true(lambda: not [pid for pid in pids if Path("/proc", str(pid)).exists()], "processes are left")
    assert not folders_of(victim.pid), "the other worker's sweep left folders"
    assert len([*store.folder.glob("*.json")]) == len({one.digest for one in grown() if one.files})


def test_a_submission_over_which_workers_die_has_no_number(site: Site, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    slow = [Submission(Person("ada", "ada"), 1, {"server.py": b"import time; time.sleep(600)"})]

    def kill() -> None:
        """Every worker that takes it up, until it is taken from them."""
        for _ in range(3):
            one = site.last()
            await_true(lambda one=one: at_work(one.pid), "nobody takes it up")  # type: ignore[misc]
            one.kill()
            one.wait()
            site.worker()

    with site.cluster(1) as cluster:
        batch = Batch(tiny_manifest(tmp_path / "manifest"), cluster, store, quiet=True)
        cluster.open(batch.manifest)
        killer = threading.Thread(target=kill)
        killer.start()
        try:
            [(_, outcome)] = cluster.grade({"ada": slow[0].files})
        finally:
            killer.join()
            cluster.end()
    assert outcome.infra == batch.manifest.lab.checks
    assert "ended in the middle" in outcome.checks[0]["finding"]["got"]


def test_a_sandbox_has_no_way_to_the_scheduler(site: Site, tmp_path: Path) -> None:
    """The solution, after a look for the scheduler and the worker: it breaks off where it finds one."""
    with site.cluster(1) as cluster:
        addresses = [urlsplit(one) for one in (site.address, *cluster.workers())]
        places = [(one.hostname, one.port) for one in addresses]
        source = LOOKS.replace("PLACES", repr(places))
        outside = subprocess.run([sys.executable, "-c", source], check=False)
        assert outside.returncode == 3, "it does not find them where they can be found"
        text = SOLUTION.replace(FIRST, FIRST + source)
        assert text != SOLUTION
        batch = Batch(tiny_manifest(tmp_path / "manifest"), cluster, Store(tmp_path / "store"), quiet=True)
        looks = Submission(Person("eve", "eve"), 1, {"server.py": text.encode()})
        outcomes = batch.grade([looks])
        assert [one["verdict"] for one in outcomes[batch.key(looks)].checks] == ["PASS", "PASS"]


def test_a_worker_with_another_workshop_is_not_asked(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny_manifest(tmp_path / "manifest")
    with site.cluster(1) as cluster:
        batch = Batch(replace(made, grader="another"), cluster, Store(tmp_path / "store"), quiet=True)
        with pytest.raises(InfraError, match="its workshop is another one"):
            batch.grade(the_class()[:1])
    monkeypatch.setattr("workshop.grade.judging.dask_pool.grader_digest", lambda _: "another")
    with pytest.raises(Refusal, match="its workshop is another one"), site.cluster(1):
        pass
    assert not folders_of(site.last().pid)


def test_a_fault_in_a_check_of_ours_grades_nobody(site: Site, tmp_path: Path) -> None:
    broken = TINY.replace("that(service", "1 / 0; that(service", 1)
    store = Store(tmp_path / "store")
    with site.cluster(1) as cluster:
        batch = Batch(tiny_manifest(tmp_path / "manifest", broken), cluster, store, quiet=True)
        with pytest.raises(InfraError, match="Nothing was graded"):
            batch.grade(the_class()[:1])
    assert not [*store.folder.glob("*")]
    assert not folders_of(site.last().pid)


# --- the command ------------------------------------------------------------------------------------------


def handed_in(folder: Path) -> Path:
    for name, text in (("ada", SOLUTION), ("bob", "def x(:")):
        (folder / name).mkdir(parents=True)
        (folder / name / "server.py").write_text(text)
    return folder


def grade(words: str) -> subprocess.CompletedProcess[str]:
    """A command as it is typed, in the checkout."""
    return subprocess.run(
        shlex.split(words),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=3 * SECONDS,
        check=False,
    )


def test_the_command_gives_the_same_files(site: Site, tmp_path: Path) -> None:
    submissions = handed_in(tmp_path / "in")
    words = site.grade_words.replace("downloads/lab5", str(submissions))
    words = words.replace("tls://10.0.0.1:8786", site.address)
    words = re.sub(r"\b(cert|key)\.pem", lambda found: str(site.folder / found[0]), words)
    far = grade(f"{words} --seed 3 --out {tmp_path / 'far'}")
    assert far.returncode == 0, far.stdout + far.stderr
    near = grade(
        f"{sys.executable} -m workshop grade {submissions} --lab 5 --seed 3 --out {tmp_path / 'near'}"
    )
    assert near.returncode == 0, near.stdout + near.stderr
    for name in ("students/ada/results.json", "students/bob/results.json", "summary.csv"):
        assert (tmp_path / "far" / name).read_bytes() == (tmp_path / "near" / name).read_bytes()
    again = grade(f"{words} --seed 3 --out {tmp_path / 'near'}")
    assert again.returncode == 0 and "grading" not in again.stderr, "what is known was graded again"


OURS = "--tls-ca {cert} --tls-cert {cert} --tls-key {key}"
OTHER = "--tls-ca {other} --tls-cert {other} --tls-key {other_key}"
AMISS = "--tls-ca {cert} --tls-cert {cert} --tls-key {cert}"


@pytest.mark.parametrize(
    ("words", "code", "phrase"),
    [
        ("--scheduler tcp://192.0.2.1:8786", 2, "off this host: that needs TLS"),
        ("--scheduler tls://192.0.2.1:8786", 2, "needs --tls-ca and --tls-cert and --tls-key"),
        ("--scheduler tls://192.0.2.1:8786 --tls-ca {cert} --tls-cert {cert}", 2, "needs --tls-key"),
        ("--scheduler tls://192.0.2.1:8786 --tls-ca /x --tls-cert {cert} --tls-key {key}", 2, "no file /x"),
        (f"--scheduler tcp://127.0.0.1:8786 {OURS}", 2, "write tls://"),
        ("--scheduler 192.0.2.1", 2, "not a scheduler's address"),
        ("--scheduler tls://192.0.2.1:x", 2, "not a scheduler's address"),
        ("--tls-ca {cert}", 2, "are for --scheduler"),
        ("--scheduler tcp://127.0.0.1:8786 --workers 3", 2, "--workers is for this machine"),
        ("--scheduler tcp://127.0.0.1:{closed}", 3, "No scheduler answers at tcp://127.0.0.1:"),
        ("--scheduler tcp://127.0.0.1:{silent}", 3, "No scheduler answers at tcp://127.0.0.1:"),
        (f"--scheduler {{address}} {OTHER}", 3, "No scheduler answers at tls://127.0.0.1:"),
        (f"--scheduler {{address}} {AMISS}", 3, "No scheduler answers at tls://127.0.0.1:"),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(
    site: Site, words: str, code: int, phrase: str, tmp_path: Path
) -> None:
    holes = {"cert": site.folder / "cert.pem", "key": site.folder / "key.pem", "address": site.address}
    subprocess.run(shlex.split(commands()[0]), cwd=tmp_path, check=True, capture_output=True)
    holes |= {"other": tmp_path / "cert.pem", "other_key": tmp_path / "key.pem"}
    with socket.socket() as silent, socket.socket() as closed:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed.bind(("127.0.0.1", 0))
        holes |= {"silent": silent.getsockname()[1], "closed": closed.getsockname()[1]}
        line = f"{sys.executable} -m workshop grade {handed_in(tmp_path / 'in')} --lab 5 {words}"
        done = grade(line.format(**holes))
    assert done.returncode == code, done.stderr
    assert phrase in done.stderr and done.stderr.count("\n") == 1 and not done.stdout, done.stderr


def test_without_dask_it_says_what_to_install(tmp_path: Path) -> None:
    without = "import sys; sys.modules['distributed'] = None; from workshop.__main__ import run; exit(run())"
    words = f'{sys.executable} -E -c "{without}" grade {handed_in(tmp_path / "in")} --lab 5'
    done = grade(f"{words} --scheduler tcp://127.0.0.1:8786")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    install = done.stderr.partition("Install it: ")[2].split()
    assert install[:4] == [sys.executable, "-m", "pip", "install"] and Path(install[-1]).is_file()
    assert "distributed==" in Path(install[-1]).read_text()


class NoSandboxes:
    """An engine that is asked for none."""

    name, is_closed = "none", False

    def sweep(self) -> list[str]:
        return []

    def close(self) -> None:
        self.is_closed = True


def test_a_class_that_is_given_up_while_its_worker_gets_ready_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lab's own solution takes longer than anybody waits for the end; then nothing is graded."""
    engine, begun, goes_on = NoSandboxes(), threading.Event(), threading.Event()

    def calibrate(_: LocalPool) -> None:
        begun.set()
        goes_on.wait()

    monkeypatch.setattr(remote_tasks, "END_SECONDS", 0.0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(choose_sandbox, "choose", lambda *_: engine)
    monkeypatch.setattr(LocalPool, "calibrate", calibrate)
    manifest = tiny_manifest(tmp_path / "manifest")
    terms = remote_tasks.pack_terms("given up", manifest, f"{engine.name} {sys.version}", "auto", "")
    said: list[str] = []
    worker = threading.Thread(target=lambda: said.append(asyncio.run(remote_tasks.ready(terms))))
    worker.start()
    assert begun.wait(SECONDS)
    asyncio.run(remote_tasks.over("given up"))
    goes_on.set()
    worker.join()
    assert said == ["The grading was ended."]
    assert engine.is_closed and not list(tmp_path.glob("wg-*"))
