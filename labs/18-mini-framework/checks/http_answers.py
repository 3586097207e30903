"""What an answer says: its status, its JSON, what a 422 complains of."""

import json
import random
import re
from typing import Any
from urllib.parse import quote

from in_a_row import headers_are_ones_own

from workshop.judge.checks import (
    NOT_JSON,
    Client,
    NoAnswer,
    Probe,
    Response,
    Transcript,
    expect,
    http_scope,
    object_of,
    that,
)

DEEP = 600  # two calls for each level are more than the 1,000 of Python's recursion limit
PATIENCE = 5.0  # seconds until what must come is said not to have come
WORDS = ("Zoë", "Łódź", "東京", "naïve", "a b", "100%", "tea & cake", "x=1")
JSON = [("Content-Type", "application/json")]


def status(answer: Response, wanted: int, why: str = "", **more: str) -> None:
    """Fail unless the status is this one; a 500 is said to be the application's exception."""
    hint = " (an exception: see the trace, or the log)" if answer.status == 500 != wanted else ""
    said = f": {why}" if why else ""
    that(
        answer.status == wanted,
        f"status = {answer.status}{hint}, body = {answer.text[:160]!r}",
        f"status = {wanted}{said}",
        **more,
    )


def value(answer: Response, wanted: int = 200, why: str = "") -> Any:
    """The JSON of an answer that must have this status."""
    status(answer, wanted, why)
    kind = (answer.get("Content-Type") or "").partition(";")[0]
    expect("Content-Type", kind, "application/json", "what a handler returns is sent as JSON")
    try:
        return json.loads(answer.body)
    except NOT_JSON:
        that(False, f"body = {answer.body[:200]!r}", "JSON")
    return None  # where `make compare` goes on without it


def members(found: Any) -> dict[str, Any]:
    """A JSON object's members; none, where it is something else."""
    return found if isinstance(found, dict) else {}


def problems(answer: Response, asked: str) -> dict[tuple[Any, ...], str]:
    """What a 422 complains of, by loc."""
    detail = value(answer, 422, f"{asked} can't be used")
    found = detail.get("detail") if isinstance(detail, dict) else None
    shape = '{"detail": [{"loc": ["query", "limit"], "msg": "..."}]}'
    that(isinstance(found, list) and found, f"body = {answer.text[:300]}", shape)
    complaints = {}
    for one in found if isinstance(found, list) else []:
        good = isinstance(one, dict) and isinstance(one.get("loc"), list) and isinstance(one.get("msg"), str)
        that(good, f"one of the detail = {one!r}", shape)
        that(one["msg"].strip(), f"msg = {one['msg']!r}", "a msg that says what was wrong")
        complaints[tuple(one["loc"])] = one["msg"]
    return complaints


def complains_of(answer: Response, asked: str, *wanted: tuple[Any, ...]) -> dict[tuple[Any, ...], str]:
    """The complaints, which must be of these and of nothing else."""
    found = problems(answer, asked)
    that(
        set(found) == set(wanted),
        f"{asked}: complaints of {sorted(map(list, found), key=str)}",
        f"of {sorted(map(list, wanted), key=str)}: all that is wrong, and nothing else",
    )
    return found


def title(rng: random.Random) -> str:
    return f"{rng.choice(WORDS)} {rng.randrange(10**6)}"


def sent_types(seen: Transcript) -> list[Any]:
    return [one.get("type") if isinstance(one, dict) else one for one in seen.sends]


def response_says(client: Client, probe: Probe, rng: random.Random) -> None:
    """Status, body, fields of a Response; a header that would end its line is refused."""
    note = f"n{rng.randrange(999)}"
    text, code = title(rng), rng.choice([200, 202, 404, 503])
    answer = client.get(f"/answer?text={quote(text)}&status={code}&note={note}")
    status(answer, code, "Response(text, status_code=…)")
    expect("body", answer.body.decode("utf-8", "replace"), text)
    expect("X-Note", answer.get("X-Note"), note, "Response(…, headers=…)")
    kind = (answer.get("Content-Type") or "").partition(";")[0]
    expect("Content-Type", kind, "text/markdown", "Response(…, media_type=…)")
    own_fields_count(probe)
    headers_are_ones_own(probe, rng)
    length = str(len(text.encode()))
    expect("Content-Length", answer.get("Content-Length"), length, "of the bytes", rule="RFC 9110 §8.6")
    no_content(probe, "/kept", "Response(…, 304, headers)", kept=("age", "x-note"))
    for key, field in (("X-Note", "a\r\nX-Admin: 1"), ("X-Note\n", "a")):
        raised = probe.raises("framework:Response", "hi", 200, {key: field})
        that(
            raised and "ValueError" in raised["bases"],
            got=f"raised {raised and raised['type']}",
            expected="ValueError: a line break in a value would begin a header of its own",
            rule="framework.py, Response; RFC 9110 §5.5",
            sent=f"Response('hi', 200, {{{key!r}: {field!r}}})",
        )


