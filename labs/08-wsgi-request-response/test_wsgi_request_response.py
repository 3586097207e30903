"""Lab 8: what comes in and what goes out, as objects.

What is called, and what came of it, is in checks/wrapper_calls.py; long tables and bodies are beside it.
"""

import json
from urllib.parse import quote_plus, unquote, urlencode, urlsplit

from body_limits import bodies_without_length, forms_within_limits, lengths_are_read
from conditional_responses import responses_are_conditional
from cookie_lines import (
    comes_back,
    cookie_fields,
    is_over,
    no_age_is_an_age,
    nothing_gets_into_cookies,
    set_cookies,
    split_cookie,
)
from multipart_forms import (
    boundaries_of_any_length,
    boundary,
    broken_forms,
    disposition,
    forms_are_their_own,
    kind_of,
    large_forms,
    multipart,
)
from precondition_table import preconditions
from range_requests import byte_ranges, conditional_ranges, is_part, odd_ranges
from response_streams import streams_pass_through
from sent_files import files_are_sent
from task_handlers import handlers_by_hand, lock_is_given_back
from tasks_api_calls import speaks_the_tasks_api
from upload_files import (
    close_lets_go_of_uploads,
    form_arrives,
    memory_for_a_file,
    refused_forms_leave_nothing,
    wsgi_lets_go_of_uploads,
)
from wrapper_calls import (
    answered,
    dated,
    each,
    environ,
    field,
    fields,
    latin,
    of,
    parsed_json,
    part,
    refused,
    refuses,
    request,
    response,
    status_is,
    told,
    values,
    with_body,
    word,
)

from workshop.judge.checks import check, expect, made, method, name, named, that, wire_cases

FAR_NAMES = ("Zoë", "Łukasz", "Aşkın", "Νίκη", "Юлия", "明", "José")
YEAR = 365 * 24 * 3600
LONG_AGO = 784_111_777  # Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples
LITTLE = 4 * 1024 * 1024  # bytes: many pieces of 64 KiB, and a third of the upload


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
    empty = environ(CONTENT_TYPE="", CONTENT_LENGTH="", HTTP_X_NONE="", HTTP_X_LAST=ident)
    names = ("Content-Type", "X-None", "X-Last")
    seen = probe.steps(request(empty), *[method(heads, "get", one) for one in names])
    got, none, last = values(seen, 3)
    that(not got, f"Content-Type = {got!r}", "None     an empty CONTENT_TYPE means that the request had none")
    expect("X-None", none, "", "HTTP_X_NONE is empty: a header may be, and it is there")
    expect("X-Last", last, ident, "also after an empty CONTENT_TYPE in the environ")


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
    calls = [(f"Request(…).query of {query!r}", of(environ(query=query), "query")) for query, _ in cases]
    for (query, right), (got, sent) in zip(cases, each(probe, calls), strict=True):
        expect(f"query of {query!r}", got, right, sent=sent)
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
    cases = cookie_fields(one, two, key)
    calls = [(f"Cookie: {one}", of(environ(HTTP_COOKIE=one), "cookies")) for one, *_ in cases]
    for (line, right, why), (got, sent) in zip(cases, each(probe, calls), strict=True):
        expect(f"cookies of {line!r}", got, right, why, sent=sent)
    (got,) = values(probe.steps(request(environ()), part("cookies")), 1)
    expect("cookies without the header", got, {})


