"""uvicorn: LifespanOn, and its Server."""

import sys

import uvicorn
from shared_lifespan import ShutdownFailed, StartupFailed, options
from uvicorn.lifespan.on import LifespanOn


class Lifespan:
    def __init__(self, application):
        self.one = LifespanOn(uvicorn.Config(application, log_config=None))
        self.message, send = "", self.one.send

        async def heard(message):  # uvicorn only logs it
            self.message = message.get("message", "")
            await send(message)

        self.one.send = heard

    @property
    def state(self):
        return self.one.state

    async def startup(self):
        await self.one.startup()
        if self.one.should_exit:
            raise StartupFailed(self.message)

    async def shutdown(self):
        await self.one.shutdown()
        if self.one.should_exit:
            raise ShutdownFailed(self.message)


if __name__ == "__main__":
    o = options()
    grace = None if o.grace is None else max(1, int(o.grace))
    uvicorn.run(o.application, host=o.host, port=o.port, timeout_graceful_shutdown=grace)
    sys.exit(0)
