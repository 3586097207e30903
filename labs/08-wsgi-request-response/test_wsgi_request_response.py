"""Lab 8: what comes in and what goes out, as objects."""

import hashlib
import json
import random
import re
import string
from email.utils import formatdate
from typing import Any
from urllib.parse import quote_plus, unquote, urlencode, urlsplit

from workshop.judge.checks import (
    NOT_JSON,
    Response,
    Transcript,
    attribute,
    check,
    expect,
    fail,
    made,
    method,
    name,
    named,
    note,
    that,
    wire_cases,
    wsgi_app,
)

FAR_NAMES = ("Zoë", "Łukasz", "Aşkın", "Νίκη", "Юлия", "明", "José")
YEAR = 365 * 24 * 3600
LONG_AGO = 784_111_777  # Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples
LITTLE = 4 * 1024 * 1024  # bytes: many pieces of 64 KiB, and a third of the upload


# --- what the checks share --------------------------------------------------------------------------


def word(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=6))


def latin(text: str) -> str:
    """Text as PEP 3333 has it in an environ: its UTF-8 bytes, each as one character."""
    return text.encode("utf-8").decode("latin-1")


def environ(verb: str = "GET", path: str = "/", query: str = "", **more: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": verb,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "wsgi.url_scheme": "http",
        **more,
    }


def with_body(body: bytes, kind: str, **more: Any) -> dict[str, Any]:
    length = {"CONTENT_LENGTH": str(len(body))}
    asked = environ("POST", **{"CONTENT_TYPE": kind, **length, **more})
    return asked | {"wsgi.input": made("io:BytesIO", body)}


def request(asked: dict[str, Any], **limits: int) -> tuple[str, Any]:
    return ("request", made("wrappers:Request", asked, **limits))


def part(wanted: str) -> Any:
    """An attribute of the request, as a step."""
    return attribute(named("request"), wanted)


def values(seen: Transcript, count: int) -> list[Any]:
    """The results of the steps after the first one; fail with the exception when one was raised."""
    error = seen.raised
    if error is not None:
        status = error["attributes"].get("status")
        said = f" (status {status})" if status else ""
        fail(f"{error['type']}{said}: {error['message']}", "a value, and no exception")
    got = seen.values[-count:]
    return got


def refused(seen: Transcript, statuses: tuple[int, ...], why: str) -> None:
    """Fail unless the last step raised an HTTPError with one of these statuses."""
    wanted = f"HTTPError with status {' or '.join(map(str, statuses))}     {why}"
    error = seen.raised
    if error is None:
        fail(f"no exception; the value was {shortened(seen.values[-1:])}", wanted)
        return
    status = error["attributes"].get("status")
    got = f"{error['type']}: {error['message']}" + (f" (status {status})" if status else "")
    that("HTTPError" in error["bases"] and status in statuses, got, wanted)


def shortened(value: object) -> str:
    return text if len(text := repr(value)) < 120 else f"{text[:100]} …"


def response(body: Any = b"", *args: Any, **more: Any) -> dict[str, Any]:
    return made("wrappers:Response", body, *args, **more)


def answered(seen: Transcript) -> None:
    """Fail with the exception when there was one, or when nothing was started."""
    error = seen.raised
    if error is not None:
        fail(f"{error['type']}: {error['message']}", "an answer, and no exception")
    that(seen.status is not None, "start_response was not called", "start_response, then the body")


def code(seen: Transcript) -> int:
    first = str(seen.status)[:3]
    return int(first) if first.isdigit() else 0


def status_is(seen: Transcript, right: int, why: str = "") -> None:
    """PEP 3333: three digits, a space, and words, which are free."""
    reason = f"     {why}" if why else ""
    shaped = re.fullmatch(rf"{right} [ -~]+", str(seen.status))
    that(shaped, f"status = {seen.status!r}", f"status = '{right} …', the number and some words{reason}")


def fields(seen: Transcript, wanted: str) -> list[str]:
    """All values of a header; names compare without case (RFC 9110 §5.1)."""
    pairs = [tuple(pair) for pair in seen.headers]
    return [str(pair[1]) for pair in pairs if len(pair) == 2 and str(pair[0]).lower() == wanted.lower()]


def field(seen: Transcript, wanted: str) -> str | None:
    return next(iter(fields(seen, wanted)), None)


def refuses(probe: Any, thing: Any, what: str) -> None:
    """Fail unless making or calling this raises ValueError, or its header holds nothing but single lines."""
    seen = probe.wsgi(thing)
    error = seen.raised
    if error is None:
        loud = [pair for pair in seen.headers if re.search("[\r\n]", "".join(map(str, tuple(pair))))]
        that(
            not loud, f"the header {loud[:1]}", f"ValueError: {what} ends a line, and the rest is a new field"
        )
        names = [str(next(iter(pair), "")) for pair in seen.headers]
        nul = [name for name in names if "\0" in name]
        that(not nul, f"the header {nul[:1]}", f"ValueError: {what} is a name that no two readers read alike")
        return
    got = f"{error['type']}: {error['message']}"
    that("ValueError" in error["bases"], got, f"ValueError: {what} cannot stand in a header")


# --- task 1 -----------------------------------------------------------------------------------------


