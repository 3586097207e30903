"""Lab 3's checks hold what both sides see with the X-ray against what they see without it."""

from typing import Any

from recorded_events import (
    BOUNDARIES,
    DETAILS,
    MIDDLEWARE,
    START_RESPONSE,
    asgi_traced,
    ended_well,
    line,
    plain,
    recorded,
    wsgi_traced,
)

from workshop.judge.checks import (
    Client,
    Transcript,
    asgi_app,
    body_event,
    expect,
    fail,
    http_scope,
    made,
    named,
    note,
    ref,
    that,
    wsgi_app,
)

LENGTH = 'PEP 3333, "Handling the Content-Length Header"'
VALIDATOR = "wsgiref.validate:validator"
# What comes by its own type: the wrapper is another object, and may have a close where the body has none.
OWN = ("noted", "returned", "close")


def crossing(seen: Transcript) -> list[dict[str, Any]]:
    """What both sides saw, in order, without what an X-ray may change: the type of the body."""
    kept = [event for event in seen.events if event["event"] not in OWN]
    return [
        {key: item for key, item in event.items() if key not in ("trace", "attributes")} for event in kept
    ]


UNTOLD = ("event", "name", "bases")


def said(event: dict[str, Any]) -> str:
    details = ", ".join(f"{key} {value!r}" for key, value in event.items() if key not in UNTOLD)
    return f"{event['event']} ({details})"[:200] if details else str(event["event"])


def unchanged(bare: Transcript, traced: Transcript, what: str, rule: str = MIDDLEWARE) -> None:
    """Fail at the first thing that is not as it is without the X-ray."""
    want, got = crossing(bare), crossing(traced)
    for index in range(max(len(want), len(got))):
        right = said(want[index]) if index < len(want) else "nothing more"
        is_ = said(got[index]) if index < len(got) else "nothing more"
        if index >= len(want) or index >= len(got) or want[index] != got[index]:
            before = f" after {said(got[index - 1])}" if index else ""
            fail(
                f"{what}, with the X-ray{before}: {is_}",
                f"as without it: {right}     {because(right, is_)}".rstrip(),
                rule=because_rule(right, is_, rule),
            )
    that(recorded(traced), f"{what}: nothing was recorded", "record called for what crossed the boundary")


def because(right: str, got: str) -> str:
    if right.startswith("inner closed") or got.startswith("inner closed"):
        return "close() is passed on when the server calls it, not before"
    if right.startswith("chunk") and got.startswith(("inner chunk", "inner exhausted")):
        return "each chunk goes out before the next one is asked for"
    if right.startswith("start_response") and got.startswith("start_response"):
        return "status, headers and exc_info go through as they are"
    if got.startswith("read "):
        return "the request's body can be read once, and only by the application"
    if right.startswith("write"):
        return "write hands the bytes on at once"
    return ""


def because_rule(right: str, got: str, usual: str) -> str:
    if right.startswith("chunk") and got.startswith("inner"):
        return BOUNDARIES
    if "inner closed" in (right + got):
        return DETAILS
    return START_RESPONSE if right.startswith(("start_response", "write")) else usual


SCRIPTS = {
    "a body in four chunks": {"chunks": [b"a", b"", b"b", b"c"]},
    "a late start_response": {"chunks": [b"a", b"b"], "late_start": True},
    "an application that pushes": {"write": [b"1", b"2"], "chunks": [b"3"]},
    "a failure after the first chunk": {"chunks": [b"a", b"b"], "exc_info": True},
    "an exception in the call": {"raises": "call"},
    "an exception in the body": {"raises": "iteration", "chunks": [b"a", b"b", b"c"]},
    "an exception in close": {"raises": "close"},
    "an empty body": {"chunks": []},
}


