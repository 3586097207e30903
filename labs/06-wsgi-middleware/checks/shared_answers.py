"""Lab 6's checks ask `cors` as a browser does: with an Origin, and before that with a preflight."""

from typing import Any

from layer_answers import code, ended_well, is_called, listed, one, values
from layer_contract import VALIDATOR

from workshop.judge.checks import Probe, Transcript, expect, made, that, wsgi_app


def sharing(*origins: str, **script: Any) -> Any:
    keys = ["REQUEST_METHOD", "HTTP_ORIGIN"]
    return made("middleware:cors", wsgi_app(environ=keys, **script), origins=list(origins))


def varies(seen: Transcript, said: str) -> None:
    that(
        listed(seen, "Vary") & {"origin", "*"},
        got=f"values of Vary = {values(seen, 'Vary')!r}, {said}",
        expected="Vary: Origin     or a cache gives one origin's response to another",
        rule='RFC 9110 §12.5.5; Fetch, "CORS protocol and HTTP caches"',
    )


def its_own_permission_goes(probe: Probe, mine: str, other: str) -> None:
    """An application that allows every origin itself: what the layer says is in place of it."""
    field = "Access-Control-Allow-Origin"
    said = [("Content-Type", "text/plain"), (field.lower(), "*"), ("Vary", "Accept-Encoding")]
    seen = probe.wsgi(sharing(mine, headers=said), headers=[("Origin", mine)])
    ended_well(seen)
    one(seen, field, mine, "the application had sent one of its own: a browser refuses two")
    expect("members of Vary", listed(seen, "Vary"), {"accept-encoding", "origin"}, "the application's stays")
    seen = probe.wsgi(sharing(mine, headers=said), headers=[("Origin", other)])
    ended_well(seen)
    why = "the application's own is removed: `origins` alone decides"
    expect(f"values of {field}", values(seen, field), [], why, rule="the lesson, task 3")


def preflight(probe: Probe, app: Any, origin: str, method: str) -> Transcript:
    """Fail unless a preflight gets a 204 of the layer's own, which wsgiref.validate takes, too."""
    sent = [("Origin", origin), ("Access-Control-Request-Method", method)]
    seen = probe.wsgi(app, "OPTIONS", "/tasks/1", headers=sent)
    ended_well(seen)
    got = f"the application was called for a preflight, and sent {seen.status}"
    that(not is_called(seen), got, "the layer's own response: the application does not know about origins")
    expect("status", code(seen), "204", "a success without content; browsers look at the header alone")
    expect("body", seen.body, b"", "a 204 has none (RFC 9110 §15.3.5)")
    length = values(seen, "Content-Length")
    expect("values of Content-Length", length, [], "a 204 has no such field", rule="RFC 9110 §8.6")
    validated = probe.wsgi(made(VALIDATOR, app), "OPTIONS", "/tasks/1", headers=sent)
    ended_well(validated, "a preflight that wsgiref.validate takes: a 204 has no content, so no Content-Type")
    return seen