@check(task=1, rule="RFC 9110 §5.1")
def test_task1_headers_compare_without_case(probe, rng):
    """Headers are found in any case of their names"""
    ident, kind = word(rng), f"text/{word(rng)}"
    asked = environ("POST", HTTP_X_TASK_ID=ident, CONTENT_TYPE=kind, CONTENT_LENGTH="0")
    heads = part("headers")
    steps = [
        method(heads, "get", "X-Task-Id"),
        method(heads, "get", "x-task-ID"),
        method(heads, "get", "content-type"),
        method(heads, "getlist", "x-TASK-id"),
        method(heads, "get", "X-Other"),
        method(heads, "get", "X-Other", "none"),
        method(heads, "__contains__", "x-task-id"),
        method(heads, "__contains__", "task-id"),
    ]
    wanted = [ident, ident, kind, [ident], None, "none", True, False]
    for got, right, step in zip(values(probe.steps(request(asked), *steps), 8), wanted, steps, strict=True):
        call = step["$call"]
        expect(f"headers.{call['fn']['$attr'][1]}{tuple(call['args'])!r}", got, right)
    empty = environ(CONTENT_TYPE="", CONTENT_LENGTH="")
    (got,) = values(probe.steps(request(empty), method(heads, "get", "Content-Type")), 1)
    that(not got, f"Content-Type = {got!r}", "None     an empty CONTENT_TYPE says that there was none")


@check(task=1, rule="WHATWG URL, application/x-www-form-urlencoded parsing")
def test_task1_query_values_repeat(probe, rng):
    """Query values repeat, may be empty, and are UTF-8"""
    first, second, who = word(rng), word(rng), f"{rng.choice(FAR_NAMES)} & {rng.randrange(100, 999)}"
    cases = [
        (f"tag={first}&tag={second}", {"tag": [first, second]}),
        (f"name={quote_plus(who)}&x=", {"name": [who], "x": [""]}),
        (f"a=1+2%2B3&b={first}&a=%3D%26", {"a": ["1 2+3", "=&"], "b": [first]}),
        ("", {}),
    ]
    for query, right in cases:
        (got,) = values(probe.steps(request(environ(query=query)), part("query")), 1)
        expect(f"query of {query!r}", got, right)
    path = f"/caf\xe9/{who}"
    verb, got = values(probe.steps(request(environ("PUT", latin(path))), part("method"), part("path")), 2)
    expect("method", verb, "PUT")
    expect(
        "path",
        got,
        path,
        "text: PATH_INFO's characters are the bytes of UTF-8",
        rule='PEP 3333, "Unicode Issues"',
    )


@check(task=1, rule="RFC 6265 §4.2.1, §5.4")
def test_task1_cookies_are_pairs(probe, rng):
    """Cookies: several in one field, quoted, and the first of a name counts"""
    one, two, key = word(rng), word(rng), word(rng)
    cases = [
        (f"sid={one}; theme={two}", {"sid": one, "theme": two}, ""),
        (f"sid={one};theme={two};", {"sid": one, "theme": two}, "the space may be missing"),
        (f'sid="{one}"; x=', {"sid": one, "x": ""}, "quotes around a value are not part of it"),
        (f"sid={one}; sid={two}", {"sid": one}, "the one with the longest path comes first"),
        (f"{key}={one}=={two},x; b=2", {key: f"{one}=={two},x", "b": "2"}, "only a semicolon ends a value"),
        (f"SID={one}; sid={two}", {"SID": one, "sid": two}, "a cookie's name is compared with its case"),
    ]
    for sent, right, why in cases:
        (got,) = values(probe.steps(request(environ(HTTP_COOKIE=sent)), part("cookies")), 1)
        expect(f"cookies of {sent!r}", got, right, why)
    (got,) = values(probe.steps(request(environ()), part("cookies")), 1)
    expect("cookies without the header", got, {})


@check(task=1, rule='PEP 3333, "URL Reconstruction"')
def test_task1_url_is_what_the_client_asked_for(probe, rng):
    """url is the whole URL, in ASCII"""
    who, port = rng.choice(FAR_NAMES), rng.randrange(1025, 9999)
    local = {"HTTP_HOST": "", "SERVER_NAME": "tasks.example"}
    cases = [
        (environ(HTTP_HOST=f"tasks.example:{port}"), f"http://tasks.example:{port}/"),
        (environ(path=f"/{latin(who)} ?", SCRIPT_NAME="/v1"), f"http://localhost/v1/{who} ?"),
        (environ(query="a=%2F&b=2"), "http://localhost/?a=%2F&b=2"),
        (environ(**local, SERVER_PORT=str(port)), f"http://tasks.example:{port}/"),
        (environ(**local), "http://tasks.example/"),
        (environ(**local, SERVER_PORT="443", **{"wsgi.url_scheme": "https"}), "https://tasks.example/"),
    ]
    for asked, right in cases:
        if not asked["HTTP_HOST"]:
            del asked["HTTP_HOST"]
        (got,) = values(probe.steps(request(asked), part("url")), 1)
        text = str(got)
        that(text.isascii() and " " not in text, f"url = {got!r}", "ASCII: the path is percent-encoded again")
        parts = urlsplit(text)
        said = f"{parts.scheme}://{parts.netloc}{unquote(parts.path)}" + (
            f"?{parts.query}" if parts.query else ""
        )
        that(said == right, f"url = {got!r}", f"url, decoded, = {right!r}")


# --- task 2 -----------------------------------------------------------------------------------------


@check(task=2, rule='PEP 3333, "Input and Error Streams"')
def test_task2_a_body_is_read_once_and_json_is_parsed(probe, rng):
    """A body is read once, and not past its end; JSON, 415 and 400"""
    task = {"title": name(rng), "done": rng.choice([True, False]), "who": rng.choice(FAR_NAMES)}
    data = json.dumps(task, ensure_ascii=False).encode()
    asked = with_body(data, "application/json; charset=utf-8")
    asked["wsgi.input"] = made("io:BytesIO", data + b" and the next request")
    first, second, parsed = values(
        probe.steps(request(asked), part("body"), part("body"), method(named("request"), "json")), 3
    )
    expect("body", first, data, "CONTENT_LENGTH bytes, whatever the stream would give")
    expect("body, asked again", second, data, "the stream is empty now: keep what was read")
    expect("json()", parsed, task)
    parsed, body = values(probe.steps(request(asked), method(named("request"), "json"), part("body")), 2)
    expect("json()", parsed, task)
    expect("body after json()", body, data)
    form = f"title={word(rng)}&done=".encode()
    asked = with_body(form, "application/x-www-form-urlencoded")
    body, fields_ = values(probe.steps(request(asked), part("body"), part("form")), 2)
    expect("body", body, form)
    that(fields_, f"form after body = {fields_!r}", "the form: from the body that was read already")
    (none,) = values(
        probe.steps(request(environ() | {"wsgi.input": made("io:BytesIO", b"rest")}), part("body")), 1
    )
    expect("body without Content-Length", none, b"", "no length, no body", rule="RFC 9112 §6.3")
    call = method(named("request"), "json")
    refused(probe.steps(request(with_body(data, "text/plain")), call), (415,), "RFC 9110 §15.5.16")
    refused(probe.steps(request(with_body(data[:-1], "application/json")), call), (400,), "not JSON")
    refused(probe.steps(request(with_body(b"\xff", "application/json")), call), (400,), "not UTF-8")