@check(task=1, rule='PEP 3333, "URL Reconstruction"')
def test_task1_url_is_what_the_client_asked_for(probe, rng):
    """url is the whole URL, in ASCII"""
    who, port, high = rng.choice(FAR_NAMES), rng.randrange(1025, 7999), rng.randrange(8001, 9999)
    local = {"HTTP_HOST": "", "SERVER_NAME": "tasks.example"}
    cases = [
        (environ(HTTP_HOST=f"tasks.example:{port}"), f"http://tasks.example:{port}/"),
        (environ(path=f"/{latin(who)} ?", SCRIPT_NAME="/v1"), f"http://localhost/v1/{who} ?"),
        (environ(query="a=%2F&b=2"), "http://localhost/?a=%2F&b=2"),
        (environ(**local, SERVER_PORT=str(port)), f"http://tasks.example:{port}/"),
        (environ(**local, SERVER_PORT=str(high)), f"http://tasks.example:{high}/"),
        (environ(**local), "http://tasks.example/"),
        (environ(**local, SERVER_PORT="443", **{"wsgi.url_scheme": "https"}), "https://tasks.example/"),
    ]
    for asked, _ in cases:
        if not asked["HTTP_HOST"]:
            del asked["HTTP_HOST"]
    calls = [(f"Request({told(asked)}).url", of(asked, "url")) for asked, _ in cases]
    for (_, right), (got, sent) in zip(cases, each(probe, calls), strict=True):
        text = str(got)
        encoded = "ASCII: the path is percent-encoded again"
        that(text.isascii() and " " not in text, f"url = {got!r}", encoded, sent=sent)
        parts = urlsplit(text)
        query = f"?{parts.query}" if parts.query else ""
        said = f"{parts.scheme}://{parts.netloc}{unquote(parts.path)}{query}"
        that(said == right, f"url = {got!r}", f"url, decoded, = {right!r}", sent=sent)


# --- task 2 -----------------------------------------------------------------------------------------


@check(task=2, rule='PEP 3333, "Input and Error Streams"')
def test_task2_a_body_is_read_once_and_json_is_parsed(probe, rng):
    """A body is read once, and not past its end; JSON, 415 and 400"""
    task = {"title": name(rng), "done": rng.choice([True, False]), "who": rng.choice(FAR_NAMES), "cost": 2.5}
    data = json.dumps(task, ensure_ascii=False).encode()
    asked = with_body(data, "Application/JSON; charset=utf-8")  # RFC 9110 §8.3.1: types have no case
    asked["wsgi.input"] = made("io:BytesIO", data + b" and the next request")
    first, second, parsed = values(
        probe.steps(request(asked), part("body"), part("body"), method(named("request"), "json")), 3
    )
    expect("body", first, data, "CONTENT_LENGTH bytes, whatever the stream would give")
    expect("body, read again", second, data, "the stream is empty now: keep what was read")
    expect("json()", parsed, task)
    parsed, body = values(probe.steps(request(asked), method(named("request"), "json"), part("body")), 2)
    expect("json()", parsed, task)
    expect("body after json()", body, data)
    form = f"title={word(rng)}&done=".encode()
    asked = with_body(form, "application/x-www-form-urlencoded")
    body, fields_ = values(probe.steps(request(asked), part("body"), part("form")), 2)
    expect("body", body, form)
    that(fields_, f"form after body = {fields_!r}", "the form: from the body that was read already")
    bodies_without_length(probe, data)
    call = method(named("request"), "json")
    for kind in ("text/plain", "application/cbor", "image/svg+xml", "application/json-seq"):
        refused(probe.steps(request(with_body(data, kind)), call), (415,), "RFC 9110 §15.5.16")
    refused(probe.steps(request(with_body(data[:-1], "application/json")), call), (400,), "not JSON")
    refused(probe.steps(request(with_body(b"\xff", "application/json")), call), (400,), "not UTF-8")


