"""Small routes on the framework of lab 18, each for one thing that a framework does. For its checks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from framework import App, HTTPException, JSONResponse, Request, Response, StreamingResponse, WebSocket
from framework import WebSocketDisconnect as Left

STREAMS = {"open": 0, "opened": 0}
HEARD: list[Any] = []
LIVED: list[str] = []
GATE = threading.Event()


@dataclass
class Owner:
    name: str
    age: int = 0


@dataclass
class Errand:
    title: str
    minutes: int
    price: float = 0.0
    urgent: bool = False
    tags: list[str] = field(default_factory=list)
    owner: Owner | None = None


@dataclass
class Parcel:
    """What no annotation says: it weighs something, and its label is not the client's to write."""

    weight: float
    label: str = field(init=False, default="")

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError("a parcel weighs something")
        self.label = f"{self.weight:g} kg"


@dataclass
class Branch:
    """It may bear another one, and so on."""

    name: str
    bears: Branch | None = None


class Trouble(Exception):
    pass


class DeepTrouble(Trouble):
    pass


class OwnTrouble(DeepTrouble):
    """It has a handler of its own."""


def layer(name: str) -> Any:
    """A pure ASGI layer that adds its name to x-layers, and counts what passes through it."""

    def around(inner: Any) -> Any:
        async def layered(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope = {**scope, "layers": [*scope.get("layers", []), name]}

            async def send_on(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message = {**message, "headers": [*message["headers"], (b"x-layers", name.encode())]}
                await send(message)

            if scope["type"] == "lifespan":
                print(f"layer {name}: lifespan", flush=True)
            await inner(scope, receive, send_on)

        return layered

    return around


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[dict[str, Any]]:
    print("switchboard opened", flush=True)
    LIVED.append("opened")
    yield {"ink": "blue", "visits": []}
    await asyncio.sleep(0)
    LIVED.append("closed")
    print("switchboard closed", flush=True)


@asynccontextmanager
async def no_ink(app: App) -> AsyncIterator[None]:
    raise RuntimeError("there is no ink")
    yield


app = App(lifespan=lifespan, middleware=[layer("outer"), layer("inner")])
broken = App(lifespan=no_ink)
bare = App()


# Requests and responses.


# Nothing but requests: tasks 2 and 4 are not needed here.


@app.get("/line/{first}/{rest:path}")
async def line(request: Request) -> Any:
    return {**request.path_params, "layers": request.scope.get("layers")}


@app.get("/line.csv")
async def line_csv() -> Any:
    return "a line"


# Two routes that fit /first/fixed.


@app.get("/first/{name}")
async def first_name(request: Request) -> Any:
    return ["the first route", request.path_params["name"]]


@app.get("/first/fixed")
async def first_fixed() -> Any:
    return ["the second route"]


@app.get("/line")
async def get_line() -> Any:
    return "got"


@app.post("/line", status_code=201)
async def post_line() -> Any:
    return ["posted"]


@app.delete("/line", status_code=204)
async def delete_line() -> None:
    return None


@app.get("/unchanged", status_code=304)
async def unchanged() -> None:
    return None


@app.get("/kept")
async def kept() -> Any:
    return Response("", 304, {"Age": "7", "X-Note": "kept"})


@app.post("/size")
async def size(request: Request) -> Any:
    return len(await request.body())


@app.delete("/size")
async def delete_size() -> Any:
    return "gone"


@app.get("/scheme")
async def scheme(request: Request) -> Any:
    return request.scope["scheme"]


@app.post("/came-with")
@app.get("/came-with")
async def came_with(request: Request) -> Any:
    """Fields that a request has once, and the server's address."""
    fields = {name: request.headers.getlist(name) for name in ("host", "content-type")}
    return {**fields, "server": request.scope.get("server")}


@app.post("/seen")
async def seen(request: Request) -> Any:
    body = await request.body()
    return {
        "body": body.decode("latin-1"),
        "note": request.headers.get("X-Note"),
        "notes": request.headers.getlist("x-note"),
        "tags": request.query_params.getlist("tag"),
        "none": request.headers.get("x-none", "none"),
    }


@app.post("/twice")
async def twice(request: Request) -> Any:
    return await request.body() == await request.body()


@app.get("/answer")
async def answer(request: Request) -> Any:
    asked = request.query_params
    headers = {"X-Note": asked["note"]}
    return Response(asked["text"], int(asked["status"]), headers, media_type="text/markdown")


@app.post("/own-fields", status_code=201)
async def own_fields() -> Any:
    """It names its status, its type and its length itself."""
    fields = {"Content-Type": "text/csv", "Content-Length": "3", "X-Note": "own"}
    return Response(b"\xff,1", 202, fields)


@app.get("/plain")
async def plain() -> Any:
    return Response("plain")


@app.get("/count")
async def count() -> Any:
    return STREAMS


@app.get("/ticks")
async def ticks(request: Request) -> Any:
    number = int(request.query_params.get("number") or 0)

    async def pieces() -> AsyncIterator[str | bytes]:
        STREAMS["open"] += 1
        STREAMS["opened"] += 1
        try:
            at = 0
            while not number or at < number:
                yield f"{at}\n" if at % 2 else b"%d\n" % at
                at += 1
                await asyncio.sleep(0.01)
        finally:
            STREAMS["open"] -= 1

    status = int(request.query_params.get("status") or 200)
    return StreamingResponse(pieces(), status, {"X-Note": "ticks"}, media_type="text/plain")


# Parameters.


@app.get("/typed/{number}")
async def typed(number: int, ratio: float, word: str, loud: bool = False, maybe: int | None = None) -> Any:
    return [number, ratio, word, loud, maybe]


@app.get("/no-number")
async def no_number() -> Any:
    return {"ratio": float("nan")}


@app.post("/errands/{number}")
async def errand(errand: Errand, number: int, request: Request, dry: bool = False) -> Any:
    same = isinstance(errand, Errand) and (errand.owner is None or isinstance(errand.owner, Owner))
    return {"number": number, "dry": dry, "errand": errand, "dataclasses": same, "method": request.method}


@app.post("/parcels")
async def parcel(parcel: Parcel) -> Any:
    return parcel


@app.post("/branches")
async def branches(branch: Branch) -> Any:
    return "grown"


@app.get("/blocking")
def blocking() -> Any:
    """It stops its thread until somebody opens the gate."""
    return {"opened": GATE.wait(5), "thread": threading.current_thread() is not threading.main_thread()}


@app.get("/open-the-gate")
async def open_the_gate() -> Any:
    GATE.set()
    return threading.current_thread() is threading.main_thread()


# WebSockets and the lifespan.


@app.get("/ink")
async def ink(request: Request) -> Any:
    request.state.visits.append(1)
    return [request.state.ink, len(request.state.visits)]


@app.websocket("/shout/{times}")
async def shout(websocket: WebSocket, times: int, mark: str = "!") -> None:
    await websocket.accept(subprotocol="shout" if "shout" in websocket.scope["subprotocols"] else None)
    try:
        while (text := await websocket.receive_text()) != "bye":
            for _ in range(times):
                await websocket.send_text(f"{text.upper()}{mark} in {websocket.state.ink}")
        await websocket.send_bytes(text.encode())
        await websocket.close(4001, "bye")
    except Left as left:
        HEARD.append(left.code)


@app.websocket("/closed")
async def closed(websocket: WebSocket) -> None:
    await websocket.close()


@app.websocket("/first/{name}")
async def first_socket(websocket: WebSocket, name: str) -> None:
    """What it sends says which of two routes it is, and the scheme; its close has no code."""
    await websocket.accept()
    await websocket.send_text(f"the first route: {name}, {websocket.scope['scheme']}")
    await websocket.close()


@app.websocket("/first/fixed")
async def second_socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("the second route")


@app.websocket("/careless")
async def careless(websocket: WebSocket) -> None:
    """It does not catch the end."""
    await websocket.accept()
    while True:
        await websocket.send_text(await websocket.receive_text())


@app.websocket("/ws-raises")
async def ws_accident(websocket: WebSocket) -> None:
    await websocket.accept()
    raise LookupError("nobody handles this either")


@app.websocket("/ws-trouble")
async def ws_trouble(websocket: WebSocket) -> None:
    await websocket.accept()
    raise DeepTrouble("in a conversation")


@app.get("/mark")
async def mark(request: Request) -> Any:
    """Whether an earlier request's mark is in the state; then it leaves one."""
    found = "mark" in request.scope["state"]
    request.scope["state"]["mark"] = True
    return found


@app.websocket("/mark")
async def mark_socket(websocket: WebSocket) -> None:
    """It says whether a mark is there, and leaves one, too."""
    await websocket.accept()
    await websocket.send_text(str("mark" in websocket.scope["state"]))
    websocket.scope["state"]["mark"] = True
    await websocket.close()


@app.get("/heard")
async def heard() -> Any:
    return HEARD


# Errors and mounts.


@app.exception_handler(Trouble)
async def first_trouble(request: Request, error: Exception) -> Response:
    return JSONResponse("the first of two handlers for one class", 418)


@app.exception_handler(OwnTrouble)
async def own_trouble(request: Request, error: Exception) -> Response:
    return JSONResponse({"own": str(error)}, 420)


@app.exception_handler(Trouble)
async def trouble(request: Request, error: Exception) -> Response:
    return JSONResponse({"trouble": str(error), "at": request.scope["path"]}, 418)


@app.get("/trouble/{text}")
async def get_trouble(text: str) -> Any:
    raise DeepTrouble(text)


@app.get("/own-trouble/{text}")
async def get_own_trouble(text: str) -> Any:
    raise OwnTrouble(text)


@app.get("/refused")
async def refused(status: int, text: str) -> Any:
    raise HTTPException(status, text, {"X-Why": text})


@app.get("/accident")
async def accident() -> Any:
    raise LookupError("nobody handles this")


@app.get("/half")
async def half() -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"half"
        raise DeepTrouble("in the middle")

    return StreamingResponse(pieces())


@app.get("/torn")
async def torn() -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"half"
        raise OSError("the disk of the application")

    return StreamingResponse(pieces())


async def below(scope: Any, receive: Any, send: Any) -> None:
    """Somebody else's application."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": f"{scope['root_path']} {scope['path']}"})
        await send({"type": "websocket.close"})
        return
    body = f"{scope['root_path']} {scope['path']}".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


inner = App()


@inner.get("/where/{name}")
async def where(request: Request, name: str) -> Any:
    return [name, request.scope["root_path"], request.scope["path"]]


@inner.get("/refused")
async def inner_refused(request: Request) -> Any:
    raise HTTPException(409, "taken")


@inner.exception_handler(HTTPException)
async def explained(request: Request, error: Any) -> Response:
    return JSONResponse({"explained": error.detail}, error.status_code)


async def stumbles(scope: Any, receive: Any, send: Any) -> None:
    """Somebody else's application, which raises what this one has a handler for."""
    raise DeepTrouble("below")


app.mount("/stumbles", stumbles)
app.mount("/below", below)
app.mount("/inner", inner)


# An application that is none, and one that does not close as it should: for the client.


@asynccontextmanager
async def no_end(app: App) -> AsyncIterator[None]:
    yield
    raise RuntimeError("the ink is dry")


dry = App(lifespan=no_end)


async def two_starts(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await bare(scope, receive, send)
        return
    for status in (200, 500):
        await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"which?"})


# Servers of a few lines: one for two requests at once, two whose `send` is the first to know that the client
# has gone.


async def two_errands_at_once() -> list[Any]:
    """The first one's body comes when the second one has been answered; what each was answered."""
    answered = asyncio.Event()

    async def errand_of(number: int, dry: str, may_go_on: asyncio.Event) -> Any:
        sent: list[Any] = []
        content = json.dumps({"title": f"errand {number}", "minutes": number}).encode()

        async def receive() -> Any:
            await may_go_on.wait()
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1"}
        scope |= {"method": "POST", "scheme": "http", "path": f"/errands/{number}", "root_path": ""}
        fields = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope |= {"query_string": f"dry={dry}".encode(), "headers": fields, "state": {}}
        await app(scope, receive, send)
        found = json.loads(b"".join(one.get("body", b"") for one in sent))
        return [found.get("number"), found.get("dry"), (found.get("errand") or {}).get("title")]

    at_once = asyncio.Event()
    at_once.set()
    first = asyncio.ensure_future(errand_of(7, "true", answered))
    await asyncio.sleep(0)
    second = await errand_of(8, "false", at_once)
    answered.set()
    return [await first, second]


KEPT: list[Any] = []


async def stream_whose_send_fails() -> list[str]:
    """What becomes of a stream's pieces when `send` raises OSError; somebody else holds them, too."""
    seen: list[str] = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            for number in range(100):
                seen.append(f"piece {number}")
                yield b"piece"
        finally:
            seen.append("closed")

    KEPT.append(pieces())

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message.get("body"):
            raise OSError("the client has gone")

    asgi = {"version": "3.0", "spec_version": "2.4"}
    scope = {"type": "http", "asgi": asgi, "method": "GET", "path": "/", "headers": []}
    with contextlib.suppress(Exception):
        async with asyncio.timeout(3):
            await StreamingResponse(KEPT[-1])(scope, receive, send)
    return list(seen)


async def socket_whose_send_fails() -> list[str]:
    """What a handler sees when `send` raises OSError after accept."""
    seen: list[str] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            raise OSError("the client has gone")

    scope = {"type": "websocket", "asgi": {"version": "3.0", "spec_version": "2.4"}, "subprotocols": []}
    socket = WebSocket({**scope, "path": "/", "headers": [], "state": {}}, receive, send)
    await socket.accept()
    try:
        await socket.send_text("is anybody there?")
    except Exception as error:
        seen.append(f"{type(error).__name__} {getattr(error, 'code', '')}")
    return seen
