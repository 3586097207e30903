"""granian: its LifespanProtocol, and its command."""

from granian.asgi import LifespanProtocol
from server_command import become
from shared_lifespan import ShutdownFailed, StartupFailed, options


class Lifespan:
    def __init__(self, application):
        self.one = LifespanProtocol(application)
        self.message, send = "", self.one.send

        async def heard(message):  # granian only logs it
            self.message = message.get("message", "")
            await send(message)

        self.one.send = heard

    @property
    def state(self):
        return self.one.state

    async def startup(self):
        await self.one.startup()
        if self.one.interrupt:
            raise StartupFailed(self.message)

    async def shutdown(self):
        await self.one.shutdown()
        if self.one.interrupt:
            raise ShutdownFailed(self.message)


if __name__ == "__main__":
    o = options()
    words = [] if o.grace is None else ["--workers-kill-timeout", max(1, int(o.grace))]
    become("granian", "--interface", "asgi", "--host", o.host, "--port", o.port, *words, o.application)