@check(task=2, rule="RFC 7578 §4")
def test_task2_forms_in_both_encodings(probe, rng):
    """Forms, urlencoded and multipart, in pieces of any size"""
    who, title = rng.choice(FAR_NAMES), name(rng)
    pairs = [("title", title), ("tag", "a b"), ("tag", who), ("note", ""), ("poem", " a\r\n\tb \r\n")]
    right = {"title": [title], "tag": ["a b", who], "note": [""], "poem": [" a\r\n\tb \r\n"]}
    asked = with_body(urlencode(pairs).encode(), "application/x-www-form-urlencoded")
    form, files = values(probe.steps(request(asked), part("form"), part("files")), 2)
    expect("form", form, right)
    expect("files", files, {}, "an urlencoded form has none")
    mark = boundary(rng)
    # Bytes that are nearly a boundary: the parser must not lose its place, nor the line breaks before it.
    near = f"\r\n--{mark[:-1]}\r\n-\r\r\n--\r\n".encode() + rng.randbytes(20) + b"\r\n"
    photo, twins = ("photo; x=1", f"{who}; ada.png", "image/png"), (near, near[:-2])  # two of one name
    sent = multipart(
        mark,
        *((disposition(key), value.encode()) for key, value in pairs),
        *((disposition(*photo[:2]) + "\r\ncontent-type: image/png", data) for data in twins),
        (disposition("empty", ""), b""),
    )
    uploads = [*([*photo, data] for data in twins), ["empty", "", "text/plain", b""]]
    # RFC 2046 §5.1.1: a part without content ends at its empty line, whose break is the boundary's as well.
    bare = f"--{mark}\r\n{disposition('bare').lower()}\r\n\r\n".encode()
    sent, right = (bare + sent).removesuffix(b"\r\n"), right | {"bare": [""]}
    sorts = (f"multipart/form-data; boundary={mark}", f'Multipart/Form-Data; Boundary="{mark}"')
    for before, sort in zip((b"", b"a preamble\r\n"), sorts, strict=True):
        asked = environ("POST", CONTENT_TYPE=sort)
        for size in (1, rng.randrange(2, 9), 1 << 20):
            seen = probe.steps(
                made("form_handlers:parsed", asked, before + sent, size),
                sent=f"a form of {len(before + sent)} bytes, {sort}, {size} bytes at a time; "
                "the file `empty` has no Content-Type, the field `bare` not even a line break of its own",
            )
            (got,) = values(seen, 1)
            expect("form", got["form"], right, "every byte up to the boundary's line break, and no more")
            plain = [[*one[:2], kind_of(one), one[3]] for one in got["files"]]
            why = "name, filename, type, bytes: every byte up to the boundary's line break"
            expect("files", plain, uploads, why)
    for kind in ("text/plain", "application/json"):
        seen = probe.steps(request(with_body(b'"plain"', kind)), part("form"))
        if seen.raised is not None:
            refused(seen, (415,), f"or {{}}: {kind} isn't a form", rule="RFC 9110 §15.5.16")
            continue
        expect(f"form of {kind}", seen.values[-1], {}, "or HTTPError 415: it isn't a form")
    boundaries_of_any_length(probe)
    forms_are_their_own(probe)
    close_lets_go_of_uploads(probe, mark, near)


@check(task=2, rule="RFC 7578 §4.2, and common sense")
def test_task2_uploads_need_little_memory(probe, rng):
    """A file of twelve megabytes goes through little memory"""
    mark = boundary(rng)
    filler = rng.randbytes(1021).replace(b"\r", b"-")
    count = 12 * 1024 + rng.randrange(100)
    got = memory_for_a_file(probe, mark, filler, count)
    expect("the file's size", got["size"], len(filler) * count)
    little = got["peak"] < LITTLE and got["taken"] < got["sent"]
    most = max(got["peak"], got["taken"] if not little else 0)
    that(
        little,
        f"{most >> 10} KiB of memory at once, for a file of {got['sent'] >> 10} KiB",
        f"under {LITTLE >> 10} KiB: read a piece, write what can't be the boundary to a temporary file",
    )