def boundary(rng: random.Random) -> str:
    return "-" * rng.randrange(2, 8) + word(rng)


def multipart(mark: str, *parts: tuple[str, bytes]) -> bytes:
    """A multipart body; each part is its header, without the last line break, and its bytes."""
    lines = [f"--{mark}\r\n{head}\r\n\r\n".encode() + data + b"\r\n" for head, data in parts]
    return b"".join(lines) + f"--{mark}--\r\n".encode()


def disposition(field_name: str, filename: str | None = None) -> str:
    named_file = "" if filename is None else f'; filename="{filename}"'
    return f'Content-Disposition: form-data; name="{field_name}"{named_file}'


@check(task=2, rule="RFC 7578 §4")
def test_task2_forms_in_both_encodings(probe, rng):
    """Forms, urlencoded and multipart, in pieces of any size"""
    who, title = rng.choice(FAR_NAMES), name(rng)
    pairs = [("title", title), ("tag", "a b"), ("tag", who), ("note", "")]
    right = {"title": [title], "tag": ["a b", who], "note": [""]}
    asked = with_body(urlencode(pairs).encode(), "application/x-www-form-urlencoded")
    form, files = values(probe.steps(request(asked), part("form"), part("files")), 2)
    expect("form", form, right)
    expect("files", files, {}, "an urlencoded form has none")
    mark = boundary(rng)
    # Bytes that are nearly a boundary: the parser must not lose its place, nor the line breaks before it.
    near = f"\r\n--{mark[:-1]}\r\n-\r\r\n--\r\n".encode() + rng.randbytes(20) + b"\r\n"
    sent = multipart(
        mark,
        *((disposition(key), value.encode()) for key, value in pairs),
        (disposition("photo; x=1", f"{who}; ada.png") + "\r\ncontent-type: image/png", near),
        (disposition("empty", ""), b""),
    )
    uploads = [
        ["photo; x=1", f"{who}; ada.png", "image/png", near],
        ["empty", "", "text/plain", b""],
    ]
    quoted = rng.choice([f'"{mark}"', mark])
    asked = environ("POST", CONTENT_TYPE=f"Multipart/Form-Data; Boundary={quoted}")
    for before in (b"", b"a preamble\r\n"):
        for size in (1, rng.randrange(2, 9), 1 << 20):
            seen = probe.steps(
                made("form_handlers:parsed", asked, before + sent, size),
                sent=f"a form of {len(before + sent)} bytes, boundary {mark}, {size} bytes at a time",
            )
            (got,) = values(seen, 1)
            expect("form", got["form"], right, "every byte up to the boundary's line break, and no more")
            plain = [[*one[:2], kind_of(one), one[3]] for one in got["files"]]
            expect(
                "files",
                plain,
                uploads,
                "name, filename, type, bytes: every byte up to the boundary's line break",
            )
    asked = with_body(b"plain", "text/plain")
    form, files = values(probe.steps(request(asked), part("form"), part("files")), 2)
    that(form == {} and files == {}, f"form, files of text/plain = {form!r}, {files!r}", "{} and {}")


def kind_of(upload: list[Any]) -> str:
    """The type of an upload; RFC 7578 §4.4: none said is text/plain, and None or "" say the same."""
    return str(upload[2] or "text/plain")


@check(task=2, rule="RFC 7578 §4.2, and common sense")
def test_task2_uploads_need_little_memory(probe, rng):
    """A file of twelve megabytes goes through little memory"""
    mark = boundary(rng)
    head = f"--{mark}\r\n{disposition('photo', 'ada.png')}\r\n\r\n".encode()
    filler = rng.randbytes(1021).replace(b"\r", b"-")
    count = 12 * 1024 + rng.randrange(100)
    seen = probe.steps(
        made(
            "form_handlers:peak",
            environ("POST", CONTENT_TYPE=f"multipart/form-data; boundary={mark}"),
            head,
            filler,
            count,
            f"\r\n--{mark}--\r\n".encode(),
        ),
        sent=f"Request(a multipart form with a file of {len(filler) * count} bytes).files",
        seconds=8.0,
    )
    (got,) = values(seen, 1)
    expect("the file's size", got["size"], len(filler) * count)
    that(
        got["peak"] < LITTLE,
        f"{got['peak'] >> 10} KiB of memory at once, for a file of {got['sent'] >> 10} KiB",
        f"under {LITTLE >> 10} KiB: read a piece, write what is certain to a temporary file, forget it",
    )


