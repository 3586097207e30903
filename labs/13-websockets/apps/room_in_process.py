"""Calls the chat in its own process, without a server: for checks that hold a `send`, or a clock.

Each member is a `Played`: what it says waits in its inbox, and its `send` returns when its gate is open.
"""

import asyncio
import json
import selectors
from functools import partial

PATIENCE = 2.0  # seconds until what must happen is said not to have happened
FASTER = 20  # how many seconds pass on the fast clock in one
LONG = 60.0  # seconds of that clock in which a member that is let go must be gone
MANY, BURST = 2000, 50  # messages, far more than an outbox holds; and far fewer


class Played:
    """One WebSocket of somebody in the room "tea"."""

    def __init__(self, name):
        self.scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/rooms/tea",
            "raw_path": b"/rooms/tea",
            "query_string": f"name={name}".encode(),
            "root_path": "",
            "headers": [(b"host", b"localhost")],
            "subprotocols": ["chat.json"],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
        }
        self.inbox = asyncio.Queue()
        self.inbox.put_nowait({"type": "websocket.connect"})
        self.sent = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_gone = False

    async def send(self, message):
        if self.is_gone:
            raise OSError("the client has gone")
        self.sent.append(message)
        await self.gate.wait()

    def join(self, app):
        return asyncio.create_task(app(self.scope, self.inbox.get, self.send))

    def say(self, text):
        self.inbox.put_nowait({"type": "websocket.receive", "text": json.dumps({"text": text})})

    def leave(self):
        self.inbox.put_nowait({"type": "websocket.disconnect", "code": 1001})

    def heard(self, kind):
        """How many events of this kind it was sent."""
        texts = [message.get("text") for message in self.sent if message["type"] == "websocket.send"]
        return sum(json.loads(text)["type"] == kind for text in texts if text)

    def order(self):
        """The types of the events that it was sent, and of those that were said the numbers, in order."""
        texts = [message["text"] for message in self.sent if message.get("text")]
        return [event.get("number", event["type"]) for event in map(json.loads, texts)]

    def has_heard(self, wanted):
        """Whether it was sent so many messages that were said."""
        return self.heard("said") >= wanted


async def until(condition):
    """Wait for a condition, at most PATIENCE seconds; whether it came."""
    for _ in range(round(PATIENCE / 0.01)):
        if condition():
            return True
        await asyncio.sleep(0.01)
    return bool(condition())


async def members(app):
    """Who is in which room, by /stats."""
    parts = []

    async def keep(message):
        parts.append(message.get("body", b""))

    async def nothing():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/stats", "query_string": b"", "headers": []}
    await app({"asgi": {"version": "3.0"}, "http_version": "1.1", "root_path": "", **scope}, nothing, keep)
    return json.loads(b"".join(parts))["rooms"].get("tea", [])


async def same_name_at_once(app, name):
    """Two of one name, both at their accept at once: how many were welcomed, and who was closed."""
    both = [Played(name), Played(name)]
    for one in both:
        one.gate.clear()
    tasks = [one.join(app) for one in both]
    await until(lambda: all(one.sent for one in both))
    for one in both:
        one.gate.set()
    await until(lambda: any("close" in one.sent[-1]["type"] for one in both if one.sent))
    closes = [message.get("code") for one in both for message in one.sent if "close" in message["type"]]
    seen = {"welcomed": sum(one.heard("welcome") for one in both), "closed": closes}
    for one in both:
        one.leave()
    await asyncio.wait(tasks, timeout=PATIENCE)
    return seen


async def room_emptied(app, name):
    """Grace's accept is held while the only member leaves; then another one comes: who is in the room."""
    first, held, last = Played(name), Played("Grace"), Played("Tim")
    tasks = [first.join(app)]
    await until(lambda: first.heard("welcome"))
    held.gate.clear()
    tasks.append(held.join(app))
    await until(lambda: held.sent)
    first.leave()
    await asyncio.wait(tasks[:1], timeout=PATIENCE)
    held.gate.set()
    await until(lambda: held.heard("welcome"))
    tasks.append(last.join(app))
    await until(lambda: last.heard("welcome") and held.heard("joined"))
    seen = {"members": await members(app), "joined": held.heard("joined")}
    for one in (held, last):
        one.leave()
    await asyncio.wait(tasks, timeout=PATIENCE)
    return seen


