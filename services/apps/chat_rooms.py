"""Rooms to talk in, and nothing of any protocol: what three frameworks serve the same chat with.

Everybody in a room has an outbox. What is said goes into all of them at once, with no await in between, so
all hear the same in the same order. A full outbox belongs to somebody who does not read: they are let go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

OUTBOX_LIMIT = 256  # lines that may wait for one member


class Member:
    """Somebody in a room, and the lines that wait for them. None in the outbox is the end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.outbox: asyncio.Queue[str | None] = asyncio.Queue(OUTBOX_LIMIT + 1)

    async def lines(self) -> AsyncGenerator[str]:
        """What this one hears, until the room lets go."""
        while (line := await self.outbox.get()) is not None:
            yield line


class Rooms:
    """Members by room."""

    def __init__(self) -> None:
        self._members: dict[str, list[Member]] = {}

    def join(self, room: str, name: str) -> Member:
        """The new member hears who is there, the others that somebody joined."""
        member = Member(name)
        self.say(room, f"* {name} joined")
        self._members.setdefault(room, []).append(member)
        member.outbox.put_nowait(f"* welcome: {', '.join(self.names(room))}")
        return member

    def say(self, room: str, line: str) -> None:
        for member in self._members.get(room, [])[:]:
            if member.outbox.qsize() < OUTBOX_LIMIT:
                member.outbox.put_nowait(line)
            else:
                self._members[room].remove(member)
                member.outbox.put_nowait(None)

    def leave(self, room: str, member: Member) -> None:
        """Again, and nothing happens."""
        if member in self._members.get(room, []):
            self._members[room].remove(member)
            self.say(room, f"* {member.name} left")
        if not self._members.get(room):
            self._members.pop(room, None)

    def names(self, room: str) -> list[str]:
        return sorted(member.name for member in self._members.get(room, []))
