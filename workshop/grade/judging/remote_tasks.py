"""Tasks: submissions that this machine grades for a class on another one. Bytes in, JSON out.

What the tasks of a class have in common are its terms: the checks, hidden ones too, as bytes, and the
grader that must be here. The first task lays them out in a private folder and has the lab's own solution
graded; nothing but that is kept from one task to the next. All of it is plain data: nothing of it is
unpickled, and a submission's code runs in a sandbox of this machine's, never in the process of a task.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import tempfile
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import asdict
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from workshop.errors import InfraError, Refusal
from workshop.grade.judging.local_pool import Files, LocalPool
from workshop.grade.judging.manifest import Hidden, Manifest, digest_of, grader_digest
from workshop.grade.judging.worker_pools import image_of
from workshop.grade.sandboxes import choose_sandbox
from workshop.grade.sandboxes.sandbox_sockets import own_name
from workshop.judge.patience import Time
from workshop.labs import find, load

IDLE = 600.0  # seconds without a task, after which a class whose grader is gone is forgotten
END_SECONDS = 60.0
OTHER_CHECKOUT = "its workshop is another one: bring every machine to the same commit, without local changes"


# --- where the class is ---------------------------------------------------------------------------------


def pack_terms(batch: str, manifest: Manifest, image: str, sandbox: str, runtime: str) -> bytes:
    """The terms of a class; `batch` is a word that no other class has."""
    paths = [path for path in sorted(manifest.folder.rglob("*")) if path.is_file()]
    checks = {path.relative_to(manifest.folder).as_posix(): path.read_bytes() for path in paths}
    terms = {
        "batch": batch,
        "lab": manifest.lab.name,
        "checks": _as_text(checks),
        "hidden": {name: asdict(one) for name, one in manifest.hidden.items()},
        "secret": manifest.secret,
        "digest": manifest.digest,
        "grader": manifest.grader,
        "image": image,
        "sandbox": sandbox,
        "runtime": runtime,
    }
    return json.dumps(terms).encode()


def pack(files: Files, only: list[str] | None, time: Time = Time.ALL) -> bytes:
    """One submission, and which checks are to be run (None: all), in how much time."""
    return json.dumps({"files": _as_text(files), "only": only, "time": time}).encode()


def _as_text(files: Files) -> dict[str, str]:
    return {name: b64encode(data).decode() for name, data in files.items()}


def _as_bytes(files: dict[str, str]) -> Files:
    return {name: b64decode(text) for name, text in files.items()}


# --- where it is graded ---------------------------------------------------------------------------------


class Post:
    """What this machine has for one class: a pool with a manifest, folder and sandbox engine of its own."""

    def __init__(self, terms: bytes) -> None:
        self._terms: dict[str, Any] = json.loads(terms)
        self._changed = threading.Condition()
        self._making = threading.Lock()
        self._running = 0
        self._pool: LocalPool | None = None  # also while it grades the lab's own solution
        self._closed = False
        self._left: contextlib.ExitStack | None = None
        self._timer: threading.Timer | None = None

    @contextlib.contextmanager
    def local_pool(self) -> Iterator[LocalPool]:
        """The pool, for one task. Raises Refusal when this machine can't grade as the class is graded."""
        with self._changed:
            self._running += 1
            self._rest(False)
        try:
            with self._making:
                if self._left is None:
                    self._make()
                assert self._pool is not None
            yield self._pool
        finally:
            with self._changed:
                self._running -= 1
                self._rest(not self._running)
                self._changed.notify_all()

    def close(self) -> None:
        """End what is being graded, and remove everything."""
        with self._changed:
            self._rest(False)
            self._closed = True
            if self._pool is not None:
                self._pool.close()
            self._changed.wait_for(lambda: not self._running, END_SECONDS)
        if self._left is not None:
            self._left.close()

    def _rest(self, idle: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if idle:
            self._timer = threading.Timer(IDLE, forget, [self._terms["batch"]])
            self._timer.daemon = True
            self._timer.start()

    def _make(self) -> None:
        self._see_that_it_is_open()
        terms = self._terms
        lab = find(terms["lab"])
        if grader_digest(lab) != terms["grader"]:
            raise InfraError(OTHER_CHECKOUT)
        with contextlib.ExitStack() as made:
            engine = choose_sandbox.choose(lab, terms["sandbox"], terms["runtime"])
            made.callback(engine.close)
            made.callback(engine.sweep)
            if image_of(engine) != terms["image"]:
                raise InfraError(f"it has {image_of(engine)}, the others have {terms['image']}")
            engine.sweep()
            folder = tempfile.TemporaryDirectory(prefix=f"{own_name()}manifest-")
            place = Path(made.enter_context(folder), lab.name)
            for name, data in _as_bytes(terms["checks"]).items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(data)
            if digest_of(place) != terms["digest"]:
                raise InfraError("the checks did not arrive as they were sent")
            hidden = {name: Hidden(**one) for name, one in terms["hidden"].items()}
            manifest = Manifest(load(place), place, terms["secret"], terms["digest"], terms["grader"], hidden)
            with self._changed:
                self._pool = LocalPool(manifest, engine)
                made.callback(self._pool.close)
                self._see_that_it_is_open()
            self._pool.calibrate()
            with self._changed:  # who has closed this meanwhile had nothing to remove
                self._see_that_it_is_open()
                self._left = made.pop_all()

    def _see_that_it_is_open(self) -> None:
        if self._closed:
            raise InfraError("The grading was ended.")


_posts: dict[str, Post] = {}
_over: set[str] = set()
_lock = threading.Lock()


def _post(terms: bytes) -> Post:
    batch = json.loads(terms)["batch"]
    with _lock:
        if batch in _over:
            raise InfraError("The grading was ended.")
        return _posts.setdefault(batch, Post(terms))


def forget(batch: str) -> None:
    """Close a class's post. It may come back, unless it is over."""
    with _lock:
        post = _posts.pop(batch, None)
    if post is not None:
        post.close()


def _forget_all() -> None:
    for batch in list(_posts):
        forget(batch)


Finalize(None, _forget_all, exitpriority=10)  # also where a nanny's process ends, which `atexit` misses


def run(terms: bytes, order: bytes) -> str:
    """Grade one submission: JSON with its outcome, or with the trouble that this machine has."""
    wanted = json.loads(order)
    try:
        with _post(terms).local_pool() as local_pool:
            outcome = local_pool.grade(_as_bytes(wanted["files"]), wanted["only"], Time(wanted["time"]))
    except Refusal as refusal:
        return json.dumps({"trouble": str(refusal), "where": here()})
    outcome.run["worker"] = here()
    return json.dumps({"outcome": outcome.as_dict()})


async def ready(terms: bytes) -> str:
    """Lay the terms out and have the lab's own solution graded; the trouble, or ""."""

    def make() -> str:
        try:
            with _post(terms).local_pool():
                return ""
        except Refusal as refusal:
            return str(refusal)

    return await asyncio.to_thread(make)


async def over(batch: str) -> None:
    """The class is graded, or was given up: end and remove all that it has here."""
    with _lock:
        _over.add(batch)
    await asyncio.to_thread(forget, batch)


async def about(lab: str, sandbox: str, runtime: str) -> dict[str, str]:
    """This machine's grader and what its outcomes depend on: {"grader": …, "image": …}, or {"trouble": …}."""

    def look() -> dict[str, str]:
        try:
            chosen = find(lab)
            with contextlib.closing(choose_sandbox.choose(chosen, sandbox, runtime)) as engine:
                return {"grader": grader_digest(chosen), "image": image_of(engine)}
        except Refusal as refusal:
            return {"trouble": str(refusal)}

    return await asyncio.to_thread(look)


def here() -> str:
    return f"{socket.gethostname()}, process {os.getpid()}"