@check(task=2, rule="RFC 9110 §15.5.14, §15.5.1")
def test_task2_limits_and_broken_bodies_have_their_status(probe, rng):
    """Too much is 413, broken is 400, and neither reads on"""
    mark = boundary(rng)
    kind = f"multipart/form-data; boundary={mark}"
    good = multipart(mark, (disposition("a"), b"1"), (disposition("b", "x"), b"2"))
    forms_within_limits(probe, kind, good)
    for data, sort, limits, why in large_forms(mark):
        words = f"request.form of {len(data)} bytes, Content-Type: {sort}, with {limits!r}: {why}"
        refused(probe.steps(request(with_body(data, sort), **limits), part("form"), sent=words), (413,), why)
    refused_forms_leave_nothing(probe, mark, good)
    for data, sort, why in broken_forms(mark, good):
        words = f"request.form of {data[:300]!r}, Content-Type: {sort}"
        refused(probe.steps(request(with_body(data, sort)), part("form"), sent=words), (400,), why)
    lengths_are_read(probe)


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
        expect(
            "Content-Type",
            kind,
            f"text/plain;charset={charset}",
            "the charset says how to decode those bytes",
        )
        expect("X-Id", field(seen, "x-id"), ident)
        expect("Link", fields(seen, "Link"), ["</a>", "</b>"], "repeats kept, in order")
        head = probe.wsgi(response(text, 201, pairs, charset=charset), "HEAD")
        answered(head)
        expect("body", head.body, b"", "a response to HEAD has headers only", rule="RFC 9110 §9.3.2")
        expect(
            "headers of HEAD",
            sorted(head.headers),
            sorted(seen.headers),
            "those of GET",
            rule="RFC 9110 §9.3.2",
        )
    answered(seen := probe.wsgi(response(text)))
    expect("Content-Length of a 200", field(seen, "Content-Length"), str(len(text.encode())), "bytes")
    seen = probe.wsgi(response(b"", 200, [("Content-Type", "text/html")]))
    answered(seen)
    kinds = fields(seen, "Content-Type")
    that(len(kinds) == 1, f"Content-Type = {kinds!r}", "one Content-Type", rule="RFC 9110 §5.3")
    kind = kinds[0].partition(";")[0]
    expect("Content-Type", kind, "text/html", "the one in `headers` replaces content_type")
    seen = probe.wsgi(response(rng.randbytes(9), 200, (), "image/png"))
    answered(seen)
    expect("Content-Type", field(seen, "Content-Type"), "image/png", "bytes that aren't text have no charset")
    answered(seen := probe.wsgi(response(status=204)))
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
        ("delete_cookie", ("old",), {"path": path, "domain": "tasks.example"}),
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
    expect("attributes that the call didn't name", extra, [])
    expect("Path", attributes.get("path"), "/", "without one, a cookie is for the request's folder only")
    pair, attributes = split_cookie(headers[2])
    that(pair.partition("=")[0] == "old", f"Set-Cookie: {headers[2]}", "the cookie named old")
    that(
        is_over(attributes),
        f"attributes = {attributes!r}",
        "Max-Age=0, or Expires in the past: how a cookie is deleted",
    )
    where = (attributes.get("path"), attributes.get("domain"))
    expect("path, domain", where, (path, "tasks.example"), "another path or domain is another cookie")
    for value in (f"{sid}; Path=/x", f'say "{sid}" \\ twice', rng.choice(FAR_NAMES), "a=b, c"):
        comes_back(probe, value)
    no_age_is_an_age(probe)


@check(task=3, rule="RFC 9110 §5.5")
def test_task3_nothing_can_be_smuggled_into_a_header(probe, rng):
    """Line breaks never reach a header, nor semicolons a cookie"""
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
    refuses(probe, response(b"", etag=f'"v1"\r\n{evil}'), "an etag with '\\r\\n'")
    nothing_gets_into_cookies(probe, evil, word(rng))


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
    who = rng.choice(FAR_NAMES)
    to = f"/tasks/{who}?q=a%20b&r=/#x"
    found = {one: made("wrappers:redirect", to, one) for one in (301, 302, 307, 308)}
    found[303] = made("wrappers:redirect", to)  # the usual one
    calls = [
        (f"redirect({to!r}, {one})", made("form_handlers:answer", found[one], environ())) for one in found
    ]
    for status, (got, sent) in zip(found, each(probe, calls), strict=True):
        expect("status", str(got["status"])[:3], str(status), sent=sent)
        location = next((value for key, value in got["headers"] if key.lower() == "location"), "")
        encoded = "ASCII: percent-encoded UTF-8"
        that(location.isascii(), f"Location = {location!r}", encoded, rule="RFC 3986 §2.1", sent=sent)
        expect("Location, decoded", unquote(location), f"/tasks/{who}?q=a b&r=/#x", sent=sent)
        kept = "%20" in location and "?q=" in location
        that(kept, f"Location = {location!r}", "what is encoded already stays as it is", sent=sent)
    refuses(probe, made("wrappers:redirect", "/a\r\nSet-Cookie: admin=1"), "a location with a line break")
    streams_pass_through(probe, [word(rng).encode() for _ in range(3)])