async def cancelled(app, name):
    """Cancel the call of somebody who is in the room; who is in it then."""
    one, other = Played(name), Played("Grace")
    tasks = [one.join(app)]
    await until(lambda: one.heard("welcome"))
    tasks.append(other.join(app))
    await until(lambda: other.heard("welcome") and one.heard("joined"))
    tasks[0].cancel()
    await asyncio.wait(tasks[:1], timeout=PATIENCE)
    seen = {"members": await members(app), "left": other.heard("left")}
    other.leave()
    await asyncio.wait(tasks, timeout=PATIENCE)
    return seen


async def tasks_of_those_who_left(app, name):
    """How many tasks there are after the first visit of somebody, and after four more."""
    first = await _tasks_after(app, name, 1, 1)
    return [first, await _tasks_after(app, name, 4, first)]


async def _tasks_after(app, name, visits, wanted):
    for _ in range(visits):
        one = Played(name)
        call = one.join(app)
        await until(lambda one=one: one.heard("welcome"))
        one.leave()
        await asyncio.wait([call], timeout=PATIENCE)
    await until(lambda: len(asyncio.all_tasks()) <= wanted)
    return len(asyncio.all_tasks())


async def send_is_first_to_know(app, name):
    """A `send` raises OSError, then the disconnect comes: who is in the room, what the other one hears."""
    one, other = Played(name), Played("Grace")
    tasks = [one.join(app)]
    await until(lambda: one.heard("welcome"))
    tasks.append(other.join(app))
    await until(lambda: other.heard("welcome") and one.heard("joined"))
    one.is_gone = True
    other.say("Is anybody there?")
    await until(lambda: other.has_heard(1))
    await asyncio.sleep(0)
    one.inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})
    await until(lambda: other.heard("left"))
    texts = [json.loads(message["text"]) for message in other.sent if message.get("text")]
    codes = [text.get("code") for text in texts if text["type"] == "left"]
    seen = {"members": await members(app), "said": other.heard("said"), "codes": codes}
    other.leave()
    await asyncio.wait(tasks, timeout=PATIENCE)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)  # whether the OSError is raised is left to the chat
    return seen


def never_reads(app, name):
    """Somebody who takes nothing after its welcome: the seconds until its call returned, or None."""
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        return runner.run(_never_reads(app, name))


class FastLoop(asyncio.SelectorEventLoop):
    """A loop whose clock goes faster than the wall's: five seconds of waiting are a quarter of one."""

    def __init__(self):
        super().__init__(FastSelector())

    def time(self):
        return super().time() * FASTER


class FastSelector(selectors.DefaultSelector):
    """Waits so many of its loop's seconds."""

    def select(self, timeout=None):
        return super().select(timeout / FASTER if timeout else timeout)


async def _never_reads(app, name):
    early, slow, host = Played("Zoe"), Played(name), Played("Grace")
    listening = early.join(app)
    await until(lambda: early.heard("welcome"))
    stuck = slow.join(app)
    await until(lambda: slow.heard("welcome"))
    slow.gate.clear()
    talking = host.join(app)
    await until(lambda: host.heard("welcome"))
    for number in range(0, MANY, BURST):
        for _ in range(BURST):
            host.say("Is anybody there?")
        if not await until(partial(host.has_heard, number + BURST)) or host.heard("left"):
            break
    began = asyncio.get_running_loop().time()
    again = Played(name)
    coming = again.join(app)
    await until(lambda: again.heard("welcome"))
    await until(lambda: early.heard("joined") == 3 and host.heard("joined") == 1)
    done, _ = await asyncio.wait({stuck}, timeout=LONG)
    took = asyncio.get_running_loop().time() - began
    seen = {"took": took if done else None, "members": await members(app)}
    seen["apart"] = _apart(early.order()[3:], host.order()[1:])  # what came after Grace's welcome
    stuck.cancel()
    for one in (again, host, early):
        one.leave()
    await asyncio.wait({stuck, talking, coming, listening}, timeout=LONG)
    if done:
        stuck.result()  # what it has raised is raised
    return seen


def _apart(one, other):
    """Two of what each heard, from where they first differ; None where they don't."""
    for at, pair in enumerate(zip(one, other, strict=False)):
        if pair[0] != pair[1]:
            return [one[at : at + 2], other[at : at + 2]]
    return None
