"""An ASGI application that does what the request tells it to do: for checks of servers.

    GET  /anything                      the scope, each value by its repr, as JSON: printed, then answered
    POST /do/read                       what `receive` gave until the body ended, as JSON; say=NOTEBOOK notes
                                        each event when it comes
    GET  /do/answer?chunk=a&chunk=b     a body event for each chunk; also status=, header=Name:value,
                                        raise_at=1 (-1: before the start; as many as there are chunks: after
                                        the last event), end=no (without the last event), once=yes (headers
                                        that can be read once), bare=yes (events without what may be left out,
                                        the same two for all requests), trailers=no (a start that says so),
                                        whole=yes (the last body event is that of the first chunk)
    GET  /do/order?how=start_twice      events out of order: see `order`
    GET  /do/lines?place=x              a line, then one more when the place was opened; quiet=yes: an empty
                                        piece in the place of the first line
    POST /do/hold?place=x               reads nothing before the place was opened; then all of the body
    GET  /do/flood?say=NOTEBOOK         pieces of 1 MiB, pieces=200 of them; the notebook counts them, and
                                        has "over" when the last `send` has returned or raised
    GET  /do/listen?say=NOTEBOOK        begins an answer, and waits until the client leaves; then it sends
                                        more, and notes what `send` raised
    POST /do/upload?say=NOTEBOOK        notes each event of `receive`; answers at the end of the body
    GET  /do/after?say=NOTEBOOK         answers, and then asks `receive` for more
    GET  /do/meet?of=20&place=x         waits until as many requests are here at the same time
    GET  /do/nap?name=x&seconds=0.05    sleeps, and tells how many slept at the same time
    GET  /do/remember?name=Ada          what a ContextVar said before ("" at first); then it says Ada
    GET  /do/ignore?name=Ada            answers without a look at the body
    GET  /do/open?place=x               opens a place for those who wait there
    GET  /do/notes?say=NOTEBOOK         what was written into a notebook, as JSON

Whoever waits for a place gives up after PATIENCE seconds. It keeps its notebooks in memory: one process
serves it.
"""

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATIENCE = 7.0  # seconds for a place to open, or for company
PIECE = b"." * (1 << 20)
BARE_START = {"type": "http.response.start", "status": 200}
BARE_BODY = {"type": "http.response.body"}

notebooks: defaultdict[str, list[str]] = defaultdict(list)
places: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
crowds: defaultdict[str, int] = defaultdict(int)
remembered: ContextVar[str] = ContextVar("remembered", default="")


class Query:
    """The query's parameters."""

    def __init__(self, text: bytes) -> None:
        self.values = parse_qs(text.decode("ascii"), keep_blank_values=True)

    def get(self, name: str, default: str = "") -> str:
        return self.values.get(name, [default])[0]

    def all(self, name: str) -> list[str]:
        return self.values.get(name, [])


