"""Lab 7's solution: what its notes promise, and that two routers of different shape agree on random sites."""

from __future__ import annotations

import importlib.util
import random
import sys
from types import ModuleType
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workshop.paths import ROOT, SOLUTIONS


def loaded(name: str, folder: Any) -> ModuleType:
    """A target's `routing`, under a name of its own."""
    spec = importlib.util.spec_from_file_location(name, folder / "routing.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


solution = loaded("routing_solution", SOLUTIONS / "07-wsgi-routing")
sorted_patterns = loaded(
    "routing_sorted", ROOT / "tests" / "alternatives" / "07-wsgi-routing-sorted-patterns"
)


def leads_to(said: str) -> Any:
    """An application that answers with its name and its parameters."""

    def application(environ: dict[str, Any], start_response: Any) -> list[Any]:
        start_response("200 OK", [])
        values = environ.get("wsgiorg.routing_args", ((), {}))[1]
        return [(said, values, environ["SCRIPT_NAME"], environ["PATH_INFO"])]

    return application


def ask(router: Any, path: str, method: str = "GET", **more: str) -> tuple[str, Any]:
    """The status and the first chunk of an answer."""
    started: list[str] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "HTTP_HOST": "localhost",
        **more,
    }
    environ["wsgi.url_scheme"] = "http"
    body = list(router(environ, lambda status, headers, exc_info=None: started.append(status)))
    return started[0], body[0] if body else b""


SEGMENTS = st.sampled_from(["tasks", "new", "42", "7", "<int:a>", "<name>", "<str:b>"])
PATTERNS = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join).map("/{}".format)
PATHS = st.lists(st.sampled_from(["tasks", "new", "42", "7", "ada"]), min_size=1, max_size=3)


def shape(pattern: str) -> str:
    """What a pattern fits, without the names in it."""
    return pattern.replace("<str:b>", "<name>").replace("<int:a>", "<int>")


@settings(max_examples=40, deadline=None)
@given(
    patterns=st.lists(PATTERNS, min_size=1, max_size=6, unique_by=shape), path=PATHS, seed=st.integers(0, 99)
)
def test_two_shapes_and_any_order_agree(patterns: list[str], path: list[str], seed: int) -> None:
    """The tree in one order and the sorted list in another find the same route."""
    usable = [pattern for pattern in patterns if pattern.count("<int:a>") < 2]
    usable = [pattern for pattern in usable if pattern.count("<name>") < 2 and pattern.count("<str:b>") < 2]
    shuffled = random.Random(seed).sample(usable, len(usable))
    routers = [
        module.Router([module.Route(pattern, leads_to(pattern)) for pattern in order])
        for module, order in ((solution, usable), (solution, shuffled), (sorted_patterns, shuffled))
    ]
    answers = [ask(router, "/" + "/".join(path)) for router in routers]
    found = [(status[:3], body[0] if status.startswith("200") else "") for status, body in answers]
    assert found[0] == found[1] == found[2]


@settings(max_examples=60, deadline=None)
@given(name=st.text(max_size=8), rest=st.text(max_size=8))
def test_a_url_leads_back_or_is_not_made(name: str, rest: str) -> None:
    router = solution.Router([solution.Route("/a/<name>/<path:rest>", leads_to("a"), name="a")])
    try:
        url = router.url_for({}, "a", name=name, rest=rest)
    except ValueError:
        return
    status, (_, values, _, _) = ask(router, unquote_to_bytes(url).decode("latin-1"))
    assert url.isascii()
    assert (status, values) == ("200 OK", {"name": name, "rest": rest})


@pytest.mark.parametrize(
    ("name", "values", "error"),
    [
        ("task", {"id": -1}, ValueError),
        ("task", {"id": 1, "q": 2}, TypeError),
        ("task", {}, LookupError),
        ("hello", {"name": "a/b"}, ValueError),
        ("hello", {"name": ""}, ValueError),
        ("hello", {"name": ".."}, ValueError),
        ("nobody", {}, LookupError),
    ],
)
def test_url_for_refuses_what_does_not_lead_back(
    name: str, values: dict[str, Any], error: type[Exception]
) -> None:
    routes = [solution.Route("/tasks/<int:id>", leads_to("task"), name="task")]
    router = solution.Router([*routes, solution.Route("/hello/<name>", leads_to("hello"), name="hello")])
    with pytest.raises(error):
        router.url_for({}, name, **values)


@pytest.mark.parametrize(
    "patterns",
    [
        ["tasks"],
        ["/<float:x>"],
        ["/x<int:a>"],
        ["/<a>/<a>"],
        ["/<path:rest>/edit"],
        ["/tasks/<int:id>", "/tasks/<int:number>"],
    ],
)
def test_a_site_with_a_slip_does_not_start(patterns: list[str]) -> None:
    with pytest.raises(ValueError):
        solution.Router([solution.Route(pattern, leads_to(pattern)) for pattern in patterns])


def test_choices_that_the_notes_name() -> None:
    routes = [
        solution.Route("/tasks/new", leads_to("new")),
        solution.Route("/tasks/<name>", leads_to("name"), ["POST"]),
        solution.Route("/admin/health", leads_to("health")),
        solution.Mount("/admin", leads_to("admin")),
    ]
    router = solution.Router(routes)
    assert ask(router, "/tasks/new", "POST")[1][0] == "name"
    assert ask(router, "/tasks/new", "get")[0] == "405 Method Not Allowed"
    assert ask(router, "/admin/health")[1][0] == "health"
    assert ask(router, "/admin/\xff")[1] == ("admin", {}, "/admin", "/\xff")
    assert ask(router, "/tasks/\xff", "POST")[0] == "404 Not Found"
    assert ask(router, "*", "OPTIONS")[0] == "404 Not Found"
    whole = solution.Router([*routes, solution.Mount("", leads_to("rest"))])
    assert ask(whole, "/anything/else")[1] == ("rest", {}, "", "/anything/else")
    assert ask(whole, "/admin/health")[1][0] == "health"
