"""Lab 6's checks knock at `basic_auth`, with the right name and password or without."""

from typing import Any

from layer_answers import code, ended_well, is_called
from layer_contract import Pairs

from workshop.judge.checks import Probe, Transcript, expect, made, note, that, wsgi_app


def guarded(users: dict[str, str], realm: str = "tasks", **script: Any) -> Any:
    keys = ["REMOTE_USER", "PATH_INFO"]
    return made("middleware:basic_auth", wsgi_app(environ=keys, **script), users=users, realm=realm)


def comparing(app: Any, *answers: bool) -> Any:
    """`app`, with each comparison by compare_digest noted; what it returns is `answers`, or the truth."""
    return made("compare_digest_counter:told", app, note("compared", *answers))


def is_refused(probe: Probe, app: Any, headers: Pairs, said: str, method: str = "GET") -> Transcript:
    """Fail unless this is answered with 401; the application must not be called."""
    seen = probe.wsgi(app, method, "/tasks", headers=headers)
    ended_well(seen, f"401, and no exception: {said}. What a client sends never raises")
    that(
        not is_called(seen),
        got=f"the application was called: {said}",
        expected="401 Unauthorized, and the application not called",
    )
    expect("status", code(seen), "401", said)
    that(
        not seen.all("read"),
        got=f"401, after wsgi.input was read: {said}",
        expected="the request's body unread: who has not said who they are may send one without end",
        rule='PEP 3333, "Input and Error Streams"',
    )
    return seen