async def application(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(f"no answer to a scope of type {scope['type']}")
    behaviour = BEHAVIOURS.get(str(scope["path"]).removeprefix("/do/"))
    if behaviour is None:
        await show_scope(scope, send)
    else:
        await behaviour(Query(scope["query_string"]), receive, send)


async def answer_json(send: Send, value: Any, status: int = 200) -> None:
    """One body event, with its length."""
    body = json.dumps(value).encode("ascii")
    length = str(len(body)).encode("ascii")
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def start(send: Send, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    headers = list(headers) if isinstance(headers, tuple) else headers
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def body(send: Send, data: bytes, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def opened(place: str) -> bool:
    """Wait for a place to open; whether it did."""
    try:
        async with asyncio.timeout(PATIENCE):
            await places[place].wait()
    except TimeoutError:
        return False
    return True


async def show_scope(scope: Message, send: Send) -> None:
    """Each value by its repr: ast.literal_eval reads it back with its types."""
    headers = [(name, value) for name, value in scope["headers"]]
    shown = {**scope, "headers": headers, "asgi": dict(scope["asgi"])}
    used_before = "was_here" in scope
    scope["was_here"] = True
    seen = {"scope": {key: repr(value) for key, value in shown.items()}, "used": used_before}
    print("scope", json.dumps(seen), flush=True)  # before anything is sent: a server may not send yet
    await answer_json(send, seen)


# --- reading ------------------------------------------------------------------------------------------


async def read(query: Query, receive: Receive, send: Send) -> None:
    events, data, kinds = [], b"", set()
    while True:
        event = await receive()
        notebooks[query.get("say", "nobody")].append(event["type"])
        kinds.add(type(event.get("body", b"")).__name__)
        events.append([event["type"], len(event.get("body", b"")), event.get("more_body", False)])
        data += event.get("body", b"")
        if not event.get("more_body", False):
            break
    await answer_json(send, {"events": events, "body": data.decode("latin-1"), "kinds": sorted(kinds)})


async def hold(query: Query, receive: Receive, send: Send) -> None:
    is_open = await opened(query.get("place"))
    digest, total, more = hashlib.sha256(), 0, True
    while more:
        event = await receive()
        data = event.get("body", b"")
        digest.update(data)
        total += len(data)
        more = event.get("more_body", False)
    await answer_json(send, {"opened": is_open, "bytes": total, "sha256": digest.hexdigest()})


async def upload(query: Query, receive: Receive, send: Send) -> None:
    notebook, more = notebooks[query.get("say")], True
    notebook.append("called")
    while more:
        event = await receive()
        more = event.get("more_body", False)
        notebook.append(f"{event['type']} {'more' if more else 'last'}")
    await answer_json(send, notebook)


async def remember(query: Query, receive: Receive, send: Send) -> None:
    before = remembered.get()
    remembered.set(query.get("name"))
    while (await receive()).get("more_body"):
        pass
    await answer_json(send, {"before": before, "now": remembered.get()})


async def ignore(query: Query, receive: Receive, send: Send) -> None:
    await answer_json(send, {"ignored": query.get("name")})


# --- answering ----------------------------------------------------------------------------------------


async def answer(query: Query, receive: Receive, send: Send) -> None:
    pairs = [one.partition(":") for one in query.all("header")]
    headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, _, value in pairs)
    chunks = [chunk.encode() for chunk in query.all("chunk")]
    raise_at = int(query.get("raise_at")) if query.get("raise_at") else None
    if raise_at == -1:
        raise RuntimeError("this application raises at once: that is on purpose")
    if query.get("bare"):
        await send(BARE_START)
        await send(BARE_BODY)
        return
    if query.get("trailers"):
        await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
        await body(send, chunks[0], more=False)
        return
    await start(send, int(query.get("status", "200")), iter(headers) if query.get("once") else headers)
    if query.get("whole"):
        await body(send, chunks[0], more=False)
        return
    for index, chunk in enumerate(chunks):
        if index == raise_at:
            raise RuntimeError("this application raises here: that is on purpose")
        await body(send, chunk)
    if query.get("end") != "no":
        await body(send, b"", more=False)
    if raise_at == len(chunks):
        raise RuntimeError("this application raises at last: that is on purpose")


async def order(query: Query, receive: Receive, send: Send) -> None:
    """`how`: body_first, start_twice, start_late, after_the_end, start_after_the_end, nothing, cancelled,
    text, longer, shorter, line_break, or one of the unknown events.

    What is raised is noted.
    """
    notebook = notebooks[query.get("say")]
    try:
        await _out_of_order(query.get("how"), send)
    except Exception as error:
        notebook.append(f"{type(error).__name__}: {error}")
        raise
    notebook.append("nothing was raised")


async def _out_of_order(how: str, send: Send) -> None:
    if how == "nothing":
        return
    if how == "cancelled":
        raise asyncio.CancelledError("that is on purpose")
    if how == "body_first":
        await body(send, b"no head", more=False)
    if how in ("unknown", "unknown_stop"):
        kind = "http.response.begin" if how == "unknown" else "http.response.stop"
        await send({"type": kind, "status": 200})
        return
    tag = b"a\r\nx-evil: yes" if how == "line_break" else b"a"
    await start(send, headers=((b"content-length", b"7"), (b"x-tag", tag)))
    if how in ("longer", "shorter"):
        await body(send, b"in time!" if how == "longer" else b"in", more=False)
        return
    if how == "unknown_late":
        await send({"type": "http.response.begin", "status": 200})
        return
    if how == "start_twice":
        await start(send, 201)
    if how == "start_late":
        await body(send, b"in")
        await start(send, 201)
    if how == "text":
        await send({"type": "http.response.body", "body": "a text"})
    await body(send, b"in time", more=False)
    if how == "after_the_end":
        await body(send, b"too late", more=False)
    if how == "start_after_the_end":
        await start(send, 201)


async def lines(query: Query, receive: Receive, send: Send) -> None:
    """A client that sees the first line, and only then opens the place, knows that it came alone."""
    await start(send)
    await body(send, b"" if query.get("quiet") else b"first\n")
    if await opened(query.get("place")):
        await body(send, b"second\n", more=False)
    else:
        await body(send, b"nobody opened the place\n", more=False)


async def flood(query: Query, receive: Receive, send: Send) -> None:
    notebook = notebooks[query.get("say")]
    try:
        await start(send, headers=((b"content-type", b"text/plain"),))
        for number in range(min(int(query.get("pieces", "200")), 1000)):
            notebook[:] = [str(number)]
            await body(send, PIECE)
        notebook[:] = ["all"]
        await body(send, b"", more=False)
    finally:
        notebook.append("over")


async def listen(query: Query, receive: Receive, send: Send) -> None:
    notebook = notebooks[query.get("say")]
    await start(send)
    await body(send, b"listening\n")
    while True:
        event = await receive()
        notebook.append(event["type"])
        if event["type"] == "http.disconnect":
            await send_to_nobody(send, notebook)
            return


async def send_to_nobody(send: Send, notebook: list[str]) -> None:
    """Some pieces more, until `send` raises: only who writes is told by the system that nobody is there."""
    try:
        for _ in range(100):
            await body(send, b"is anybody there?\n")
            await asyncio.sleep(0.01)
    except OSError:
        notebook.append("send raised OSError")
    else:
        notebook.append("send raised nothing")


async def after(query: Query, receive: Receive, send: Send) -> None:
    await answer_json(send, {"answered": True})
    notebook = notebooks[query.get("say")]
    try:
        async with asyncio.timeout(PATIENCE):
            while (event := await receive())["type"] != "http.disconnect":
                pass
            notebook.append(event["type"])
    except TimeoutError:
        notebook.append("nothing came")


# --- others -------------------------------------------------------------------------------------------


async def meet(query: Query, receive: Receive, send: Send) -> None:
    place, count = query.get("place"), int(query.get("of", "2"))
    crowds[place] += 1
    if crowds[place] >= count:
        places[place].set()
    met = await opened(place)
    await answer_json(send, {"met": met, "place": place}, 200 if met else 503)


async def nap(query: Query, receive: Receive, send: Send) -> None:
    crowds["asleep"] += 1
    at_once = crowds["asleep"]
    try:
        await asyncio.sleep(min(float(query.get("seconds", "0.05")), 1.0))
    finally:
        crowds["asleep"] -= 1
    await answer_json(send, {"name": query.get("name"), "at_once": at_once})


async def open_place(query: Query, receive: Receive, send: Send) -> None:
    places[query.get("place")].set()
    await answer_json(send, {"open": query.get("place")})


async def notes(query: Query, receive: Receive, send: Send) -> None:
    await answer_json(send, notebooks.get(query.get("say"), []))


Behaviour = Callable[[Query, Receive, Send], Awaitable[None]]
BEHAVIOURS: dict[str, Behaviour] = {
    "after": after,
    "answer": answer,
    "flood": flood,
    "hold": hold,
    "ignore": ignore,
    "lines": lines,
    "listen": listen,
    "meet": meet,
    "nap": nap,
    "notes": notes,
    "open": open_place,
    "order": order,
    "read": read,
    "remember": remember,
    "upload": upload,
}