@check(task=2, rule="RFC 9110 §15.5.14, §15.5.1")
def test_task2_limits_and_broken_bodies_have_their_status(probe, rng):
    """Too much is 413, broken is 400, and neither reads on"""
    mark = boundary(rng)
    kind = f"multipart/form-data; boundary={mark}"
    good = multipart(mark, (disposition("a"), b"1"), (disposition("b", "x"), b"2"))
    (form,) = values(probe.steps(request(with_body(good, kind), max_body=len(good)), part("form")), 1)
    expect("form", form, {"a": ["1"]}, "within all limits")
    body = f"a form with boundary {mark}"
    many = multipart(mark, *((disposition(f"a{n}"), b"1") for n in range(9)))
    big = b"x" * 300_000
    long_field = multipart(mark, (disposition("a"), big))
    pairs = urlencode({"a": big.decode()}).encode()
    too_much = [
        (good, kind, {"max_body": len(good) - 1}, "the body is one byte longer than max_body"),
        (many, kind, {"max_parts": 8}, "nine parts, max_parts=8"),
        (long_field, kind, {"max_memory": 200_000}, "a field of 300000 bytes, max_memory=200000"),
        (
            pairs,
            "application/x-www-form-urlencoded",
            {"max_memory": 200_000},
            "300002 bytes urlencoded, max_memory=200000",
        ),
    ]
    for data, sort, limits, why in too_much:
        seen = probe.steps(request(with_body(data, sort), **limits), part("form"), sent=f"{body}: {why}")
        refused(seen, (413,), why)
    asked = with_body(b"", kind, CONTENT_LENGTH=str(10**12))
    asked["wsgi.input"] = made("io:BytesIO", good)
    for wanted in ("body", "form"):
        refused(
            probe.steps(request(asked), part(wanted)),
            (413,),
            "a terabyte: Content-Length says it before a byte is read",
        )
    broken = [
        (good[: len(good) - 8], kind, "the last boundary is missing"),
        (good[: rng.randrange(len(mark) + 6, len(mark) + 40)], kind, "it ends within a part's header"),
        (good.replace(b"Content-Disposition", b"Content-Position"), kind, "a part without a name"),
        (good, "multipart/form-data", "no boundary"),
    ]
    for data, sort, why in broken:
        refused(probe.steps(request(with_body(data, sort)), part("form")), (400,), why)
    for length, why in (("12x", "Content-Length is no number"), ("-1", "Content-Length is negative")):
        asked = with_body(b"hello", "text/plain", CONTENT_LENGTH=length)
        refused(probe.steps(request(asked), part("body")), (400,), why)
    asked = with_body(b"hello", "text/plain", CONTENT_LENGTH="9")
    refused(probe.steps(request(asked), part("body")), (400,), "five bytes came, nine were promised")


# --- task 3 -----------------------------------------------------------------------------------------


@check(task=3, rule="RFC 9110 §8.6, §15.3.5")
def test_task3_status_headers_and_body(probe, rng):
    """Status line, headers, encoded text; nothing after HEAD and 204"""
    text, ident = f"{rng.choice(FAR_NAMES)} {rng.randrange(999)}", word(rng)
    pairs = [("X-Id", ident), ("Link", "</a>"), ("Link", "</b>")]
    for charset in ("utf-8", "utf-16-le"):
        seen = probe.wsgi(response(text, 201, pairs, charset=charset))
        answered(seen)
        data = text.encode(charset)
        status_is(seen, 201)
        expect("body", seen.body, data)
        expect("Content-Length", field(seen, "Content-Length"), str(len(data)), "bytes, not characters")
        kind = (field(seen, "Content-Type") or "").replace(" ", "").lower()
        expect("Content-Type", kind, f"text/plain;charset={charset}", "which says how to read those bytes")
        expect("X-Id", field(seen, "x-id"), ident)
        expect("Link", fields(seen, "Link"), ["</a>", "</b>"], "repeats kept, in order")
        head = probe.wsgi(response(text, 201, pairs, charset=charset), "HEAD")
        answered(head)
        expect("body", head.body, b"", "HEAD asks for the header only", rule="RFC 9110 §9.3.2")
        expect(
            "header of HEAD",
            sorted(head.headers),
            sorted(seen.headers),
            "that of GET",
            rule="RFC 9110 §9.3.2",
        )
    seen = probe.wsgi(response(rng.randbytes(9), 200, (), "image/png"))
    answered(seen)
    expect("Content-Type", field(seen, "Content-Type"), "image/png", "bytes that are no text have no charset")
    seen = probe.wsgi(response(status=204))
    answered(seen)
    status_is(seen, 204)
    expect("body", seen.body, b"")
    expect("Content-Length", field(seen, "Content-Length"), None, "not on a 204")


@check(task=3, rule="RFC 6265 §4.1")
def test_task3_cookies_with_their_attributes(probe, rng):
    """Cookies with their attributes, and back again"""
    sid, age, path = word(rng), rng.randrange(60, 9999), f"/{word(rng)}"
    everything = {"max_age": age, "path": path, "domain": "tasks.example", "secure": True, "httponly": True}
    calls = [
        ("set_cookie", ("sid", sid), everything | {"samesite": "Lax"}),
        ("set_cookie", ("plain", "1"), {}),
        ("delete_cookie", ("old",), {"path": path}),
    ]
    headers = set_cookies(probe, calls)
    expect(
        "number of Set-Cookie fields",
        len(headers),
        3,
        "one for each cookie, never joined",
        rule="RFC 9110 §5.3",
    )
    pair, attributes = split_cookie(headers[0])
    expect("cookie", pair, f"sid={sid}")
    wanted = {
        "max-age": str(age),
        "path": path,
        "domain": "tasks.example",
        "secure": "",
        "httponly": "",
        "samesite": "Lax",
    }
    wrong = {key: attributes.get(key) for key, value in wanted.items() if attributes.get(key) != value}
    that(not wrong, f"attributes = {attributes!r}", f"attributes = {wanted!r}")
    pair, attributes = split_cookie(headers[1])
    expect("cookie", pair, "plain=1")
    extra = sorted(attributes.keys() & {"secure", "httponly", "max-age", "expires", "domain", "samesite"})
    expect("attributes that nobody asked for", extra, [])
    expect("Path", attributes.get("path"), "/", "without one, a cookie is for the request's folder only")
    pair, attributes = split_cookie(headers[2])
    that(pair.partition("=")[0] == "old", f"Set-Cookie: {headers[2]}", "the cookie named old")
    gone = attributes.get("max-age") == "0" or "1970" in attributes.get("expires", "")
    that(gone, f"attributes = {attributes!r}", "Max-Age=0, or Expires in the past: how a cookie is deleted")
    expect("Path of the deleted cookie", attributes.get("path"), path, "another path is another cookie")
    for value in (f"{sid}; Path=/x", f'say "{sid}" \\ twice', rng.choice(FAR_NAMES), "a=b, c"):
        comes_back(probe, value)


