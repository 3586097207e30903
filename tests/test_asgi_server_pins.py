"""Lab 11's reference where real servers differ, as its NOTES say, and the interface that lab 15 stands on."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest

from workshop.paths import SOLUTIONS

FOLDER = SOLUTIONS / "11-asgi-server"
Script = Callable[[Any], Awaitable[None]]


@pytest.fixture(scope="module")
def lab() -> Any:
    """The reference's server.py, under a module name of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        spec = importlib.util.spec_from_file_location("asgi_server_solution", FOLDER / "server.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["asgi_server_solution"] = module
        spec.loader.exec_module(module)
        return module


@asynccontextmanager
async def served(lab: ModuleType, application: Any, **more: Any) -> AsyncIterator[tuple[Any, int]]:
    server = lab.Server(application, **more)
    listener = socket.create_server(("127.0.0.1", 0))
    await server.listen(listener)
    try:
        yield server, listener.getsockname()[1]
    finally:
        server.stop_accepting()
        await server.drain(0.2)


async def said(port: int, data: bytes, half_close: bool = False) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    if half_close:
        writer.write_eof()
    try:
        async with asyncio.timeout(60):
            return await reader.read()
    finally:
        writer.close()


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"Hello, ", "more_body": True})
    await send({"type": "http.response.body", "body": b"Ada"})


GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def test_http_1_0_gets_no_chunks(lab: Any) -> None:
    async def main() -> None:
        async with served(lab, hello) as (_, port):
            answer = await said(port, b"GET / HTTP/1.0\r\n\r\n")
            assert b"chunked" not in answer and answer.endswith(b"\r\n\r\nHello, Ada")

    asyncio.run(main())


