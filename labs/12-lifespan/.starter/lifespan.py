"""The server's side of lifespan: what happens before the first request and after the last one.

python lifespan.py app:app --port 8012 --grace 10
"""

import asyncio
import sys

import small_server  # given: services/apps/small_server.py

STARTUP_FAILED = 3  # the process's exit code, as uvicorn has it


class StartupFailed(Exception):
    """The application sent lifespan.startup.failed; its message is the exception's."""


class ShutdownFailed(Exception):
    """The application sent lifespan.shutdown.failed; its message is the exception's."""


class Lifespan:
    """One application's lifespan: application(scope, receive, send) is called once, in a task of its own."""

    def __init__(self, application):
        self.application = application
        self.state = {}  # the scope's "state": what the application puts in is here

    async def startup(self):
        """Start the task, give it {"type": "lifespan.startup"}, and wait for its reply.

        scope    {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}

        Raises StartupFailed(message) for lifespan.startup.failed. Returns for lifespan.startup.complete, and
        when the application raises or returns without a reply: it doesn't support lifespan; serve it.
        """
        # TODO task 2: wait for two things at once, a reply and the task's end.
        raise NotImplementedError("lab 12 task 2: start the application up")

    async def shutdown(self):
        """Give the task {"type": "lifespan.shutdown"}, and wait for its reply or its end.

        Raises ShutdownFailed(message) for lifespan.shutdown.failed. A task that has ended gets no event.
        """
        # TODO task 3
        raise NotImplementedError("lab 12 task 3: shut the application down")


def with_state(application, state):
    """An application that calls this one with a shallow copy of `state` as the scope's "state"."""
    # TODO task 2: a copy for each request; the objects in it are the same.
    raise NotImplementedError("lab 12 task 2: a copy of the state for each request")


async def run(application, sock, stop: asyncio.Event, grace):
    """Serve until `stop` is set. Returns the process's exit code.

    sock     a socket that is bound, and does not listen yet
    grace    how many seconds requests in flight then have; None: as long as they take

    small_server.Server(application) has `await listen(sock)`, `stop_accepting()` and `await drain(seconds)`.
    Print the message of a failed startup or shutdown to sys.stderr.
    """
    # TODO task 2: up to `await stop.wait()`. TODO task 3: after it.
    raise NotImplementedError("lab 12 task 2: run the server, in the right order")


if __name__ == "__main__":
    sys.exit(small_server.main(run))