def sent_by(seen: Transcript) -> tuple[Any, list[tuple[bytes, bytes]], bytes]:
    """Status, fields and body of what an application has sent."""
    sends = [one for one in seen.sends if isinstance(one, dict)]
    start = next((one for one in sends if one.get("type") == "http.response.start"), {})
    fields = [(bytes(key), bytes(text)) for key, text in start.get("headers", [])]
    return start.get("status"), fields, b"".join(one.get("body", b"") for one in sends)


def own_fields_count(probe: Probe) -> None:
    """A Response is sent as it is, and what it names itself is named once."""
    scope = http_scope("POST", "/own-fields")
    code, fields, body = sent_by(probe.asgi("framework_features:app", scope, [{"type": "http.request"}]))
    why = "a Response is sent as it is, whatever status_code its route has"
    expect("status of Response(…, 202) from a route with status_code=201", code, 202, why)
    expect("the body of Response(b'\\xff,1')", body, b"\xff,1", "bytes stay as they are")
    for name, wanted in ((b"content-type", [b"text/csv"]), (b"content-length", [b"3"])):
        got = [text for key, text in fields if key.lower() == name]
        why = "the response names it itself: once is enough"
        expect(f"each {name.decode()}", got, wanted, why, rule="RFC 9110 §8.3, §8.6, §5.3")
    names = [key for key, _ in fields]
    expect("names", names, [one.lower() for one in names], "in lower case", rule='ASGI www, "Response Start"')
    scope = http_scope(path="/plain")
    _, fields, _ = sent_by(probe.asgi("framework_features:app", scope, [{"type": "http.request"}]))
    kinds = [text.partition(b";")[0] for key, text in fields if key.lower() == b"content-type"]
    expect("content-type of Response('plain')", kinds, [b"text/plain"], rule="framework.py, Response")


def head_promises_the_same(client: Client) -> None:
    """A Content-Length of HEAD, where there is one, is that of GET."""
    length = client.get("/line").get("Content-Length")
    promised = client.request("HEAD", "/line").get("Content-Length")
    that(
        promised in (None, length),
        f"Content-Length = {promised} for HEAD, {length} for GET",
        "the same, or none",
        rule="RFC 9110 §8.6: MUST NOT, unless it is that of GET",
    )


def half_a_body_is_none(probe: Probe, body: bytes) -> None:
    """A client that leaves in the middle of its body."""
    half = [{"type": "http.request", "body": body, "more_body": True}, {"type": "http.disconnect"}]
    cut = probe.asgi("framework_features:app", http_scope("POST", "/seen"), half)
    said = [one.get("status") for one in cut.sends if isinstance(one, dict) and "status" in one]
    that(
        "still running" not in cut.names() and all(type(code) is int and code >= 400 for code in said),
        got="the call goes on" if "still running" in cut.names() else f"status {said}, for half a body",
        expected="no response: the body is incomplete, and its client has left (ClientDisconnect)",
        rule='ASGI www, "Disconnect - receive event"',
    )


def no_nan_goes_out(client: Client, text: str) -> None:
    """A float that is no number, in and out."""
    for target in (f"/typed/1?word=w&ratio={text}", "/no-number"):
        odd = client.get(target)
        number = b"NaN" not in odd.body and b"Infinity" not in odd.body
        that(
            odd.status in (422, 500) or (odd.status == 200 and number),
            got=f"status = {odd.status}, body = {odd.text[:160]!r}",
            expected="422, or 500: NaN and the infinities are not numbers in JSON",
            rule="RFC 8259 §6: they are not permitted",
        )


def headers_of(start: dict[str, Any]) -> list[Any]:
    """The headers of http.response.start: pairs of bytes."""
    headers = start.get("headers", [])
    pairs = isinstance(headers, list | tuple) and all(
        isinstance(one, list | tuple) and [type(part) for part in one] == [bytes, bytes] for one in headers
    )
    expected = "a list of pairs of bytes: [(b'content-type', b'text/plain')]"
    that(pairs, f"headers = {headers!r}"[:300], expected, rule='ASGI www, "Response Start"')
    return list(headers)