def split_cookie(line: str) -> tuple[str, dict[str, str]]:
    """The pair of a Set-Cookie, and its attributes by name in lower case."""
    pair, *rest = line.split(";")
    parts = [item.strip().partition("=") for item in rest]
    return pair.strip(), {key.lower(): value for key, _, value in parts}


def set_cookies(probe: Any, calls: list[Any]) -> list[str]:
    """The Set-Cookie fields after these calls on a new response."""
    seen = probe.steps(*cookie_steps(calls))
    error = seen.raised
    if error is not None:
        fail(f"{error['type']}: {error['message']}", "cookies, and no exception")
    pairs = [one for event in seen.all("noted") for one in event["args"][1]]
    return [str(one[1]) for one in map(tuple, pairs) if str(one[0]).lower() == "set-cookie"]


def cookie_steps(calls: list[Any]) -> list[Any]:
    steps: list[Any] = [("made", response(b""))]
    steps += [method(named("made"), call, *args, **more) for call, args, more in calls]
    return [*steps, made(named("made"), environ(), note("start_response"))]


def comes_back(probe: Any, value: str) -> None:
    """A value is refused with ValueError, or a client that sends it back as it got it brings the same."""
    seen = probe.steps(*cookie_steps([("set_cookie", ("sid", value), {})]))
    error = seen.raised
    if error is not None:
        got = f"{error['type']}: {error['message']}"
        that(
            "ValueError" in error["bases"],
            got,
            f"ValueError, or a cookie that is {value!r} when it comes back",
        )
        return
    (line,) = set_cookies(probe, [("set_cookie", ("sid", value), {})]) or [""]
    pair, _ = split_cookie(line)
    (got,) = values(probe.steps(request(environ(HTTP_COOKIE=pair)), part("cookies")), 1)
    that(
        got == {"sid": value},
        f"Set-Cookie: {line}; when it came back: {got!r}",
        f"{{'sid': {value!r}}}, or ValueError",
    )


@check(task=3, rule="RFC 9110 §5.5")
def test_task3_nothing_can_be_smuggled_into_a_header(probe, rng):
    """What would end a line, or an attribute, gets nowhere"""
    evil = f"Set-Cookie: admin={word(rng)}"
    good = probe.wsgi(response(b"", 200, [("X-Note", "semi; colon, tab\t\xe9")]))
    answered(good)
    expect("X-Note", field(good, "X-Note"), "semi; colon, tab\t\xe9", "all of that may stand in a value")
    for end in ("\r\n", "\n", "\r"):
        refuses(probe, response(b"", 200, [("X-Note", f"a{end}{evil}")]), f"a value with {end!r}")
        refuses(probe, response(b"", 200, [(f"X-Note: a{end}{evil}", "b")]), f"a name with {end!r}")
        refuses(probe, response(b"", content_type=f"text/html{end}{evil}"), f"a content type with {end!r}")
    # A value's NUL is no matter of this check: some libraries leave it to the server, which must not send it.
    refuses(probe, response(b"", 200, [(f"X-{word(rng)}\0", "b")]), "a name with NUL")
    calls = [
        ("set_cookie", ("sid", f"a\r\n{evil}"), {}),
        ("set_cookie", (f"sid\r\n{evil}", "a"), {}),
        ("set_cookie", ("sid", "a"), {"path": f"/\r\n{evil}"}),
        ("set_cookie", ("sid", "a"), {"path": "/; Domain=evil.example"}),
        ("set_cookie", ("sid", "a; Domain=evil.example"), {}),
        ("set_cookie", ("sid", f"a\0{word(rng)}"), {}),
        ("set_cookie", ("sid", "a"), {"path": f"/{word(rng)}\0"}),
        ("set_cookie", (f"sid\0{word(rng)}", "a"), {}),
    ]
    for one in calls:
        seen = probe.steps(*cookie_steps([one]))
        error = seen.raised
        if error is not None:
            got = f"{error['type']}: {error['message']}"
            that("ValueError" in error["bases"], got, "ValueError for what can't stand in a cookie")
            continue
        pairs = [tuple(pair) for event in seen.all("noted") for pair in event["args"][1]]
        for line in (str(pair[1]) for pair in pairs if str(pair[0]).lower() == "set-cookie"):
            smuggled = re.search("[\r\n\0]", line) or "domain" in split_cookie(line)[1]
            that(
                not smuggled,
                f"Set-Cookie: {line!r}",
                "ValueError, or an encoded value: no new line, no new attribute, no NUL",
            )


# --- task 4 -----------------------------------------------------------------------------------------


