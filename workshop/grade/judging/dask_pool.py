"""Other machines: a Dask scheduler hands the tasks of a class (remote_tasks.py) to its workers.

Whoever reaches a Dask scheduler may run code on it and on its workers. So it is spoken to over TLS, with a
certificate on both sides, unless all of it is on this machine; and no sandbox has a way to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import secrets
import sys
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from workshop.errors import EXIT_INFRA, InfraError, Refusal
from workshop.grade.judging import remote_tasks
from workshop.grade.judging.local_pool import Files
from workshop.grade.judging.manifest import Manifest, grader_digest
from workshop.grade.judging.outcome import Outcome, blank
from workshop.grade.judging.worker_pools import Pool
from workshop.judge.patience import Time
from workshop.judge.verdict import Verdict
from workshop.labs import Lab
from workshop.paths import ROOT

if TYPE_CHECKING:
    from distributed import Client, Future
    from distributed.security import Security

SECONDS = 10.0  # until the scheduler answers, and until it has a worker
AHEAD = 4  # tasks a worker's thread that are handed to the scheduler before one is done
LOCK = "services/grader/requirements.lock"
EXAMPLE = "tls://HOST:8786, or tcp://127.0.0.1:8786 on this machine"


@dataclass(frozen=True)
class Tls:
    """The files of a certificate authority, and of a certificate of its own making with its key."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def named(self) -> dict[str, Path | None]:
        return {"--tls-ca": self.ca, "--tls-cert": self.cert, "--tls-key": self.key}


class Cluster(Pool):
    """The workers of a scheduler. Raises Refusal when they can't be reached, trusted, or don't agree."""

    def __init__(self, address: str, tls: Tls, lab: Lab, sandbox: str = "auto", runtime: str = "") -> None:
        check_address(address, tls)
        self.address, self._sandbox, self._runtime = address, sandbox, runtime
        self._batch, self._terms, self._sent = "", b"", 0
        self._running: dict[str, Future[str]] = {}
        self._manifest: Manifest | None = None
        self._client = connect(address, tls)
        try:
            self._see_that_it_is_safe()
            self.image = self._agreed(lab)
        except BaseException:
            self.close()
            raise

    def open(self, manifest: Manifest) -> None:
        self._manifest, self._batch = manifest, secrets.token_hex(8)
        self._terms = remote_tasks.pack_terms(self._batch, manifest, self.image, self._sandbox, self._runtime)
        told = self._ask(remote_tasks.ready, self._terms)
        if all(isinstance(one, Exception) for one in told.values()):
            raise InfraError("Nothing was graded: every worker went away.")
        for worker, trouble in told.items():
            if trouble and not isinstance(trouble, Exception):
                raise InfraError(f"Worker {worker}: {trouble}")

    def grade(self, files: Mapping[str, Files]) -> Iterator[tuple[str, Outcome]]:
        from distributed import as_completed

        waiting = iter(files.items())
        keys: dict[str, str] = {}
        flow = as_completed(loop=self._client.loop)
        room = AHEAD * sum(one["nthreads"] for one in self.workers().values())
        while True:
            for key, one in islice(waiting, max(1, room - len(keys))):
                future = self._send(one, None)
                keys[str(future.key)] = key
                flow.add(future)
            if not keys:
                return
            future = next(flow)
            yield keys.pop(str(future.key)), self._outcome(future, None)

    def alone(self, files: Files, only: list[str], time: Time = Time.ALL) -> Outcome:
        return self._outcome(self._send(files, only, time), only)

    def end(self) -> None:
        """End what the workers still do for this class, and have them sweep up."""
        with contextlib.suppress(OSError, CancelledError):
            self._client.cancel([*self._running.values()], force=True)
            if self._batch:
                self._ask(remote_tasks.over, self._batch)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._client.close(timeout=SECONDS)

    # --- tasks

    def _send(self, files: Files, only: list[str] | None, time: Time = Time.ALL) -> Future[str]:
        self._sent += 1
        key = f"grade-{self._batch}-{self._sent}"
        order = remote_tasks.pack(files, only, time)
        self._running[key] = self._client.submit(remote_tasks.run, self._terms, order, key=key, pure=False)
        return self._running[key]

    def _outcome(self, future: Future[str], only: list[str] | None) -> Outcome:
        """What came back: no number where every worker died over it. Raises InfraError when nothing did."""
        from distributed.scheduler import KilledWorker

        assert self._manifest is not None
        self._running.pop(str(future.key))
        try:
            reply: dict[str, Any] = json.loads(future.result())
        except KilledWorker:
            got = "every worker that graded it ended in the middle"
            return blank(self._manifest, Verdict.INFRA_ERROR, got, "", "", only)
        except (Exception, CancelledError) as error:
            raise InfraError(
                f"{self.address} can't go on ({in_words(error)}). What was graded is kept: run it again."
            ) from error
        if "trouble" in reply:
            raise InfraError(f"The worker on {reply['where']} can't grade: {reply['trouble']}.")
        return Outcome.of_dict(reply["outcome"])

    # --- the workers

    def workers(self) -> dict[str, dict[str, Any]]:
        """What the scheduler says of each, by address."""
        return dict(self._client.scheduler_info(n_workers=-1)["workers"])

    def _ask(self, what: Callable[..., object], *words: object) -> dict[str, Any]:
        """The answer of every worker, by address; an exception stands for one that went away."""
        told: dict[str, Any] = self._client.run(what, *words, on_error="return")
        return told

    def _see_that_it_is_safe(self) -> None:
        info = self._client.scheduler_info(n_workers=-1)
        for address in (info["address"], *info["workers"]):
            if not (address.startswith("tls://") or is_here(urlsplit(address).hostname)):
                raise Refusal(f"{address} is off this host and without TLS: start everything with tls://.")

    def _agreed(self, lab: Lab) -> str:
        """The sandbox and Python that all workers have, in words. Raises Refusal where they differ."""
        told = self._ask(remote_tasks.about, lab.name, self._sandbox, self._runtime)
        images: dict[str, str] = {}
        for worker, about in told.items():
            if isinstance(about, Exception):
                raise Refusal(
                    f"Worker {worker} can't be asked ({in_words(about)}): start it in the workshop."
                )
            if "trouble" in about:
                raise InfraError(f"Worker {worker}: {about['trouble']}")
            if about["grader"] != grader_digest(lab):
                raise Refusal(f"Worker {worker}: {remote_tasks.OTHER_CHECKOUT}.")
            images[about["image"]] = worker
        if len(images) > 1:
            several = "; ".join(f"{worker} has {image}" for image, worker in images.items())
            raise Refusal(f"The workers don't grade alike: {several}. Name one --sandbox, have one Python.")
        return next(iter(images))


