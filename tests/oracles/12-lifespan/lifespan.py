"""uvicorn's own: LifespanOn is the Lifespan, and uvicorn.Server puts things in order."""

import asyncio
import sys

import small_server
import uvicorn
from uvicorn.lifespan.on import LifespanOn


class StartupFailed(Exception):
    pass


class ShutdownFailed(Exception):
    pass


class Hearing(LifespanOn):
    """Keeps the message that uvicorn only logs."""

    message = ""

    async def send(self, message):
        self.message = message.get("message", "")
        await super().send(message)


class Lifespan:
    def __init__(self, application):
        self._one = Hearing(uvicorn.Config(application, log_config=None))

    @property
    def state(self):
        return self._one.state

    async def startup(self):
        await self._one.startup()
        if self._one.should_exit:
            raise StartupFailed(self._one.message)

    async def shutdown(self):
        await self._one.shutdown()
        if self._one.should_exit:
            raise ShutdownFailed(self._one.message)


def with_state(application, state):
    raise AssertionError("uvicorn copies the state itself")


async def run(application, sock, stop, grace):
    server = uvicorn.Server(uvicorn.Config(application, timeout_graceful_shutdown=grace))

    async def watch():
        await stop.wait()
        server.should_exit = True

    watching = asyncio.create_task(watch())
    await server._serve([sock])
    watching.cancel()
    return 0


if __name__ == "__main__":
    sys.exit(small_server.main(run))
