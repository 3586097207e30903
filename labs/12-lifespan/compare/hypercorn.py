"""Hypercorn: its Lifespan on asyncio, and its command."""

import asyncio

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.lifespan import Lifespan as HypercornLifespan
from hypercorn.config import Config
from hypercorn.utils import LifespanFailureError
from server_command import become
from shared_lifespan import ShutdownFailed, StartupFailed, options


class Lifespan:
    def __init__(self, application):
        self.application, self.state = application, {}

    async def startup(self):
        loop = asyncio.get_running_loop()
        self.one = HypercornLifespan(ASGIWrapper(self.application), Config(), loop, self.state)
        self.task = loop.create_task(self.one.handle_lifespan())
        await self.one.wait_for_startup()
        await asyncio.sleep(0)
        if self.task.done() and isinstance(self.task.exception(), LifespanFailureError):
            raise StartupFailed(self.task.exception().args[0].partition("'")[2].rstrip("'"))

    async def shutdown(self):
        await self.one.wait_for_shutdown()
        await asyncio.sleep(0)
        if self.task.done() and isinstance(self.task.exception(), LifespanFailureError):
            raise ShutdownFailed(self.task.exception().args[0].partition("'")[2].rstrip("'"))
        self.task.cancel()


if __name__ == "__main__":
    o = options()
    words = [] if o.grace is None else ["--graceful-timeout", max(1, int(o.grace))]
    become("hypercorn", "--bind", f"{o.host}:{o.port}", *words, o.application)
