"""What an instance knows of who asks, which one was asked, and what deploy.toml says of it."""

import random
import time
import tomllib
from collections.abc import Callable

from nginx_conf_text import not_kept_before_1_29_7, same_for_all_clients
from site_visits import PATIENCE, Fields, Known, events, member, room_name, site_json

from workshop.judge.checks import Client, Probe, expect, made, method, request_bytes, that
from workshop.judge.stack import Stack

Service = Callable[[str], Client]
INSTANCES = ("one", "two")
LONGEST_DRAIN = 5  # seconds, as deploy.toml has them
PROXY = "nginx, ngx_http_proxy_module"
INHERITED = f'{PROXY}, "proxy_set_header": inherited only where a level has none of its own'
NGINX = "nginx.conf: what nginx passes on, and to whom"
DEPLOY = "deploy.toml, which instance.py reads"


def last(known: Known, field: str) -> str:
    """The last value of a field that reached the instance: the one that the nearest hop wrote."""
    values = [value for key, value in known["headers"] if key == field]
    return ", ".join(values).rpartition(",")[2].strip()


def every(known: Known, field: str) -> str:
    return ", ".join(value for key, value in known["headers"] if key == field)


def taken_by(service: Service, token: str) -> str:
    """The instance that has a request in its hands, by the note that it made."""
    end = time.monotonic() + PATIENCE
    while True:
        noted = site_json(service("one").get(f"/attempts?token={token}"))
        if noted:
            return str(noted[0])
        that(time.monotonic() < end, "the request reached no instance", "a request that reaches an instance")
        time.sleep(0.02)


def is_hole(front: Client, target: str) -> bool:
    """Whether a location is still to be written: that is a later task's, and checked there."""
    with front.connect(target=target) as wire:
        wire.send(request_bytes("GET", target))
        answer, _ = wire.stream()
    return answer.status == 501


def is_over(stack: Stack, instance: str) -> None:
    """Wait until a process that was killed is gone, and its sockets with it."""
    end = time.monotonic() + PATIENCE
    while stack.ask("status", service=instance)["state"] == "running":
        that(time.monotonic() < end, f"instance {instance} still runs after SIGKILL", "its exit")
        time.sleep(0.01)


def text_of(probe: Probe, name: str) -> str:
    """One of the two files that are judged, as it is."""
    seen = probe.steps(method(made("pathlib:Path", name), "read_text"), sent=f"{name}, as it is")
    return str(seen.values[-1]) if seen.values else ""


def keeps_with_every_nginx(probe: Probe) -> None:
    """That nginx.conf doesn't leave it to the defaults of one nginx whether connections are kept."""
    missing = not_kept_before_1_29_7(text_of(probe, "nginx.conf"))
    that(
        not missing,
        got=missing,
        expected="connections that every nginx keeps: before 1.29.7 that takes `keepalive` in the upstream, "
        "`proxy_http_version 1.1`, and a Connection header that is empty for ordinary requests",
        where=NGINX,
    )


def counts_each_client(probe: Probe) -> None:
    """That the limit of streams is one client's: all requests here come from one address, so read it."""
    same = same_for_all_clients(text_of(probe, "nginx.conf"))
    that(
        not same,
        got=f"connections are counted by {same}, which all clients have in common",
        expected="a limit_conn_zone by $binary_remote_addr: eight streams for each client, "
        "not for all of them together",
        where=NGINX,
    )


def drain_is_short(probe: Probe) -> None:
    """That deploy.toml gives requests no longer than a response may take."""
    try:
        said = tomllib.loads(text_of(probe, "deploy.toml")).get("drain_seconds")
    except ValueError:
        said = None
    that(
        type(said) is int and said <= LONGEST_DRAIN,
        got=f"drain_seconds = {said!r}",
        expected=f"at most {LONGEST_DRAIN}: no response takes longer, and an open event stream "
        "delays the exit by all of it",
        where=DEPLOY,
    )


def other_than(instance: str) -> str:
    return next(one for one in INSTANCES if one != instance)


def spoofing(rng: random.Random) -> tuple[str, list[Fields]]:
    """An address that is nobody's (RFC 5737), and requests that claim to come from there."""
    lie = f"203.0.113.{rng.randrange(1, 255)}"
    two = [("X-Forwarded-For", lie), ("X-Forwarded-For", lie)]
    more = [("X-Real-IP", lie), ("Forwarded", f"for={lie};proto=https")]
    return lie, [[("X-Forwarded-For", lie)], [("x-forwarded-for", f"10.0.0.1, {lie}"), *more], two]


def must_know(known: Known, client: str, lie: str, where: str) -> None:
    """That an instance knows the client's real address, and believes nothing that the client said of it."""
    got = last(known, "x-forwarded-for")
    that(
        got,
        f"no X-Forwarded-For at the instance, {where}",
        f"X-Forwarded-For ending in {client}: the address that nginx saw. (A location with one "
        "proxy_set_header of its own, even Connection, inherits none of the server's)",
    )
    that(
        got == client,
        f"X-Forwarded-For: {every(known, 'x-forwarded-for')}, {where}, when the client had sent {lie}",
        f"{client} at its end: the address that nginx saw, which the instance trusts. (A location with one "
        "proxy_set_header of its own, even Connection, inherits none of the server's)",
    )
    for field in ("x-real-ip", "forwarded"):
        said = every(known, field)
        that(lie not in said, f"{field}: {said}, {where}", f"nothing that the client made up in {field}")


def stream_knows_its_client(front: Client, rng: random.Random, client: str) -> None:
    lie, requests = spoofing(rng)
    fields = [*rng.choice(requests), ("X-Forwarded-Proto", "https")]
    with events(front, fields) as (_, hello):
        scheme_and_client_are_known(hello, client, lie, "for GET /events")


def room_knows_its_client(front: Client, rng: random.Random, client: str) -> None:
    lie, requests = spoofing(rng)
    fields = [*rng.choice(requests), ("X-Forwarded-Proto", "https")]
    with member(front, room_name(rng), "Ada", fields) as (_, welcome):
        scheme_and_client_are_known(welcome, client, lie, "for a WebSocket in /rooms/")


def scheme_and_client_are_known(known: Known, client: str, lie: str, where: str) -> None:
    must_know(known, client, lie, where)
    got = every(known, "x-forwarded-proto")
    expect(f"X-Forwarded-Proto, {where}", got, "http", "as nginx was asked", rule=INHERITED)


ABSOLUTE = "RFC 9112 §3.2.2"


def unusual_requests(front: Client, asked: str, lie: str) -> None:
    """A target with a host in it, and an HTTP/1.0 client without Host."""
    absolute = f"GET http://{asked}:8080/whoami HTTP/1.1\r\nHost: {lie}\r\nConnection: close\r\n\r\n"
    known = site_json(front.send(absolute.encode()))
    why = "the target's host: it overrides Host"
    expect("Host at the instance", str(known["host"]).lower().partition(":")[0], asked, why, rule=ABSOLUTE)
    host = every(known, "x-forwarded-host")
    that(lie not in host, f"X-Forwarded-Host: {host}", f"{asked}, or no such header", rule=ABSOLUTE)
    old = front.send(b"GET /whoami HTTP/1.0\r\n\r\n")
    got = f"{old.line} for GET /whoami HTTP/1.0, which has no Host"
    that(old.status == 200, got, "200: an HTTP/1.0 client need not send Host, but nginx must (RFC 9112 §3.2)")
