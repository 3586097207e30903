"""Lab 6's checks ask one layer again and again: no request leaves anything for the next."""

import random
from collections.abc import Sequence
from typing import Any

from layer_answers import basic, ended_well, word

from workshop.judge.checks import Probe, attribute, expect, made, named, that, wsgi_app

IDEA = "the lesson, “The idea”"
NOTHING_STAYS = "a request is answered as if it were the first: the layer keeps nothing about another one"


def answers(probe: Probe, layer: Any, requests: Sequence[dict[str, Any]], sent: str) -> list[dict[str, Any]]:
    """What one layer answers to each of these environs, in order: status, headers, body."""
    asked = [made("requests_in_turn:answered", named("app"), one) for one in requests]
    seen = probe.steps(("app", layer), *asked, sent=sent)
    ended_well(seen)
    return seen.values[1:]


def headers_stay_the_applications(probe: Probe, layer: str, wrap: Any, headers: Sequence[Any] = ()) -> None:
    """An application that has one list of headers for all its responses: a layer must not write into it."""
    sent = f"{layer} around an application with one list of headers for all responses; three times GET /"
    asked = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers}
    answers = [made("requests_in_turn:answered", named("app"), asked)] * 3
    steps: list[Any] = [("inner", made("requests_in_turn:OneList")), ("app", wrap(named("inner")))]
    seen = probe.steps(*steps, *answers, attribute(named("inner"), "headers"), sent=sent)
    ended_well(seen)
    *_, first, _, third, own = seen.values
    why = f"{layer} changes a copy: the list is the application's, which uses it again"
    names = [sorted(name.lower() for name, _ in one["headers"]) for one in (first, third)]
    expect("names of the third response's fields", names[1], names[0], why, rule=IDEA, sent=sent)
    got = [name for name, _ in own]
    expect("the application's own list", got, ["Content-Type", "Vary"], why, rule=IDEA, sent=sent)


def preflights_are_alike(probe: Probe, rng: random.Random) -> None:
    """Preflights from two origins to one layer: what one was allowed is not in the response to another."""
    first, second = f"https://{word(rng)}.example", f"https://{word(rng)}.example"
    preflight = {"REQUEST_METHOD": "OPTIONS", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT"}
    origins = [first, second, f"https://{word(rng)}.evil.example", first]
    sent = f"preflights to one layer, one after another, with Origin: {', '.join(origins)}"
    layer = made("middleware:cors", wsgi_app(), origins=[first, second])
    got = answers(probe, layer, [{**preflight, "HTTP_ORIGIN": one} for one in origins], sent)
    fields = [sorted((name.lower(), value) for name, value in one["headers"]) for one in got]
    granted = [[value for name, value in one if name == "access-control-allow-origin"] for one in fields]
    what = "Access-Control-Allow-Origin of each"
    expect(what, granted, [[first], [second], [], [first]], NOTHING_STAYS, sent=sent)
    expect("fields of the last response", fields[3], fields[0], NOTHING_STAYS, sent=sent)


def nobody_stays_in(probe: Probe, rng: random.Random) -> None:
    """A stranger after somebody with the password is a stranger all the same."""
    user, password = word(rng), word(rng)
    layer = made("middleware:basic_auth", wsgi_app(), users={user: password})
    right, wrong = basic(user, password)[1], basic(user, word(rng))[1]
    requests = [{}, {"HTTP_AUTHORIZATION": right}, {}, {"HTTP_AUTHORIZATION": wrong}]
    requests.append({"HTTP_AUTHORIZATION": right})
    sent = "to one basic_auth: nothing, the right password, nothing, a wrong password, the right one"
    codes = [one["status"][:3] for one in answers(probe, layer, requests, sent)]
    expect("statuses", codes, ["401", "200", "401", "401", "200"], NOTHING_STAYS, sent=sent)


def stacked_once(probe: Probe) -> None:
    """One list of layers for two stacks, which are made once each, and asked twice."""
    sent = "layers = [a, b]; one = stack(app, layers); two = stack(app, layers); GET / of one, two, one"
    sent += "\na and b add a field X-Layer: the outermost is the last to add one"
    layers = [made("requests_in_turn:Counted", letter) for letter in "ab"]
    asked = [made("requests_in_turn:answered", named(which), {}) for which in ("one", "two", "one")]
    steps: list[Any] = [
        ("a", layers[0]),
        ("b", layers[1]),
        ("layers", made("builtins:list", [named("a"), named("b")])),
    ]
    steps += [(which, made("middleware:stack", wsgi_app(), named("layers"))) for which in ("one", "two")]
    counts = [made("requests_in_turn:times_made", named(letter)) for letter in "ab"]
    seen = probe.steps(*steps, *asked, made("builtins:len", named("layers")), *counts, sent=sent)
    ended_well(seen)
    *_, one, two, again, left, times_a, times_b = seen.values
    expect(
        "layers in the list afterwards", left, 2, "the list is the caller's: leave it as it was", sent=sent
    )
    got = [[value for name, value in each["headers"] if name == "X-Layer"] for each in (one, two, again)]
    why = "a is outermost, each time: leave the caller's list as it was"
    expect("values of X-Layer in the three responses", got, [["b", "a"]] * 3, why, sent=sent)
    once = max(times_a, times_b) <= 2
    why = "once for each stack: what a layer keeps (a count, a cache) lives as long as the process"
    that(once, f"layers made {max(times_a, times_b)} times for two stacks", why, rule=IDEA, sent=sent)
