"""Lab 6's checks knock at `basic_auth`, with the right name and password or without."""

import base64
import random
from typing import Any

from layer_answers import basic, code, ended_well, is_called, word
from layer_contract import Pairs

from workshop.judge.checks import Probe, Transcript, expect, made, note, that, wsgi_app


def guarded(users: dict[str, str], realm: str = "tasks", **script: Any) -> Any:
    keys = ["REMOTE_USER", "PATH_INFO"]
    return made("middleware:basic_auth", wsgi_app(environ=keys, **script), users=users, realm=realm)


def strangers(user: str, password: str, rng: random.Random) -> list[tuple[list[tuple[str, str]], str]]:
    """Request headers that prove nobody, and what each of them is."""
    token = basic(user, password)[1].partition(" ")[2]
    return [
        ([], "no Authorization"),
        ([basic(user, word(rng))], "the wrong password"),
        ([basic(user, "")], "no password"),
        ([basic(user, password[:-1])], "the beginning of the password"),
        ([basic(word(rng), password)], "the wrong name"),
        ([basic(user.upper(), password)], "the name in upper case, which is another name"),
        ([basic(f" {user}", password)], "the name after a space, which is another name"),
        ([basic(word(rng), "")], "a name that no user has, and an empty password"),
        ([("Authorization", f"Bearer {token}")], "another scheme than Basic"),
        ([("Authorization", f"AWS4 {token}")], "another scheme than Basic, before it in the alphabet"),
        ([("Authorization", "Basic")], "a scheme and nothing after it"),
        ([("Authorization", "Basic %%%")], "no base64"),
        (
            [("Authorization", f"Basic {token[:2]}%{token[2:]}")],
            "base64 with a % in it, which is none of its characters (RFC 4648 §3.3)",
        ),
        ([("Authorization", "Basic \xe9")], "a byte that is not ASCII"),
        ([("Authorization", f"Basic {token[:-1]}")], "base64 that is cut short"),
        ([("Authorization", "Basic " + base64.b64encode(user.encode()).decode())], "a name without a colon"),
        ([("Authorization", "Basic " + base64.b64encode(b"\xff:\xfe").decode())], "invalid UTF-8"),
    ]


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