def no_content(probe: Probe, target: str, whose: str, kept: tuple[str, ...] = ()) -> None:
    """A 304 without a body, and without the length of one, whatever was to be sent in it."""
    path, _, query = target.partition("?")
    scope = http_scope(path=path, query=query.encode())
    seen = probe.asgi("framework_features:app", scope, [{"type": "http.request"}])
    start = seen.sends[0] if seen.sends and isinstance(seen.sends[0], dict) else {}
    expect(f"status of {target}", start.get("status"), 304, whose)
    body = b"".join(one.get("body", b"") for one in seen.sends if isinstance(one, dict))
    expect(
        "the body of a 304", body, b"", "it has none, whatever the handler returned", rule="RFC 9110 §15.4.5"
    )
    names = {bytes(key).lower() for key, _ in headers_of(start)}
    lost = sorted(one for one in kept if one.encode() not in names)
    that(
        not lost,
        f"no {', '.join(lost)} in the 304",
        "the headers that it was made with",
        rule="lesson, task 1",
    )
    lengths = [value for key, value in headers_of(start) if bytes(key).lower() == b"content-length"]
    that(
        lengths in ([], [b"0"]),
        f"content-length of a 304 = {lengths}",
        "none: a client that believes it waits for a body",
        rule="RFC 9110 §8.6",
    )


def parcels_are_validated(client: Client) -> None:
    """What a dataclass itself refuses, what it makes by itself, and numbers that JSON does not have."""
    heavy = problems(
        client.request("POST", "/parcels", JSON, b'{"weight": 0}'), "a Parcel that weighs nothing"
    )
    that(
        all(one[0] == "body" for one in heavy) and any("weighs something" in msg for msg in heavy.values()),
        f"{heavy}",
        "a complaint of the body, with the ValueError's own words: __post_init__ raised it",
    )
    mine = client.request("POST", "/parcels", JSON, b'{"weight": 2, "label": "3 kg"}')
    why = "label has init=False: the client can't set it"
    if mine.status == 200:
        label = object_of(mine).get("label")
        that(label == "2 kg", f"label = {label!r}", "'2 kg', which __post_init__ made, or 422: " + why)
    else:
        status(mine, 422, why)
    for number in ("NaN", "-Infinity", "1e999", "1" + "0" * 400, "1" + "0" * 5000):
        asked = f'{{"weight": {number[:12]}}}'
        answer = client.request("POST", "/parcels", JSON, f'{{"weight": {number}}}'.encode())
        sound = answer.status == 200 and not re.search("NaN|Infinity", answer.text)
        that(
            sound or 400 <= answer.status < 500,
            f"status = {answer.status} for {asked}, body = {answer.text[:80]!r}",
            "422, or JSON without NaN and Infinity: no client can read those",
            rule="RFC 8259 §6",
        )
    half = (b'{"title": "\\ud83d", "minutes": 5}', b'{"title": "\\uD83D", "minutes": 5}')
    for body in (*half, b"[" * 500_000):
        answer = client.request("POST", "/errands/1", JSON, body)
        got = f"status = {answer.status} for {body[:40]!r}"
        that(400 <= answer.status < 500, got, "422: it can't be used", rule="RFC 8259 §8.2, §9")


def deep_trees_are_no_accident(client: Client) -> None:
    """Dataclasses within dataclasses: JSON's parser takes more of them than Python has room for calls."""
    for deep, codes in ((3, (200,)), (DEEP, (200, 400, 413, 422))):
        body = '{"name": "b", "bears": ' * deep + "null" + "}" * deep
        code = client.request("POST", "/branches", JSON, body.encode()).status
        that(
            code in codes,
            f"status = {code} for a Branch that bears another one, and so on, {deep} deep",
            "200"
            if deep < DEEP
            else "422, or 200: what a client nests too deeply is its own error, not a 500",
            rule="RFC 9110 §15.5, §15.6; RFC 8259 §9: an implementation may limit the depth",
            sent=f"POST /branches with {body[:60]}…",
        )


def long_bodies_come_whole(client: Client, size: int) -> None:
    """A hundred thousand bytes come whole; of two megabytes all, or a refusal.

    A server that closes before it has read all may reset the connection, and the 413 with it.
    """
    expect("the length of request.body()", value(client.request("POST", "/size", (), b"x" * size)), size)
    try:
        much = client.request("POST", "/size", (), b"x" * 2_000_000)
    except NoAnswer:
        return
    if much.status != 200:
        status(much, 413, "or 200: the whole body, or Content Too Large", rule="RFC 9110 §15.5.14")
        return
    expect("the length of request.body()", value(much), 2_000_000)