@check(task=4, rule="RFC 9110 §13.2.2")
def test_task4_preconditions_in_their_order(probe, rng):
    """If-Match, If-None-Match and the dates, by the table"""
    tag, other = f'"{word(rng)}"', f'"{word(rng)}x"'
    at = LONG_AGO + rng.randrange(10 * YEAR)
    same = dated(at)
    table = preconditions(tag, other, at)
    calls = [(f"precondition({row.words}, {at}), which is {same}", row.call(at)) for row in table]
    for row, (got, sent) in zip(table, each(probe, calls), strict=True):
        expect("precondition", got, row.right, row.why, sent=sent)
    responses_are_conditional(probe, word(rng).encode(), tag, other, at)


@check(task=4, rule="RFC 9110 §14.2")
def test_task4_ranges_of_bytes_and_of_files(front, probe, rng):
    """Ranges of bytes, of files, and If-Range"""
    size = rng.randrange(40, 90)
    data = rng.randbytes(size)
    tag, at = f'"{word(rng)}"', LONG_AGO + rng.randrange(10 * YEAR)
    start = rng.randrange(1, 20)
    last = start + rng.randrange(1, 15)
    kept = response(data, 200, (), "image/png", etag=tag, modified=at)
    bodies = {
        "bytes": lambda asked: made("form_handlers:answer", kept, asked),
        "a file": lambda asked: made("form_handlers:file_answer", data, at, asked),
    }
    for what, answer in bodies.items():
        asked = byte_ranges(start, last, size)
        calls = [(f"GET of {size} bytes ({what}), Range: {one.field}", answer(one.environ)) for one in asked]
        for one, (got, sent) in zip(asked, each(probe, calls), strict=True):
            is_part(got, one, data, sent)
    for one, (got, sent) in odd_ranges(probe, bodies["bytes"], size):
        status = str(got["status"])[:3]
        ignored = status in ("400", "416") or (status == "200" and got["body"] == data)
        that(ignored, f"status = {got['status']!r} for Range: {one}", "200 and the whole, or 416", sent=sent)
    conditions = conditional_ranges(tag, at, start, last)
    calls = [
        (f"{verb} with {more!r}, ETag {tag}", bodies["bytes"](asked)) for verb, asked, more, *_ in conditions
    ]
    for (verb, _, more, right, why), (got, sent) in zip(conditions, each(probe, calls), strict=True):
        expect(f"status of {verb} with {more!r}", str(got["status"])[:3], str(right), why, sent=sent)
        if right in (200, 206) and verb == "GET":
            expect("body", got["body"], data if right == 200 else data[start : last + 1], why, sent=sent)
    files_are_sent(probe, data, at)
    for case in wire_cases(__file__, "range-*.http"):
        answer = front.send(case.data)
        expect(f"status of {case.name}", answer.status, int(case.notes["status"]))
        expect("Content-Range", answer.get("Content-Range"), case.notes["content-range"])


# --- task 5 -----------------------------------------------------------------------------------------


@check(task=5, rule="RFC 9110 §9.3, §15")
def test_task5_the_tasks_api_again(front, service, probe, rng):
    """The tasks API over handlers, in the layers of lab 6, on the server of lab 5"""
    lock_is_given_back(probe)
    for client in (front, service("layered")):
        speaks_the_tasks_api(client, f"{rng.choice(FAR_NAMES)} {rng.randrange(9999)}")
    handlers_by_hand(probe)
    data, mark = rng.randbytes(3000), boundary(rng)
    sent = multipart(mark, (disposition("note"), b"Ada"), (disposition("photo", "ada.png"), data))
    form_arrives(front, mark, sent, data)
    wsgi_lets_go_of_uploads(probe, mark, data, sent)
