"""Handshakes from requests/*.http, with keys of their own, and the 101 that answers them, read by h11."""

from __future__ import annotations

import base64
import hashlib

import h11

from workshop.judge.checks import Deadline, NoAnswer, expect, fail, made, named, show_bytes, that

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HEAD_SECONDS = 5.0
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def with_key(case, key):
    """A wire case's bytes, with a key of its own for the RFC's example."""
    return case.data.replace(KEY, key)


def request_of(case, key):
    """A wire case as method, version and header fields, with a key of its own for the RFC's example."""
    first, *lines = with_key(case, key).partition(b"\r\n\r\n")[0].split(b"\r\n")
    verb, _, version = first.split(b" ")
    fields = [tuple(part.strip() for part in line.split(b":", 1)) for line in lines]
    return verb.decode(), version.removeprefix(b"HTTP/").decode(), fields


def new_key(rng):
    return base64.b64encode(rng.randbytes(16))


def proof(key):
    return base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()


def switch_of(data, what):
    """The fields of a 101, read by h11: (name in lower case, value)."""
    that(isinstance(data, bytes) and data.endswith(b"\r\n\r\n"), f"{what}: {data!r}"[:300], "a whole 101")
    reader = h11.Connection(h11.CLIENT)
    upgrade = [("Host", "x"), ("Upgrade", "websocket"), ("Connection", "upgrade")]
    reader.send(h11.Request(method="GET", target="/", headers=upgrade))
    reader.send(h11.EndOfMessage())
    reader.receive_data(data)
    try:
        event = reader.next_event()
    except h11.RemoteProtocolError as error:
        fail(f"{what}: {show_bytes(data, 200)} ({error})", "an HTTP response")
    that(
        isinstance(event, h11.InformationalResponse),
        f"{what}: {show_bytes(data, 200)}",
        "a whole 101 and no more",
    )
    expect(f"{what}: status", event.status_code, 101)
    expect(f"{what}: bytes after the 101", bytes(reader.trailing_data[0]), b"")
    return [(key.decode("latin-1"), value.decode("latin-1")) for key, value in event.headers]


def check_switch(fields, key, what, **more):
    """A 101's own fields; no extension in it."""
    found = dict(fields)
    why = "of this request's key"
    expect(f"{what}: Sec-WebSocket-Accept", found.get("sec-websocket-accept"), proof(key), why, **more)
    that(found.get("upgrade", "").lower() == "websocket", f"{what}: {fields}", "Upgrade: websocket", **more)
    that("upgrade" in found.get("connection", "").lower(), f"{what}: {fields}", "Connection: Upgrade", **more)
    extra = [pair for pair in fields if pair[0] == "sec-websocket-extensions"]
    why = "none is implemented, so none is accepted"
    expect(f"{what}: extensions", extra, [], why, **{**more, "rule": "RFC 6455 §9.1"})


def accepted(probe, request, *args):
    """read_handshake, then accept: the Offer, the 101's bytes, and what was raised."""
    seen = probe.steps(
        ("offer", made("frames:read_handshake", *request)), made("frames:accept", named("offer"), *args)
    )
    return [*seen.values, None, None][:2], seen.raised


def must_not_accept(probe, request, what, *args):
    """`accept` with these arguments must raise ValueError."""
    _, raised = accepted(probe, request, *args)
    got = f"{raised['type']}: {raised['message']}"[:200] if raised else "a 101"
    that(raised and "ValueError" in raised["bases"], f"accept with {what}: {got}", "ValueError")


def check_refusal(refused, notes, what, wanted, **more):
    """The status and the headers of a Refused."""
    status, headers = refused.get("status"), refused.get("headers") or []
    that(str(status) in notes["status"].split(" or "), f"{what}: status {status}", wanted, **more)
    pairs = [pair for pair in headers if isinstance(pair, list | tuple) and len(pair) == 2]
    odd = [pair for pair in headers if pair not in pairs or not all(isinstance(one, bytes) for one in pair)]
    that(not odd, f"{what}: headers {headers}"[:300], "pairs of bytes", **more)
    if "answer" in notes:
        field, _, value = notes["answer"].partition(": ")
        said = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in pairs}
        members = [one.strip() for one in said.get(field.lower(), "").split(",")]
        that(value in members, f"{what}: headers {headers}", f"{notes['answer']} in the answer", **more)


def odd_subprotocols(probe, request):
    """Subprotocols that are no tokens, or come twice: a server may take them, or say that they are wrong."""
    verb, version, fields = request
    for offered in (b"chat, (chat)", b"chat, chat"):
        offer = (b"Sec-WebSocket-Protocol", offered)
        seen = probe.steps(made("frames:read_handshake", verb, version, [*fields, offer]))
        error = seen.raised or {"bases": ["Refused"], "type": "nothing", "attributes": {"status": 400}}
        status = error["attributes"].get("status")
        that(
            "Refused" in error["bases"] and status == 400,
            f"Sec-WebSocket-Protocol: {offered.decode()}: it raised {error['type']}, with status {status}",
            "an Offer, or Refused with status 400: what the client sent is malformed",
            rule="RFC 6455 §4.1 (10.), §4.2.1",
            sent=f"a good handshake with Sec-WebSocket-Protocol: {offered.decode()}",
        )


def opened(client, key, target="/"):
    """A raw connection with a WebSocket on it."""
    link = client.connect(target=target, seconds=HEAD_SECONDS)
    lines = [f"GET {target} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key.decode()}", "Sec-WebSocket-Version: 13", "", ""]
    link.send("\r\n".join(lines).encode())
    return link


def response_head(link):
    """Everything up to the empty line, and what came after it."""
    try:
        while b"\r\n\r\n" not in link.received:
            if not link.read():
                raise NoAnswer("the connection closed without an answer", bytes(link.received))
    except Deadline:
        fail(
            f"no whole head in {HEAD_SECONDS:g} s, but {show_bytes(link.received)!r}",
            "an answer up to its empty line",
        )
    head, end, rest = bytes(link.received).partition(b"\r\n\r\n")
    status = head[9:12].decode("latin-1")
    that(status == "101", f"status {status} instead of the switch: {show_bytes(head, 160)}", "status 101")
    return head + end, rest
