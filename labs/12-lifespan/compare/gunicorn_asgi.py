"""gunicorn with its own ASGI worker: its LifespanManager, and its command."""

import logging

from gunicorn.asgi.lifespan import LifespanManager, LifespanStartupFailed
from server_command import become
from shared_lifespan import ShutdownFailed, StartupFailed, options


class Lifespan:
    def __init__(self, application):
        self.one = LifespanManager(application, logging.getLogger())

    @property
    def state(self):
        return self.one.state

    async def startup(self):
        try:
            await self.one.startup()
        except LifespanStartupFailed as failed:
            raise StartupFailed(str(failed).removeprefix("Lifespan startup failed: ")) from failed
        except RuntimeError:  # no lifespan: the worker goes on without it
            return

    async def shutdown(self):
        await self.one.shutdown()
        if self.one._shutdown_error is not None:
            raise ShutdownFailed(self.one._shutdown_error)


if __name__ == "__main__":
    o = options()
    words = [] if o.grace is None else ["--graceful-timeout", max(1, int(o.grace))]
    bind = ["--bind", f"{o.host}:{o.port}", "--no-control-socket", "--worker-class", "asgi"]
    become("gunicorn", *bind, *words, o.application)