def test_half_closed_client_gets_every_answer(lab: Any) -> None:
    async def main() -> None:
        async with served(lab, hello) as (_, port):
            answer = await said(port, 2 * b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", half_close=True)
            assert answer.count(b" 200 OK") == 2

    asyncio.run(main())


def test_half_closed_client_gets_a_500(lab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async def late(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.1)  # until the client's end is known
        raise LookupError("on purpose")

    async def main() -> None:
        async with served(lab, late) as (_, port):
            assert b" 500 " in await said(port, GET, half_close=True)

    asyncio.run(main())
    assert "LookupError: on purpose" in capsys.readouterr().err


def test_head_has_limits_of_time_and_length(lab: Any) -> None:
    async def main() -> None:
        async with served(lab, hello, time_out=0.5) as (_, port):
            assert b" 408 " in await said(port, b"GET / HTTP/1.1\r\n")
        async with served(lab, hello) as (_, port):  # so much takes a while to come
            assert b" 431 " in await said(port, b"GET / HTTP/1.1\r\n" + b"X-A: y\r\n" * 20_000)

    asyncio.run(main())


def test_exception_between_start_and_body_is_a_500(lab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async def half(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        raise LookupError("on purpose")

    async def main() -> None:
        async with served(lab, half) as (_, port):
            assert b" 500 " in await said(port, GET)

    asyncio.run(main())
    assert "LookupError: on purpose" in capsys.readouterr().err


def test_each_scope_has_a_copy_of_the_state(lab: Any) -> None:
    seen: list[Any] = []

    async def keeps(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope["state"]))
        scope["state"]["mine"] = True
        await hello(scope, receive, send)

    async def main() -> None:
        async with served(lab, keeps, state={"book": 1}) as (_, port):
            await said(port, GET)
            await said(port, GET)

    asyncio.run(main())
    assert seen == [{"book": 1}, {"book": 1}]


remembered: ContextVar[str] = ContextVar("remembered", default="nobody")
PIPELINED = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n" + 900_000 * b"x"


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([(PIPELINED, 1), (PIPELINED, 1), (PIPELINED, 1)], id="kept alive"),
        pytest.param([(3 * PIPELINED, 3)], id="pipelined"),
        pytest.param([(UPLOAD, 1), (2 * PIPELINED, 2)], id="after an upload that paused reading"),
    ],
)
def test_each_request_has_a_fresh_context(lab: Any, pieces: list[tuple[bytes, int]]) -> None:
    """PEP 567: neither the task of the request before hands its context on, nor a callback that it left."""
    found: list[str] = []

    async def remembers(scope: Any, receive: Any, send: Any) -> None:
        found.append(remembered.get())
        remembered.set("the request before")
        while (await receive()).get("more_body"):
            pass
        await hello(scope, receive, send)

    async def main() -> None:
        remembered.set("where serving began")
        async with served(lab, remembers) as (_, port):
            remembered.set("where nobody looks")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for piece, answers in pieces:
                writer.write(piece)
                for _ in range(answers):
                    await reader.readuntil(b"\r\n0\r\n\r\n")
            writer.close()

    asyncio.run(main())
    assert found == ["where serving began"] * 3


def test_websocket_has_a_fresh_context_too(lab: Any) -> None:
    found: list[str] = []

    async def remembers(scope: Any, receive: Any, send: Any) -> None:
        remembered.set("the request before")
        await hello(scope, receive, send)

    def upgrade(scope: Any, transport: Any, rest: bytes, application: Any) -> Any:
        found.append(remembered.get())
        transport.close()
        return asyncio.Protocol()

    head = b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

    async def main() -> None:
        async with served(lab, remembers, upgrade=upgrade) as (_, port):
            await said(port, PIPELINED + head)

    asyncio.run(main())
    assert found == ["nobody"]


def test_drain_lets_requests_finish_and_cuts_off_the_rest(lab: Any) -> None:
    gate: dict[str, Any] = {}

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        gate["called"].set()
        await asyncio.sleep(gate["patience"])
        await hello(scope, receive, send)

    async def main(patience: float, seconds: float | None) -> tuple[int, bytes]:
        gate.update(patience=patience, called=asyncio.Event())
        async with served(lab, slow) as (server, port):
            asking = asyncio.create_task(said(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
            await gate["called"].wait()
            assert server.in_flight == 1
            server.stop_accepting()
            cut = await server.drain(seconds)
            return cut, await asking

    cut, answer = asyncio.run(main(0.05, None))
    assert cut == 0 and answer.endswith(b"0\r\n\r\n") and b"connection: close" in answer
    cut, answer = asyncio.run(main(30, 0.05))
    assert cut == 1 and b" 500 " in answer


def test_drain_ends_when_nobody_is_left_but_a_client_that_stays(lab: Any) -> None:
    """It was told 400, and keeps its side open: no task is left that could be cancelled."""

    async def main() -> int:
        async with served(lab, hello) as (server, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET\r\n\r\n")
            assert b" 400 " in await reader.read()
            server.stop_accepting()
            cut: int = await server.drain(0.05)
            writer.close()
            return cut

    assert asyncio.run(main()) == 0


def test_idle_connections_are_closed_after_a_client_had_a_408(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look at who is overdue goes on, whoever was overdue, and told so, and has not left since."""
    monkeypatch.setattr(lab, "LINGER", 0.0)
    monkeypatch.setattr(lab, "TICK", 0.02)

    async def main() -> None:
        async with served(lab, hello, time_out=0.5, keep_alive=0.02) as (server, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n")
            assert b" 408 " in await reader.read()
            server.time_out = 60.0  # whoever asks now has time to
            async with asyncio.timeout(60):
                while server.connections:  # noqa: ASYNC110 - nothing tells when
                    await asyncio.sleep(0.01)
                assert (await said(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).endswith(b"0\r\n\r\n")
            writer.close()

    asyncio.run(main())


def test_upgrade_hands_over_transport_and_rest(lab: Any) -> None:
    class Other(asyncio.Protocol):
        def __init__(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(b"again " + data)
            self.transport.close()

    def upgrade(scope: Any, transport: Any, rest: bytes, application: Any) -> Any:
        transport.write(b"%b %b " % (scope["type"].encode(), rest))
        return Other(transport)

    head = b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

    async def main() -> None:
        async with served(lab, hello, upgrade=upgrade) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + b"frame")
            assert await reader.readexactly(11) == b"http frame "
            writer.write(b"more")
            assert await reader.read() == b"again more"
            writer.close()
        async with served(lab, hello) as (_, port):
            assert b" 200 OK" in await said(port, head.replace(b"Upgrade\r\n\r\n", b"Upgrade, close\r\n\r\n"))

    asyncio.run(main())
