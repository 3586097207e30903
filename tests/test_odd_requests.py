"""Labs 2, 4, 8, 10, 16 to 18: what a client may get wrong is 4xx, not 500; what it may say is understood."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workshop.paths import APPS, LABS, SOLUTIONS

DIGITS = "9" * 5000

CALL = """
import asyncio, importlib, io, json, sys

def wsgi(app, method, path, query="", body=b"", headers=()):
    seen = []
    environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
               "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
               "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.errors": sys.stderr,
               "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)),
               "CONTENT_TYPE": "application/json", **dict(headers)}
    def start(status, fields, exc_info=None):
        seen[:] = [int(status[:3]), fields]
    got = app(environ, start)
    data = b"".join(got)
    getattr(got, "close", lambda: None)()
    return seen[0], data

def asgi(app, method, path, query="", body=b"", headers=()):
    seen = []
    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
             "method": method, "scheme": "http", "path": path, "raw_path": path.encode(),
             "query_string": query.encode(), "root_path": "", "state": STATE,
             "headers": [(b"content-type", b"application/json"), *headers]}
    async def call():
        events = [{"type": "http.request", "body": body}]
        async def receive():
            return events.pop() if events else await asyncio.Event().wait()
        async def send(message):
            seen.append(message)
        await app(scope, receive, send)
    asyncio.run(call())
    return seen[0]["status"], b"".join(one.get("body", b"") for one in seen[1:])

STATE = {}
"""

BODIES = """
BODIES = [b'[' * 60000, b'{"title": "\\\\ud800"}', b'{"title": "\\xed\\xa0\\x80"}', b'{"title": 1e999}',
          b'{"title": NaN}', b'{"title": "Ada", "note": NaN}', b'{"title": "Ada", "note": -Infinity}',
          b'{"title": ' + b'9' * 5000 + b'}']
