"""Lifespan with futures instead of queues; the socket listens before startup, and accepts after it."""

import asyncio
import sys

import small_server


class LifespanError(Exception):
    pass


class StartupFailed(LifespanError):
    pass


class ShutdownFailed(LifespanError):
    pass


class Lifespan:
    def __init__(self, application):
        self.application, self.state, self.task, self.error = application, {}, None, None

    async def startup(self):
        loop = asyncio.get_running_loop()
        self.replies = {"startup": loop.create_future(), "shutdown": loop.create_future()}
        self.leave = loop.create_future()
        self.task = loop.create_task(self._live())
        await self._reply("startup", StartupFailed)

    async def shutdown(self):
        if self.task is not None and not self.task.done():
            self.leave.set_result(None)
            await self._reply("shutdown", ShutdownFailed)
        if self.error is not None:
            raise ShutdownFailed(repr(self.error))

    async def _live(self):
        told = []

        async def receive():
            if not told:
                told.append("startup")
                return {"type": "lifespan.startup"}
            await self.leave
            return {"type": "lifespan.shutdown"}

        async def send(message):
            _, what, how = message["type"].split(".")
            if not self.replies[what].done():
                self.replies[what].set_result((how, message.get("message", "")))

        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self.application(scope, receive, send)
        except Exception as error:
            print(f"lifespan ended: {error!r}", file=sys.stderr)
            started = self.replies["startup"]
            if started.done() and started.result()[0] == "complete":
                self.error = error
        finally:
            for reply in self.replies.values():
                if not reply.done():
                    reply.set_result(("unsupported", ""))

    async def _reply(self, what, error):
        how, message = await self.replies[what]
        if how == "failed":
            raise error(message)


def with_state(application, state):
    class WithState:
        async def __call__(self, scope, receive, send):
            scope["state"] = dict(state)
            await application(scope, receive, send)

    return WithState()


async def run(application, sock, stop, grace):
    sock.listen(100)  # from now on they queue; nobody is accepted yet
    lifespan = Lifespan(application)
    try:
        await lifespan.startup()
        server = small_server.Server(with_state(application, lifespan.state))
        await server.listen(sock)
        await stop.wait()
        server.stop_accepting()
        late = await server.drain(grace)
        if late:
            print(f"{late} requests were cut off", file=sys.stderr)
        await lifespan.shutdown()
    except LifespanError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 3 if isinstance(error, StartupFailed) else 1
    return 0


if __name__ == "__main__":
    sys.exit(small_server.main(run))
