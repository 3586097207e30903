"""Lab 2's checks ask `fetch` for what the scripted server says (apps/scripted_server.py)."""

import base64

import h11
from parsed_requests import CRLF
from request_streams import chunk

from workshop.judge.checks import Thing, expect, fail, made, show_bytes, that


def framings(body):
    """What a server says, to which method, whether it stays, and the (status, body) that this means."""
    ok = b"HTTP/1.1 200 OK\r\nX-Note: voil\xc3\xa0\r\nx-note: b\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    coded = b"Transfer-Encoding: Chunked\r\n\r\n" + chunk(body) + chunk(body, b"0%X", b";x")
    coded += b"0\r\nX-Total: 2\r\n\r\n"
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 199 \r\n\r\n"
    return [
        ("Content-Length", ok + length + body, "GET", True, (200, body)),
        ("Content-Length, and more behind it", ok + length + body + b"more", "GET", True, (200, body)),
        ("Content-Length: 0", ok + b"content-length:0\r\n\r\n", "GET", True, (200, b"")),
        ("chunks", ok + coded, "GET", True, (200, body * 2)),
        ("chunks and Content-Length", ok + b"Content-Length: 3\r\n" + coded, "GET", True, (200, body * 2)),
        ("neither: up to the end", ok + CRLF + body * 2, "GET", False, (200, body * 2)),
        ("HEAD", ok + length, "HEAD", True, (200, b"")),
        ("HEAD, of chunks", ok + b"Transfer-Encoding: chunked\r\n\r\n", "HEAD", True, (200, b"")),
        ("204", b"HTTP/1.1 204 No Content\r\n\r\n", "GET", True, (204, b"")),
        ("304, of chunks", b"HTTP/1.1 304 \r\nTransfer-Encoding: chunked\r\n\r\n", "GET", True, (304, b"")),
        ("304", b"HTTP/1.1 304 Not Modified\r\n" + length, "GET", True, (304, b"")),
        ("1xx first", early + ok + length + body, "GET", True, (200, body)),
        ("no reason", b"HTTP/1.1 404 \r\n" + length + body, "GET", True, (404, body)),
        ("HTTP/1.0", b"HTTP/1.0 200 OK\r\n" + length + body, "GET", True, (200, body)),
    ]


def half_answers(whole, body):
    """What a server says before it closes that is no response, or not the whole one."""
    coded = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [
        ("a body cut short", whole[:-3]),
        ("no body at all", whole[: -len(body)]),
        ("a head cut short", whole[:30]),
        ("nothing", b""),
        ("a chunk cut short", coded + chunk(body)[:-5]),
        ("no last chunk", coded + chunk(body)),
        ("no chunk size", coded + b"zz\r\n" + body + CRLF + b"0\r\n\r\n"),
        ("no HTTP", b"Hello, " + body + b"\r\n\r\n"),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nAda"),
    ]


def say(client, data, piece=0, hold=False):
    """The URL that makes the parrot say these bytes."""
    text = base64.urlsafe_b64encode(data).decode("ascii")
    return f"{url_of(client)}/say/{text}?piece={piece}&hold={int(hold)}"


def url_of(client):
    """The service's URL for the learner's process, which is beside it in both modes."""
    return f"http://127.0.0.1:{client.address.port}"


def fetched(probe, url, sent, verb="GET"):
    """What fetch returned for the URL; `sent` says which bytes are there."""
    seen = probe.steps(made("http_text:fetch", url, verb), sent=sent)
    if seen.raised:
        said = f"it raised {seen.raised['type']}: {seen.raised['message']}"[:300]
        fail(said, "a Response", sent=sent)
    value = seen.values[-1]
    that(isinstance(value, Thing) and value.type == "Response", f"{value!r}"[:300], "a Response", sent=sent)
    return value


def expect_status_line(answer, data, what, sent):
    """Version and reason are those of the final response; the reason may have spaces in it, or be empty."""
    lines = [line for line in data.split(CRLF) if line.startswith(b"HTTP/") and b" 1" not in line[:10]]
    version, _, reason = lines[0].decode("latin-1").split(" ", 2)
    expect(f"{what}: (version, reason)", (answer.version, answer.reason), (version, reason), sent=sent)


def expect_request(heard, verb, target, host, sent):
    """The bytes that a server heard must be one whole request."""
    that(isinstance(heard, bytes), f"body = {heard!r}"[:200], "bytes", sent=sent)
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(heard)
    try:
        request = reader.next_event()
    except h11.RemoteProtocolError as error:
        fail(f"the server heard {show_bytes(heard)}     {error}", "a request", sent=sent)
    that(isinstance(request, h11.Request), f"the server heard {show_bytes(heard)}", "a whole head", sent=sent)
    expect("the method that the server heard", request.method.decode(), verb, sent=sent)
    expect("the target that the server heard", request.target.decode(), target, sent=sent)
    hosts = [value.decode() for key, value in request.headers if key == b"host"]
    expect("Host", hosts, [host], "with the port, when it is not 80", rule="RFC 9110 §7.2", sent=sent)


def refuse_url(probe, url, why, rule):
    raised = probe.raises("http_text:fetch", url)
    sent = f"fetch({url!r})"
    if raised is None:
        fail("it was fetched", f"ValueError: {why}", rule=rule, sent=sent)
    said = f"it raised {raised['type']}: {raised['message']}"[:300]
    that("ValueError" in raised["bases"], said, f"ValueError: {why}", rule=rule, sent=sent)