"""

TASKS = {
    "04-wsgi-app": "from app import application; call = lambda *a: wsgi(application, *a)",
    "08-wsgi-request-response": "from wrappers import application; call = lambda *a: wsgi(application, *a)",
    "10-asgi-app": "from app import app; call = lambda *a: asgi(app, *a)",
    "18-mini-framework": "from tasks_framework import app, Tasks; STATE['tasks'] = Tasks();"
    "call = lambda *a: asgi(app, *a)",
}


def run(lab: str, code: str, *words: str) -> Any:
    """What a program prints as JSON, with a lab's reference and the applications on its path."""
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, [SOLUTIONS / lab, APPS, LABS / lab / "apps"])),
    }
    done = subprocess.run(
        [sys.executable, "-c", CALL + code, *words],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("lab", TASKS)
def test_a_body_that_is_no_task_is_4xx(lab: str) -> None:
    ask = "print(json.dumps([call('POST', '/tasks', '', body)[0] for body in BODIES]))"
    statuses = run(lab, f"{BODIES}\n{TASKS[lab]}\n{ask}")
    assert all(status in (400, 422) for status in statuses), statuses


@pytest.mark.parametrize("lab", TASKS)
def test_thousands_of_digits_in_a_path_are_4xx(lab: str) -> None:
    ask = "print(json.dumps([call(m, '/tasks/' + sys.argv[1])[0] for m in ('GET', 'DELETE')]))"
    statuses = run(lab, f"{TASKS[lab]}\n{ask}", DIGITS)
    assert all(status in (404, 422) for status in statuses), statuses


@pytest.mark.parametrize("lab", ["10-asgi-app", "18-mini-framework"])
@pytest.mark.parametrize("seconds", ["nan", "-1", "ada", DIGITS])
def test_a_report_of_odd_seconds_is_no_accident(lab: str, seconds: str) -> None:
    ask = "print(json.dumps(call('GET', '/report', 'seconds=' + sys.argv[1])[0]))"
    assert run(lab, f"{TASKS[lab]}\n{ask}", seconds) in (200, 400, 422, 503)


def test_lab_18_limits_of_thousands_of_digits() -> None:
    ask = "print(json.dumps(call('GET', '/tasks', 'limit=' + sys.argv[1])[0]))"
    assert run("18-mini-framework", f"{TASKS['18-mini-framework']}\n{ask}", DIGITS) == 422


def test_lab_8_ranges_of_thousands_of_digits() -> None:
    code = """
from wrappers import range_of, HTTPError
far = sys.argv[1]
def asked(text):
    try:
        return range_of(text, 10)
    except HTTPError as error:
        return error.status
print(json.dumps([asked(one % far) for one in
                  ("bytes=2-%s", "bytes=%s-", "bytes=-%s", "bytes=%s-3", "bytes=000%s-")]))
"""
    assert run("08-wsgi-request-response", code, DIGITS) == [[2, 10], 416, [0, 10], 416, 416]


def test_lab_8_json_is_never_what_no_client_reads() -> None:
    code = """
from wrappers import json_response
try:
    print(json.dumps(json_response({"x": float("nan")}).status))
except ValueError:
    print(json.dumps("refused"))
"""
    assert run("08-wsgi-request-response", code) == "refused"


def test_lab_8_json_with_half_a_surrogate_pair_is_refused_whoever_asks() -> None:
    code = """
from wrappers import HTTPError, Request
def parsed(body):
    said = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
    try:
        return Request({**said, "wsgi.input": io.BytesIO(body)}).json()
    except HTTPError as error:
        return error.status
print(json.dumps([parsed(one) for one in (rb'["\\ud800"]', rb'["\\uDFFF"]', rb'["\\ud83d\\ude00"]')]))
"""
    assert run("08-wsgi-request-response", code) == [400, 400, ["\U0001f600"]]


def test_lab_8_a_date_in_another_zone_is_that_moment() -> None:
    code = """
from wrappers import _utc
print(json.dumps(_utc("Wed, 21 Oct 2015 09:28:00 +0200") - _utc("Wed, 21 Oct 2015 07:28:00 GMT")))
"""
    assert run("08-wsgi-request-response", code) == 0


SUFFIXES = {
    "export.csv": ["text/csv; charset=utf-8", None],
    "export.csv.gz": ["text/csv; charset=utf-8", "gzip"],
    "export.tar.gz": ["application/x-tar", "gzip"],
    "page.html.br": ["text/html; charset=utf-8", "br"],
    "page.svg.xz": ["application/x-xz", None],
    "page.svg.bz2": ["application/x-bzip2", None],
    "nothing": ["application/octet-stream", None],
}


def test_lab_8_a_file_of_two_suffixes_says_both(tmp_path: Path) -> None:
    for name in SUFFIXES:
        (tmp_path / name).write_bytes(b"x")
    code = """
from pathlib import Path
from wrappers import file
said = {}
for path in Path(sys.argv[1]).iterdir():
    answer = file(path)
    said[path.name] = [answer.headers.get("Content-Type"), answer.headers.get("Content-Encoding")]
    answer.body.close()
explicit = file(Path(sys.argv[1]) / "export.csv.gz", "application/gzip")
said["explicit"] = [explicit.headers.get("Content-Type"), explicit.headers.get("Content-Encoding")]
explicit.body.close()
print(json.dumps(said))
"""
    wanted = {**SUFFIXES, "explicit": ["application/gzip", None]}
    assert run("08-wsgi-request-response", code, str(tmp_path)) == wanted


COOKIES = {
    "a=1; Max-Age=soon": {"a": "1"},
    "a=1; Max-Age=": {"a": "1"},
    "a=1; Max-Age=+0": {"a": "1"},
    f"a=1; Max-Age={DIGITS}": {"a": "1"},
    f"a=1; Max-Age=-{DIGITS}": {},
    "a=1; Max-Age=000": {},
    "a=1; Max-Age=soon; Expires=Thu, 01 Jan 1970 00:00:00 GMT": {},
    "a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT": {"a": "1"},
    "a=1; Max-Age=0; Max-Age=60": {"a": "1"},
    "a=1; Max-Age=0; Max-Age=soon": {},
    "a=1; Expires=never": {"a": "1"},
    "a=1; Expires=": {"a": "1"},
    "a=1; Expires=Thu, 99 Jan 2020 25:00:00 GMT": {"a": "1"},
    "a=1; Expires=Thu, 01 Jan 1970 00:00:00": {},
    "a=1; expires=Thursday, 01-Jan-70 00:00:00 GMT": {},
    " a = 1 ; Path = /": {"a": "1"},
    "a=1=2; =; ;;": {"a": "1=2"},
    "no pair": {},
    "=1": {},
}


def test_lab_16_ignores_what_cannot_be_read_in_a_cookie() -> None:
    """RFC 6265 §5.2."""
    code = """
from client import Client
said = []
for one in json.loads(sys.argv[1]):
    client = Client()
    client.remember([("Set-Cookie", one)])
    said.append(client.cookies)
print(json.dumps(said))
"""
    assert run("16-testing", code, json.dumps(list(COOKIES))) == list(COOKIES.values())


ROOTS = {
    ("/api", "/api/1"): ["/api", "/1"],
    ("/api", "/api"): ["/api", ""],
    ("/api", "/apiary/1"): ["/api", "/apiary/1"],
    ("/api/", "/api/1"): ["/api", "/1"],
    ("", "/api/1"): ["", "/api/1"],
    ("/", "/api/1"): ["", "/api/1"],
}


@pytest.mark.parametrize(("root", "path"), ROOTS)
def test_a_mount_ends_where_a_segment_ends(root: str, path: str) -> None:
    """RFC 3875 §4.1.5: the adapter of lab 17, the mounts of labs 3 and 18."""
    scope = f"{{'type': 'http', 'method': 'GET', 'path': {path!r}, 'root_path': {root!r}}}"
    more = "{'query_string': b'', 'http_version': '1.1', 'headers': []}"
    code = f"from translations import environ_of\nenviron = environ_of({{**{scope}, **{more}}}, None)\n"
    code += "print(json.dumps([environ['SCRIPT_NAME'], environ['PATH_INFO']]))"
    assert run("17-middleware-composition", code) == ROOTS[root, path]
    code = f"from framework import local_path\nprint(json.dumps(local_path({scope})))"
    assert run("18-mini-framework", code) == ROOTS[root, path][1]


def test_lab_3_mounts_below_a_mount_end_where_a_segment_ends() -> None:
    code = """
from mounts import asgi_mounts
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["root_path"].encode()})
def asked(root, path):
    outer = asgi_mounts({"/in": app})
    async def under(scope, receive, send):
        await outer({**scope, "root_path": root}, receive, send)
    return asgi(under, "GET", path)[0]
print(json.dumps([asked("/api", "/api/in"), asked("/ap", "/api/in"), asked("/api/", "/api/in/x")]))
"""
    assert run("03-inside-the-frameworks", code) == [200, 404, 200]


STREAMS = {
    "10-asgi-app": """
from app import stream
async def application(scope, receive, send):
    await stream(scope, receive, send, [], pieces())
""",
    "18-mini-framework": """
from framework import StreamingResponse
async def application(scope, receive, send):
    await StreamingResponse(pieces())(scope, receive, send)
""",
}
OWN = """
async def pieces():
    yield b"half"
    if sys.argv[1] == "own":
        raise OSError("the disk")
    yield b"more"

async def leaves(scope, receive, send):
    sent = []
    async def sending(message):
        sent.append(message)
        if sys.argv[1] == "left" and len(sent) > 2:
            raise OSError("the client left")
        await send(message)
    await application(scope, receive, sending)

try:
    asgi(leaves, "GET", "/")
    print(json.dumps("quiet"))
except BaseException as error:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    print(json.dumps(str(error)))
"""


@pytest.mark.parametrize("lab", STREAMS)
def test_an_os_error_of_the_application_is_not_a_client_that_left(lab: str) -> None:
    assert run(lab, STREAMS[lab] + OWN, "own") == "the disk"
    assert run(lab, STREAMS[lab] + OWN, "left") == "quiet"


NO_CONTENT = """
from framework import App, HTTPException, Response, StreamingResponse
app = App()

@app.get("/raised")
async def raised():
    raise HTTPException(int(sys.argv[1]), "words")

@app.get("/made")
async def made():
    return Response("words", int(sys.argv[1]), {"Content-Length": "5", "ETag": '"1"'})

@app.get("/streamed")
async def streamed():
    async def pieces():
        yield b"words"
    return StreamingResponse(pieces(), int(sys.argv[1]))

@app.route("/route", ["GET"], int(sys.argv[1]))
async def route():
    return {"some": "words"}

heads = []
async def watched(scope, receive, send):
    async def sending(message):
        if message["type"] == "http.response.start":
            heads.append([name.decode() for name, _ in message["headers"]])
        await send(message)
    await app(scope, receive, sending)

said = [asgi(watched, "GET", path) for path in ("/raised", "/made", "/streamed", "/route")]
print(json.dumps([[status, body.decode(), "content-length" in head]
                  for (status, body), head in zip(said, heads)]))
"""


@pytest.mark.parametrize("status", ["204", "205", "304"])
def test_lab_18_sends_no_content_where_there_is_none(status: str) -> None:
    """RFC 9110 §15.3.5, §15.3.6, §15.4.5; a 304 that names a length ends connections under httptools."""
    assert run("18-mini-framework", NO_CONTENT, status) == [[int(status), "", False]] * 4


def test_lab_2_sends_no_content_with_a_205() -> None:
    """RFC 9110 §15.3.6; its length says so."""
    code = "from http_text import build_response\n"
    code += "print(json.dumps(build_response(205, [], b'form').decode().partition('\\r\\n\\r\\n')[::2]))"
    head, content = run("02-http-is-text", code)
    assert head.endswith("\r\nContent-Length: 0")
    assert content == ""


@pytest.mark.parametrize("coding", ["", " , "])
def test_lab_2_takes_an_empty_transfer_encoding_for_no_length(coding: str) -> None:
    """RFC 9112 §6.1, §6.3: Content-Length does not count beside it."""
    code = """
from http_text import body_length, read_content
from messages import Refused, Request, Response

fields = [("Host", "a"), ("Transfer-Encoding", sys.argv[1])]
if sys.argv[2]:
    fields.append(("Content-Length", "3"))
said = []
for read in (lambda: body_length(Request("POST", "/", "HTTP/1.1", fields)),
             lambda: list(read_content(None, Response(200, "OK", "HTTP/1.1", fields), "GET"))):
    try:
        said.append(read())
    except Refused as refused:
        said.append(refused.status)
print(json.dumps(said))
"""
    assert run("02-http-is-text", code, coding, "") == [400, 501]
    assert run("02-http-is-text", code, coding, "length") == [400, 501]
