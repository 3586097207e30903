"""How a lifespan's block begins and ends: what is left of it, and what the application raised."""

from __future__ import annotations

from typing import Any

from client_steps import APP, ASGI, LOG, RAISED, ask, asked, caught, entered, left, must_raise

from workshop.judge.checks import expect, made, ref, that

NOTHING_LEFT = "this lab, `__exit__`: nothing of the application's runs any more, and the loop is closed"

RETURNED = "this lab, task 3: while you wait for its message, the application may raise or return"


def no_lifespan_is_no_fault(probe: Any) -> None:
    """Who raises for a lifespan has none: requests are answered all the same."""
    values = ask(
        probe,
        *entered(ASGI, ref("apps_to_test:http_only")),
        ("r", asked("get", "/echo")),
        left(),
        sent="with ASGIClient(apps_to_test.http_only) as client: an application that raises for a lifespan",
    )
    expect("status", values["r"].status, 200, "who knows no lifespan raises, and is served without")


def failed_startup_is_raised(probe: Any) -> None:
    """A startup that failed raises, and leaves nothing behind."""
    shown = (
        "with ASGIClient(apps_to_test.no_disk): an application that sends lifespan.startup.failed: 'no disk'"
    )
    seen = probe.steps(*entered(ASGI, ref("apps_to_test:no_disk")), sent=shown)
    must_raise(seen, "RuntimeError", "a test of an application that did not start must not go on")
    nothing_is_left(probe, shown)


def nothing_is_left(probe: Any, failed: str) -> None:
    """After the block no task runs, and the loop's descriptors are closed; also when startup failed."""
    count = made("apps_to_test:descriptors")
    values = ask(
        probe,
        ("before", count),
        *APP,
        asked("get", "/background"),
        left(),
        ("after", count),
        ("log", LOG),
        sent="with ASGIClient(apps_to_test.asgi) as client: client.get('/background'), which starts a task",
        rule=NOTHING_LEFT,
    )
    that(
        "background task ended" in values["log"],
        got=f"after the block the application had lived through {values['log']!r}",
        expected="'background task ended': what still runs is cancelled, or it runs on beside the next test",
        rule=NOTHING_LEFT,
    )
    why = "a loop has three: a selector, and the socket pair that wakes it"
    expect("open descriptors after the block", values["after"], values["before"], why, rule=NOTHING_LEFT)
    values = ask(
        probe,
        ("before", count),
        ("client", made(ASGI, ref("apps_to_test:no_disk"))),
        ("c", caught("__enter__", of="client")),
        ("after", count),
        sent=failed,
    )
    why = "a startup that fails leaves no loop open: __exit__ is never called then"
    expect("open descriptors after it raised", values["after"], values["before"], why, rule=NOTHING_LEFT)


def lifespan_that_returns(probe: Any) -> None:
    """Who returns without an answer to startup or shutdown gives none: nobody waits for it."""
    for app, event in (("be_silent", "lifespan.startup"), ("stop_silently", "lifespan.shutdown")):
        ask(
            probe,
            ("client", made(ASGI, ref(f"apps_to_test:{app}"))),
            caught("__enter__", of="client"),
            caught("__exit__", None, None, None, of="client"),
            sent=f"with ASGIClient(apps_to_test.{app}): an application that receives {event}, and returns",
            rule=RETURNED,
        )


def exceptions_reach_the_test(probe: Any, word: str) -> None:
    """The application's exceptions reach the test; so does an answer that never came, or has no end."""
    why = "the application's own, in the test that caused it"
    for path in ("/raise", "/raise-late", "/ends-badly"):
        seen = probe.steps(*APP, asked("get", f"{path}?{word}"), left(), sent=f"client.get('{path}?{word}')")
        must_raise(seen, "LookupError", why, holding=word, rule=RAISED)
    for path, what in (("/silent", "sends nothing"), ("/cut", "sends one chunk with more_body, and no end")):
        seen = probe.steps(*APP, asked("get", path), sent=f"client.get('{path}'): it returns, and {what}")
        must_raise(seen, "Exception", "there is no whole response to give to the test", rule=RAISED)
    seen = probe.steps(
        *entered(ASGI, ref("apps_to_test:stop_badly")),
        left(),
        sent="with ASGIClient(apps_to_test.stop_badly): an application that raises at lifespan.shutdown",
    )
    must_raise(seen, "LookupError", why, holding="at shutdown", rule=RAISED)