def odd_errands_are_no_accident(client: Client, rng: random.Random) -> None:
    """A field that no Errand has, a body without a type, and `true` for an integer."""
    good = {"title": title(rng), "minutes": 5}
    rule = "RFC 9110 §15.5, §15.6: what a client gets wrong is not an error of the server"
    for kind, body, why in (
        (JSON, {**good, "colour": "red"}, "an Errand has no colour: leave it out, or complain of it"),
        ([], good, "it has no Content-Type: refuse it, or look whether it is JSON"),
    ):
        code = client.request("POST", "/errands/1", kind, json.dumps(body).encode()).status
        got = f"status = {code} for {json.dumps(body)}{'' if kind else ' without Content-Type'}"
        that(code in (200, 415, 422), got, f"200, 415 or 422: {why}", rule=rule)
    answer = client.request("POST", "/errands/1", JSON, json.dumps({**good, "minutes": True}).encode())
    if answer.status == 200:
        minutes = members(members(value(answer)).get("errand")).get("minutes")
        that(
            type(minutes) is int,
            f"minutes = {json.dumps(minutes)} for true",
            "422, or 1: `minutes` is an int, and JSON's true is none",
            rule="lesson, task 2: True is an int; RFC 8259 §3",
        )
    else:
        status(answer, 422, "true is not an integer")


def other_types_are_no_json(client: Client, body: bytes) -> None:
    for kind in ("text/plain", "application/cbor"):
        other = client.request("POST", "/errands/1", [("Content-Type", kind)], body)
        that(
            other.status in (415, 422),
            f"status = {other.status} for {kind}",
            "415 (FastAPI: 422): a form on somebody else's page can send text/plain",
            rule="RFC 9110 §15.5.16",
        )


def breaks_off(probe: Probe, path: str, what: str) -> None:
    """A stream that fails is not ended as if it were whole, and the exception goes on to the server."""
    half = probe.asgi("framework_features:app", http_scope(path=path), [{"type": "http.request"}])
    starts = sent_types(half).count("http.response.start")
    expect("http.response.start sent", starts, 1, "the response has begun: no second one is possible")
    that(half.raised, f"no exception from {path}", f"{what}, so that the server closes the connection")
    ended = any(one.get("type") == "http.response.body" and not one.get("more_body") for one in half.sends)
    that(not ended, "the body was ended as if it were whole", "an incomplete body, and an exception")


def an_own_handler_explains(probe: Probe) -> None:
    """An application's own handler for HTTPException takes the place of the framework's."""
    seen = probe.asgi("framework_features:inner", http_scope(path="/refused"), [{"type": "http.request"}])
    code, _, body = sent_by(seen)
    try:
        found = json.loads(body)
    except NOT_JSON:
        found = body[:100]
    expect(
        "what HTTPException(409, 'taken') became",
        [code, found],
        [409, {"explained": "taken"}],
        "the application has a handler for HTTPException itself: no class is nearer",
    )


def pieces_are_closed(probe: Probe) -> None:
    """A stream whose client has left, and `send` is the first to know."""
    seen = probe.call("framework_features:stream_whose_send_fails")
    expect(
        "what became of the pieces",
        seen,
        ["piece 0", "closed"],
        "`send` may be the first to raise when the client has left (OSError): no more pieces, and aclose()",
        rule='ASGI www, "Disconnected Client - send exception"; framework.py, StreamingResponse',
        sent="a StreamingResponse whose first http.response.body raises OSError in `send`",
    )


def errands_are_kept_apart(probe: Probe) -> None:
    """Two requests at once."""
    seen = probe.call("framework_features:two_errands_at_once")
    wanted = [[7, True, "errand 7"], [8, False, "errand 8"]]
    sent = "two errands at once; the first one's body comes when the second one has been answered"
    expect("number, dry, title of each", seen, wanted, "no request sees the values of another", sent=sent)


def nothing_else_is_cut_off(probe: Probe) -> None:
    """A path that is not below root_path, and as long as one that is."""
    scope = http_scope(path="/abc/line", root_path="/api")
    code, _, _ = sent_by(probe.asgi("framework_features:app", scope, [{"type": "http.request"}]))
    why = "no route is /abc/line, and what comes before /line is not where this application is mounted"
    expect("status of /abc/line, with root_path /api", code, 404, why)