@check(task=4, rule="RFC 9110 §10.2.2")
def test_task4_json_redirects_and_streams(probe, rng):
    """JSON, redirects, and a stream that is passed on as it comes"""
    task = {"title": f"{rng.choice(FAR_NAMES)}", "id": rng.randrange(999)}
    seen = probe.wsgi(made("wrappers:json_response", task, 201, [("X-Id", "7")]))
    answered(seen)
    status_is(seen, 201)
    kind = (field(seen, "Content-Type") or "").partition(";")[0]
    expect("Content-Type", kind, "application/json", rule="RFC 8259 §11")
    expect("the body, parsed", parsed_json(seen.body), task)
    expect("X-Id", field(seen, "X-Id"), "7")
    who, status = rng.choice(FAR_NAMES), rng.choice([301, 302, 303, 307, 308])
    seen = probe.wsgi(made("wrappers:redirect", f"/tasks/{who}?q=a%20b&r=/#x", status))
    answered(seen)
    expect("status", code(seen), status)
    location = str(field(seen, "Location"))
    that(location.isascii(), f"Location = {location!r}", "ASCII: percent-encoded UTF-8", rule="RFC 3986 §2.1")
    expect("Location, decoded", unquote(location), f"/tasks/{who}?q=a b&r=/#x")
    that(
        "%20" in location and "?q=" in location,
        f"Location = {location!r}",
        "what is encoded already stays as it is",
    )
    refuses(probe, made("wrappers:redirect", "/a\r\nSet-Cookie: admin=1"), "a location with a line break")
    chunks = [word(rng).encode() for _ in range(3)]
    seen = probe.wsgi(made("wrappers:Response", wsgi_body(chunks), 200, (), "text/csv"))
    answered(seen)
    expect("chunks", [chunk for chunk in seen.chunks if chunk], chunks, "one for one")
    expect(
        "Content-Length",
        field(seen, "Content-Length"),
        None,
        "nobody knows it yet: a stream is not counted first",
    )
    order = [event["event"] for event in seen.events if event["event"] in ("inner chunk", "chunk")]
    early = order[:2] == ["inner chunk", "inner chunk"]
    that(
        not early,
        "the second chunk was asked for before the first was passed on",
        "each chunk as it comes",
        rule='PEP 3333, "Buffering and Streaming"',
    )
    for verb, take in (("GET", None), ("GET", 1), ("HEAD", None)):
        seen = probe.wsgi(made("wrappers:Response", wsgi_body(chunks), 200, (), "text/csv"), verb, take=take)
        answered(seen)
        that(
            "inner closed" in seen.names(),
            f"the stream's close was not called ({verb}{', and the client left' if take else ''})",
            "close of what is streamed is called in every ending",
            rule='PEP 3333, "Specification Details"',
        )
    expect("body of HEAD", seen.body, b"", rule="RFC 9110 §9.3.2")


def wsgi_body(chunks: list[bytes]) -> Any:
    """An iterable that logs each chunk that is taken, and its close."""
    return made(wsgi_app(chunks=chunks), environ(), made("form_handlers:ignoring"))


def parsed_json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except NOT_JSON:
        return f"no JSON: {data!r}"


