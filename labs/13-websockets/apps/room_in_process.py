"""Calls the chat in its own process, without a server: for checks that hold a `send`, or a clock.

Each member is a `Played`: what it says waits in its inbox, and its `send` returns when its gate is open.
"""

import asyncio
import json
import selectors
from functools import partial

POLL, LOOKS = 0.01, 200  # seconds between two looks, and how many
PATIENCE = POLL * LOOKS  # seconds until what must happen is said not to have happened
FASTER = 20  # how many seconds pass on the fast clock in one
LONG = 60.0  # seconds of that clock in which a member that is let go must be gone
MANY, BURST = 2000, 50  # messages, far more than an outbox holds; and far fewer


class Played:
    """One WebSocket of somebody in a room."""

    def __init__(self, name, room="tea"):
        self.scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": f"/rooms/{room}",
            "raw_path": f"/rooms/{room}".encode(),
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

    def closed(self):
        """The codes with which it was closed."""
        return [message.get("code") for message in self.sent if message["type"] == "websocket.close"]

    def order(self):
        """The types of the events that it was sent, and of those that were said the numbers, in order."""
        texts = [message["text"] for message in self.sent if message.get("text")]
        return [event.get("number", event["type"]) for event in map(json.loads, texts)]

    def has_heard(self, wanted):
        """Whether it was sent so many messages that were said."""
        return self.heard("said") >= wanted

    def has_heard_of(self, name):
        """Whether it was sent something that somebody of this name said."""
        texts = [message["text"] for message in self.sent if message.get("text")]
        return any(event["type"] == "said" and event["name"] == name for event in map(json.loads, texts))


async def until(condition):
    """Wait for a condition, at most PATIENCE seconds; whether it came."""
    for _ in range(LOOKS):
        if condition():
            return True
        await asyncio.sleep(POLL)
    return bool(condition())


async def members(app, room="tea"):
    """Who is in a room, by /stats; None for a room that is not there."""
    parts = []

    async def keep(message):
        parts.append(message.get("body", b""))

    async def nothing():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/stats", "query_string": b"", "headers": []}
    await app({"asgi": {"version": "3.0"}, "http_version": "1.1", "root_path": "", **scope}, nothing, keep)
    return json.loads(b"".join(parts))["rooms"].get(room)


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
    """Somebody who takes nothing after its welcome: what is seen until its call returns, or does not."""
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
    await _talk(host, host)
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


async def _talk(speaker, listener):
    """Let somebody talk until another one hears that a member has left."""
    await until(lambda: speaker.heard("welcome"))
    for number in range(0, MANY, BURST):
        for _ in range(BURST):
            speaker.say("Is anybody there?")
        if not await until(partial(listener.has_heard, number + BURST)) or listener.heard("left"):
            break


async def after_it_has_left(app, name):
    """What becomes of a room that somebody who read nothing has left: before its call returns, and then."""
    slow, host, again, new, last = map(Played, (name, "Grace", name, "Tim", "Una"))
    stuck = slow.join(app)
    await until(lambda: slow.heard("welcome"))
    slow.gate.clear()
    calls = [host.join(app)]
    await _talk(host, host)
    seen = {"left": host.heard("left") > 0, "said": host.heard("said")}
    slow.say("And what about me?")
    host.say("Goodbye.")
    await until(partial(host.has_heard, host.heard("said") + 1))
    seen["ghost"] = host.has_heard_of(name)
    calls.append(again.join(app))
    await until(lambda: again.heard("welcome") or again.closed())
    seen["again"] = again.closed()
    again.leave()
    await until(lambda: host.heard("left") == 2)
    host.leave()
    await asyncio.wait(calls, timeout=PATIENCE)
    calls += [stuck, new.join(app)]
    await until(lambda: new.heard("welcome"))
    slow.gate.set()
    await asyncio.wait({stuck}, timeout=PATIENCE)
    calls.append(last.join(app))
    await until(lambda: last.heard("welcome") and new.heard("joined"))
    seen |= {"members": await members(app), "joined": new.heard("joined")}
    for one in (slow, new, last):
        one.leave()
    await asyncio.wait(calls, timeout=PATIENCE)
    return {**seen, "alone": await _alone(app, name)}


async def _alone(app, name):
    """Who is in the room of somebody who was alone there, and was let go; None for no room."""
    slow = Played(name, "cocoa")
    stuck = slow.join(app)
    await until(lambda: slow.heard("welcome"))
    slow.gate.clear()
    for _ in range(MANY):
        slow.say("Is anybody there?")
    for _ in range(LOOKS):
        if name not in (await members(app, "cocoa") or []):
            break
        await asyncio.sleep(POLL)
    slow.gate.set()
    done, _ = await asyncio.wait({stuck}, timeout=PATIENCE)
    seen = await members(app, "cocoa") if done else None  # it may have waited for itself, and goes on
    slow.leave()
    await asyncio.wait({stuck}, timeout=PATIENCE)
    return seen


def _apart(one, other):
    """Two of what each heard, from where they first differ; None where they don't."""
    for at, pair in enumerate(zip(one, other, strict=False)):
        if pair[0] != pair[1]:
            return [one[at : at + 2], other[at : at + 2]]
    return None