def length_is_told(probe: Any) -> None:
    """A body that has a len has one behind the X-ray, whatever its type: servers ask for it."""
    for app, what in (
        (ref("environ_wsgi:application"), "a list of one chunk"),
        (
            made("iterable_bodies:in_a_sized_object", b"one"),
            "an object of its own with __len__, one chunk in it",
        ),
    ):
        seen = probe.steps(
            ("environ", {"SCRIPT_NAME": "", "PATH_INFO": "/"}),
            made("wsgiref.util:setup_testing_defaults", named("environ")),
            ("body", made(wsgi_traced(app), named("environ"), note("start_response"))),
            made("builtins:len", named("body")),
            sent=f"len(body), where the application returned {what}",
        )
        error = seen.raised
        that(
            error is None,
            got=f"{(error or {}).get('type')}: {(error or {}).get('message')}",
            expected="1: a server that sees one chunk adds its Content-Length, also with the X-ray",
            rule=LENGTH,
        )
        expect("len(body)", seen.values[-1], 1, "that of the application's body", rule=LENGTH)


def input_is_left_alone(probe: Any, data: bytes) -> None:
    seen = probe.wsgi(wsgi_traced(wsgi_app(read=-1)), "POST", body=data)
    ended_well(seen)
    got = (seen.first("inner read") or {}).get("data")
    expect("what the application read of wsgi.input", got, data, "a body can be read once")
    seen = probe.wsgi(wsgi_traced(wsgi_app()), "POST", body=data)
    got_reads = len(seen.all("read"))
    expect("reads of wsgi.input", got_reads, 0, "the application called no read, so the X-ray must not read")


def validated(probe: Any, framework: str, app: Any, who: str) -> None:
    """The standard library's validator on both sides of the X-ray has no complaint."""
    seen = probe.wsgi(made(VALIDATOR, wsgi_traced(made(VALIDATOR, app))), query=f"name={who}")
    error = seen.raised
    if error is not None and error["type"] == "AssertionError":
        fail(
            f"{framework.title()}, with wsgiref.validate on both sides of the X-ray: {error['message']}",
            "no complaint: towards the server you are an application, towards it a server",
        )
    ended_well(seen)
    that(
        "without being closed" not in seen.output,
        got=f"{framework.title()}, with wsgiref.validate on both sides: {seen.output.strip()[-90:]}",
        expected="close() on the application's body when yours is closed",
        rule=DETAILS,
    )


def served(traced: Client, bare: Client, who: str) -> None:
    """Under gunicorn: the same fields and the same body, the hour apart."""
    for target in (f"/?name={who}", f"/letters?name={who}", f"/{who}"):
        got, want = traced.get(target), bare.get(target)
        expect(f"status of {target}", got.status, want.status, "as without the X-ray")
        expect(f"body of {target}", got.body, want.body, "as without the X-ray")
        length, wanted = got.get("Content-Length"), want.get("Content-Length")
        expect(f"Content-Length of {target}", length, wanted, "as without the X-ray", rule=LENGTH)


def start_event(status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]}


def answer_event(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def unchanged_asgi(bare: Transcript, traced: Transcript, title: str) -> None:
    """Fail at the first difference; what was still running is compared as well."""
    kept = [
        [
            {key: plain(item) for key, item in event.items() if key not in ("trace", "attributes")}
            for event in seen.events
            if event["event"] not in ("noted", "returned")
        ]
        for seen in (bare, traced)
    ]
    for index in range(max(map(len, kept))):
        want, got = (said(side[index]) if index < len(side) else "nothing more" for side in kept)
        early = got.startswith(("receive", "still running")) and not want.startswith("receive")
        why = "     receive is called when the application calls it, and not before" if early else ""
        that(want == got, f"{title}, with the X-ray: {got}", f"as without it: {want}{why}")
    that(recorded(traced), f"{title}: nothing was recorded", "record called for what crossed the boundary")


def cancelled(probe: Any) -> None:
    """A server cancels a call: the application is told, and the record says so."""
    app = asgi_traced(asgi_app(["receive"], ["wait"]))
    seen = probe.asgi(app, http_scope(), receive=[body_event()], settle=0.05)
    if not recorded(seen):
        ended_well(seen)
    that(
        seen.first("inner cancelled"),
        got="a call that was cancelled, and the application did not notice",
        expected="CancelledError in the application: await it, in no task of its own",
    )
    last = recorded(seen)[-1:] or [()]
    expect("the last event of a cancelled call", line(last[0]), line((1, "raised", "CancelledError")))