def dated(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


@check(task=4, rule="RFC 9110 §13.2.2")
def test_task4_preconditions_in_their_order(probe, rng):
    """If-Match, If-None-Match and the dates, by the table"""
    tag, other = f'"{word(rng)}"', f'"{word(rng)}x"'
    at = LONG_AGO + rng.randrange(10 * YEAR)
    before, same, after = dated(at - 3600), dated(at), dated(at + 3600)
    weak = f"W/{tag}"
    # method, own tag, fields, 0 / 304 / 412, why
    table: list[tuple[str, str | None, dict[str, str], int, str]] = [
        ("GET", tag, {}, 0, "nothing was asked"),
        ("GET", tag, {"If-None-Match": tag}, 304, "the client has it"),
        ("HEAD", tag, {"If-None-Match": tag}, 304, "HEAD as GET"),
        ("GET", tag, {"If-None-Match": other}, 0, "the client has another one"),
        ("GET", tag, {"If-None-Match": f"{other} , {weak}"}, 304, "a list; weak comparison (§13.1.2)"),
        ("GET", weak, {"If-None-Match": tag}, 304, "weak comparison (§13.1.2)"),
        ("GET", tag, {"If-None-Match": "*"}, 304, "* is whatever exists"),
        ("GET", tag, {"If-None-Match": tag[:-2] + '"'}, 0, "a part of a tag is another tag"),
        ("PUT", tag, {"If-None-Match": "*"}, 412, "create, but don't overwrite (§13.1.2)"),
        ("GET", tag, {"If-Modified-Since": same}, 304, "not modified since"),
        ("GET", tag, {"If-Modified-Since": after}, 304, "not modified since"),
        ("GET", tag, {"If-Modified-Since": before}, 0, "modified since"),
        ("GET", tag, {"If-Modified-Since": "yesterday"}, 0, "no date: ignored (§13.1.3)"),
        ("PUT", tag, {"If-Modified-Since": same}, 0, "for GET and HEAD only (§13.1.3)"),
        ("GET", tag, {"If-None-Match": other, "If-Modified-Since": after}, 0, "a tag beats a date (§13.1.3)"),
        ("GET", tag, {"If-None-Match": tag, "If-Modified-Since": before}, 304, "a tag beats a date"),
        ("PUT", tag, {"If-Match": tag}, 0, "the client changes what it saw"),
        ("PUT", tag, {"If-Match": f"{other}, {tag}"}, 0, "one of a list"),
        ("PUT", tag, {"If-Match": other}, 412, "somebody else changed it meanwhile"),
        ("PUT", tag, {"If-Match": weak}, 412, "strong comparison (§13.1.1)"),
        ("PUT", weak, {"If-Match": weak}, 412, "strong comparison (§13.1.1)"),
        ("PUT", tag, {"If-Match": "*"}, 0, "* is whatever exists"),
        ("PUT", tag, {"If-Unmodified-Since": same}, 0, "not modified since"),
        ("PUT", tag, {"If-Unmodified-Since": before}, 412, "modified since (§13.1.4)"),
        ("PUT", tag, {"If-Match": tag, "If-Unmodified-Since": before}, 0, "a tag beats a date (§13.1.4)"),
        ("GET", tag, {"If-Match": other, "If-None-Match": tag}, 412, "If-Match is asked first"),
        ("GET", tag, {"If-Match": tag, "If-None-Match": tag}, 304, "If-Match holds: then If-None-Match"),
    ]
    rng.shuffle(table)
    for verb, own, asked, right, why in table:
        step = made("wrappers:precondition", named("request"), own, at)
        seen = probe.steps(
            request(environ(verb, **{as_key(key): value for key, value in asked.items()})),
            step,
            sent=f"precondition({verb} with {asked!r}, {own!r}, {at}), which is {same}",
        )
        (got,) = values(seen, 1)
        expect("precondition", got, right, why)
    body = word(rng).encode()
    made_one = response(
        body, 200, [("Cache-Control", "no-cache"), ("Content-Language", "la")], etag=tag, modified=at
    )
    seen = probe.wsgi(made_one)
    answered(seen)
    expect("status", code(seen), 200)
    expect("ETag", field(seen, "ETag"), tag)
    expect("Last-Modified", field(seen, "Last-Modified"), same)
    seen = probe.wsgi(made_one, headers=[("If-None-Match", tag)])
    answered(seen)
    status_is(seen, 304)
    expect("body", seen.body, b"", "a 304 has no content", rule="RFC 9110 §15.4.5")
    for key, value in (("ETag", tag), ("Cache-Control", "no-cache")):
        expect(
            key, field(seen, key), value, "a 304 keeps what a cache needs to know", rule="RFC 9110 §15.4.5"
        )
    length = field(seen, "Content-Length")
    that(
        length in (None, str(len(body))),
        f"Content-Length = {length!r}",
        "none, or that of the 200",
        rule="RFC 9110 §8.6",
    )
    seen = probe.wsgi(made_one, headers=[("If-Match", other)])
    answered(seen)
    expect("status", code(seen), 412)
    that(body not in seen.body, f"body = {seen.body!r}", "not what the client did not want")
    seen = probe.wsgi(response(body, 404, etag=tag), headers=[("If-None-Match", tag)])
    answered(seen)
    expect("status", code(seen), 404, "preconditions are about what would be a 200", rule="RFC 9110 §13.2.1")


def as_key(field_name: str) -> str:
    return "HTTP_" + field_name.upper().replace("-", "_")


@check(task=4, rule="RFC 9110 §14.2")
def test_task4_ranges_of_bytes_and_of_files(front, probe, rng):
    """Ranges of bytes, of files, and If-Range"""
    size = rng.randrange(40, 90)
    data = rng.randbytes(size)
    tag, at = f'"{word(rng)}"', LONG_AGO + rng.randrange(10 * YEAR)
    start = rng.randrange(1, 20)
    last = start + rng.randrange(1, 15)
    parts = [
        (f"bytes={start}-{last}", start, last + 1, "both ends belong to it"),
        (f"bytes={start}-", start, size, "to the end"),
        (f"bytes=-{start}", size - start, size, "the last ones"),
        (f"bytes=-{size + start}", 0, size, "more than there are: all"),
        (f"bytes={start}-{size + 99}", start, size, "what is there of it"),
        ("bytes=0-0", 0, 1, "the first byte"),
        (f"bytes={size - 1}-", size - 1, size, "the last byte"),
    ]
    whole = [
        ("", "no Range"),
        (f"lines={start}-{last}", "an unknown unit is ignored"),
    ]
    bodies = [
        (response(data, 200, (), "image/png", etag=tag, modified=at), "bytes"),
        (made("form_handlers:sent_file", data, at), "a file"),
    ]
    for thing, what in bodies:
        for field_value, first, stop, why in rng.sample(parts, len(parts)):
            seen = probe.wsgi(thing, headers=[("Range", field_value)])
            answered(seen)
            expect(f"status, for {what}", code(seen), 206, why)
            expect(
                "Content-Range",
                field(seen, "Content-Range"),
                f"bytes {first}-{stop - 1}/{size}",
                why,
                rule="RFC 9110 §14.4",
            )
            expect("body", seen.body, data[first:stop], why)
            length = field(seen, "Content-Length")
            that(
                length in (None, str(stop - first)),
                f"Content-Length = {length!r}",
                f"{stop - first}: of the part",
            )
        for field_value, why in whole:
            seen = probe.wsgi(thing, headers=[("Range", field_value)] if field_value else [])
            answered(seen)
            expect(f"status, for {what}", code(seen), 200, why)
            expect("body", seen.body, data, why)
        for field_value in (f"bytes={size}-", f"bytes={size + 5}-{size + 9}"):
            seen = probe.wsgi(thing, headers=[("Range", field_value)])
            answered(seen)
            expect(f"status, for {what}", code(seen), 416, "nothing of it is there", rule="RFC 9110 §15.5.17")
            expect(
                "Content-Range",
                field(seen, "Content-Range"),
                f"bytes */{size}",
                "how much there is",
                rule="RFC 9110 §15.5.17",
            )
        far = "9" * 5000
        for field_value in (f"bytes={start}-{far}", f"bytes={far}-", f"bytes=-{far}", "bytes=-"):
            seen = probe.wsgi(thing, headers=[("Range", field_value)])
            answered(seen)
            expected = "206, 416, or 200: it is a range, or it is ignored; int() refuses so many digits"
            that(
                code(seen) in (200, 206, 416),
                f"status = {code(seen)} for {field_value[:20]} ({what})",
                expected,
            )
    packed = probe.wsgi(made("form_handlers:sent_file", data, at, ".csv.gz"))
    answered(packed)
    kind, coding = (field(packed, "Content-Type") or "").partition(";")[0], field(packed, "Content-Encoding")
    that(
        kind != "text/csv" or coding == "gzip",
        f"Content-Type = {kind!r}, Content-Encoding = {coding!r} for export.csv.gz",
        "text/csv with Content-Encoding: gzip, or the type of the packing: these bytes are no CSV",
        rule="RFC 9110 §8.4",
    )
    ranged = ("Range", f"bytes={start}-{last}")
    one = bodies[0][0]
    conditions = [
        ("GET", {"If-Range": tag}, 206, "the part belongs to what the client has"),
        ("GET", {"If-Range": '"older"'}, 200, "the client has an older one: it gets the whole (§13.1.5)"),
        ("GET", {"If-Range": f"W/{tag}"}, 200, "strong comparison (§13.1.5)"),
        ("GET", {"If-Range": dated(at)}, 206, "exactly the date of Last-Modified"),
        ("GET", {"If-Range": dated(at - 3600)}, 200, "another date (§13.1.5)"),
        ("GET", {"If-None-Match": tag}, 304, "preconditions come before ranges (§13.2.2)"),
        ("GET", {"If-Match": '"older"'}, 412, "preconditions come before ranges (§13.2.2)"),
        ("HEAD", {}, 200, "only GET has ranges (§14.2)"),
    ]
    for verb, more, right, why in conditions:
        seen = probe.wsgi(one, verb, headers=[ranged, *more.items()])
        answered(seen)
        expect(f"status with {more!r}", code(seen), right, why)
        if right in (200, 206) and verb == "GET":
            expect("body", seen.body, data if right == 200 else data[start : last + 1], why)
    seen = probe.steps(made("wrappers:file", f"/nowhere/{word(rng)}"))
    refused(seen, (404,), "there is no such file")
    for case in wire_cases(__file__, "range-*.http"):
        answer: Response = front.send(case.data)
        expect(f"status of {case.name}", answer.status, int(case.notes["status"]))
        expect("Content-Range", answer.get("Content-Range"), case.notes["content-range"])


# --- task 5 -----------------------------------------------------------------------------------------


@check(task=5, rule="RFC 9110 §9.3, §15")
def test_task5_the_tasks_api_again(front, service, rng):
    """The tasks API over handlers, in the layers of lab 6, on the server of lab 5"""
    for client in (front, service("layered")):
        title = f"{rng.choice(FAR_NAMES)} {rng.randrange(9999)}"
        kind = [("Content-Type", "application/json")]
        made_one = client.request("POST", "/tasks", kind, json.dumps({"title": title}).encode())
        expect("status of POST", made_one.status, 201)
        task = parsed_json(made_one.body)
        number = task.get("id") if isinstance(task, dict) else None
        that(isinstance(number, int), f"body = {made_one.body!r}", '{"id": 1, "title": …, "done": false}')
        expect("task", task, {"id": number, "title": title, "done": False})
        location = str(made_one.get("Location"))
        that(
            location.endswith(f"/tasks/{number}"),
            f"Location = {location!r}",
            f"/tasks/{number}",
            rule="RFC 9110 §15.3.2",
        )
        at = f"/tasks/{number}"
        shown = client.get(at)
        expect("status of GET", shown.status, 200)
        expect("task", parsed_json(shown.body), task)
        changed = client.request("PATCH", at, kind, b'{"done": true}')
        expect("status of PATCH", changed.status, 200)
        expect("task", parsed_json(changed.body), task | {"done": True})
        listed = parsed_json(client.get("/tasks").body)
        that(
            isinstance(listed, list) and task | {"done": True} in listed,
            f"list = {shortened(listed)}",
            "the task is in it",
        )
        rows = client.get("/tasks.csv")
        kind_of_rows = (rows.get("Content-Type") or "").partition(";")[0]
        that(
            rows.status == 200 and kind_of_rows == "text/csv", f"{rows.status} {kind_of_rows}", "200 text/csv"
        )
        that(
            f'{number},"{title}",true\r\n'.encode() in rows.body,
            f"rows = {shortened(rows.body)}",
            "the task is one of them",
        )
        head = client.request("HEAD", at)
        expect("status of HEAD", head.status, 200)
        wrong = client.request("POST", at, kind, b"{}")
        expect("status of POST to a task", wrong.status, 405, rule="RFC 9110 §15.5.6")
        allow = {one.strip() for one in (wrong.get("Allow") or "").split(",")}
        that(
            {"GET", "PATCH", "DELETE"} <= allow,
            f"Allow = {wrong.get('Allow')!r}",
            "GET, HEAD, PATCH, DELETE …",
        )
        for method_, target, body, right in (
            ("PATCH", "/tasks/999999", b'{"done": true}', 404),
            ("GET", "/nowhere", b"", 404),
            ("POST", "/tasks", b'{"title": ""}', 400),
            ("POST", "/tasks", b"{", 400),
        ):
            problem = client.request(method_, target, kind, body)
            expect(f"status of {method_} {target} {body.decode()}", problem.status, right)
            said = parsed_json(problem.body)
            told = isinstance(said, dict) and isinstance(said.get("error"), str) and said["error"]
            that(told, f"body = {problem.body!r}", '{"error": "…"}, in JSON')
        problem = client.request("POST", "/tasks", [("Content-Type", "text/plain")], b"Ada")
        expect("status of POST with text/plain", problem.status, 415)
        gone = client.request("DELETE", at)
        expect("status of DELETE", gone.status, 204)
        expect("status after DELETE", client.get(at).status, 404)
    data = rng.randbytes(3000)
    mark = boundary(rng)
    sent = multipart(mark, (disposition("note"), b"Ada"), (disposition("photo", "ada.png"), data))
    answer = front.request(
        "POST", "/paperwork/forms", [("Content-Type", f"multipart/form-data; boundary={mark}")], sent
    )
    expect("status of POST /paperwork/forms", answer.status, 200)
    seen = parsed_json(answer.body)
    form, files = (seen.get("form"), seen.get("files")) if isinstance(seen, dict) else (None, None)
    expect("form", form, {"note": ["Ada"]})
    that(
        files and files[0][3] == hashlib.sha256(data).hexdigest(),
        f"files = {files!r}",
        "ada.png, byte for byte",
    )