# --- reaching the scheduler -------------------------------------------------------------------------------


def check_address(address: str, tls: Tls) -> None:
    """Raises Refusal unless it is over TLS, or on this host."""
    try:
        parts = urlsplit(address)
        complete = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port
    except ValueError:
        complete = None
    if not complete:
        raise Refusal(f"--scheduler {address} is not a scheduler's address: give {EXAMPLE}.")
    missing = [name for name, path in tls.named().items() if path is None]
    if parts.scheme == "tcp":
        if not is_here(parts.hostname):
            raise Refusal(
                f"--scheduler {address} is off this host: that needs TLS, tls://, and certificates."
            )
        if len(missing) < 3:
            raise Refusal(f"--scheduler {address} is without TLS, but certificates are given: write tls://.")
        return
    if missing:
        raise Refusal(f"--scheduler {address} needs {' and '.join(missing)} too (INSTRUCTORS.md says how).")
    for name, path in tls.named().items():
        if path is not None and not path.is_file():
            raise Refusal(f"{name}: there is no file {path}.")


def is_here(host: str | None) -> bool:
    """Whether a host is this one by its loopback address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def connect(address: str, tls: Tls) -> Client:
    """A client of a scheduler that has a worker. Raises Refusal when there is none within SECONDS."""
    try:
        from distributed import Client
        from distributed.security import Security
    except ImportError as error:
        install = f"{sys.executable} -m pip install --require-hashes -r {ROOT / LOCK}"
        raise Refusal(f"--scheduler needs Dask distributed. Install it: {install}") from error
    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what a person must know is said by us
    safe = None
    if tls.ca:
        safe = Security(
            tls_ca_file=str(tls.ca),
            tls_client_cert=str(tls.cert),
            tls_client_key=str(tls.key),
            require_encryption=True,
        )
    try:
        asyncio.run(greet(address, safe))
        client = Client(address, security=safe, timeout=SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise Refusal(
            f"No scheduler answers at {address} within {SECONDS:g} s ({in_words(error)}). "
            "Is it up, and are the certificates of one authority?",
            EXIT_INFRA,
        ) from error
    try:
        client.wait_for_workers(1, timeout=SECONDS)
    except (OSError, TimeoutError) as error:
        client.close(timeout=SECONDS)
        raise Refusal(f"The scheduler at {address} has no worker. Start one.", EXIT_INFRA) from error
    return client


async def greet(address: str, safe: Security | None) -> None:
    """See that a Dask server answers: a client would wait for its first word for ever. Raises OSError."""
    from distributed.comm.core import connect

    words = safe.get_connection_args("client") if safe else {}
    async with asyncio.timeout(SECONDS):
        comm = await connect(address, timeout=SECONDS, **words)
    await comm.close()


def in_words(error: BaseException) -> str:
    """An exception of somebody else's library, in one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
