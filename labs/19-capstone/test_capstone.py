"""Lab 19: an nginx.conf and a deploy.toml, judged by what two instances and their visitors see."""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path

from instance_facts import (
    DEPLOY,
    INHERITED,
    INSTANCES,
    NGINX,
    PROXY,
    Service,
    counts_each_client,
    drain_is_short,
    every,
    is_hole,
    is_over,
    keeps_with_every_nginx,
    must_know,
    other_than,
    room_knows_its_client,
    spoofing,
    stream_knows_its_client,
    taken_by,
    unusual_requests,
)
from site_visits import (
    JSON,
    Events,
    events,
    expect_status,
    heard,
    member,
    new_task,
    room_moves,
    room_name,
    room_of_each,
    site_json,
    token,
    whoami,
)

from workshop.judge.checks import (
    Client,
    Deadline,
    Probe,
    Wire,
    check,
    expect,
    fail,
    request_bytes,
    that,
)
from workshop.judge.concurrent_checks import SideBySide
from workshop.judge.stack import Stack
from workshop.judge.started_services import Services, front, probe

TURNS, POSTS, ROOMS = 16, 8, 16
KEPT = 6  # connections of nginx, for requests that come one after the other
AT_ONCE = 8  # event streams of one client
GIVEN_UP = 8.0  # seconds: an answer takes 5 at most, and this machine may be busy
LARGEST = 65_536  # bytes of a body
BACK, DRAINED = 12.0, 8.0
KILL, TERM = 9, 15
UPSTREAM = "nginx, ngx_http_upstream_module"

# Two checks take two seconds on any machine, and leave a site slow or half ended: each has one of its own.
together = SideBySide(front=front, service=Services, probe=probe)


# --- task 1: two instances, one store ---------------------------------------------------------------


@check(task=1, rule=f'{UPSTREAM}, "upstream", "server"')
@together.on("")
def test_task1_both_instances_answer(front: Client) -> None:
    """Both instances answer, at one address"""
    seen = {whoami(front)["instance"] for _ in range(TURNS)}
    expect(f"the instances that answered {TURNS} requests", sorted(seen), list(INSTANCES))


@check(task=1, rule=f'{UPSTREAM}, "keepalive": HTTP/1.1, and a Connection header that is empty')
def test_task1_connections_to_instances_are_kept(front: Client, probe: Probe) -> None:
    """nginx keeps its connections to the instances"""
    peers = {whoami(front)["peer"] for _ in range(TURNS)}
    that(
        len(peers) <= KEPT,
        f"{len(peers)} connections from nginx to the instances, for {TURNS} requests, one at a time",
        f"at most {KEPT}: nginx sends the next request on a connection that it has kept",
        where=NGINX,
    )
    keeps_with_every_nginx(probe)


@check(task=1, rule="RFC 9110 §15.3.2: 201 says that the resource was created, not in which process")
def test_task1_task_is_known_to_both(service: Service, rng: random.Random) -> None:
    """What one instance has created, the other one knows"""
    for here, there in (INSTANCES, INSTANCES[::-1]):
        made = site_json(service(here).request("POST", "/tasks", JSON, new_task(rng)), 201)
        found = service(there).get(f"/tasks/{made['id']}")
        that(
            found.status == 200,
            f"{found.line} from instance {there}, for the task that {here} has created",
            "the same task: both instances have one store",
        )
        expect(f"the task, as {there} has it", site_json(found), made)


# --- task 2: who asks -------------------------------------------------------------------------------


@check(task=2, rule=f'{PROXY}, "proxy_set_header"; RFC 7239 §8.1: a client can send any of these fields')
def test_task2_client_cannot_be_spoofed(front: Client, rng: random.Random) -> None:
    """A client can't spoof its address"""
    client = whoami(front)["client"]
    lie, requests = spoofing(rng)
    for fields in requests:
        must_know(whoami(front, fields), client, lie, "for GET /whoami")


@check(task=2, rule=f'{PROXY}, "proxy_set_header"; RFC 9110 §7.2: Host is the one that the client asked')
def test_task2_scheme_and_host_are_what_this_hop_saw(front: Client, rng: random.Random) -> None:
    """Scheme and host are those of the request that nginx got"""
    asked, lie = f"tasks{rng.randrange(10**4)}.example", f"evil{rng.randrange(10**4)}.example"
    lies = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", lie)]
    for fields in ([("Host", asked)], [("Host", asked), *lies]):
        known = whoami(front, fields)
        expect("Host at the instance", known["host"].lower().partition(":")[0], asked, "the client's Host")
        expect(
            "X-Forwarded-Proto at the instance",
            every(known, "x-forwarded-proto"),
            "http",
            "as nginx was asked",
        )
        host = every(known, "x-forwarded-host")
        that(
            lie not in host,
            f"X-Forwarded-Host: {host}",
            f"{asked}, or no such header: the client made that up",
        )
    unusual_requests(front, asked, lie)


@check(task=2, rule=INHERITED)
def test_task2_streams_know_their_client_too(front: Client, rng: random.Random) -> None:
    """Event streams and rooms know their client, too"""
    client = whoami(front)["client"]
    if not is_hole(front, "/events"):
        stream_knows_its_client(front, rng, client)
    if not is_hole(front, "/rooms/tea"):
        room_knows_its_client(front, rng, client)


# --- task 3: files, events, rooms -------------------------------------------------------------------

WAYS_OUT = (
    "/static../learner/nginx.conf",
    "/static/../learner/nginx.conf",
    "/static/..%2flearner/nginx.conf",
)


@check(task=3, rule='nginx, ngx_http_core_module, "alias"; RFC 9110 §13.1.2: If-None-Match')
def test_task3_files_come_from_nginx_and_only_from_their_folder(front: Client) -> None:
    """Files come from nginx, and only from their folder"""
    for path in sorted((Path(__file__).parent / "static").iterdir()):
        answer = front.get(f"/static/{path.name}")
        expect_status(answer, 200)
        expect(f"the body of {path.name}", answer.body, path.read_bytes())
        that(
            answer.get("X-Instance") is None,
            "X-Instance: an instance was asked",
            "a file that nginx reads itself",
        )
        fresh = front.get(f"/static/{path.name}", [("If-None-Match", answer.get("ETag") or "*")])
        expect_status(fresh, 304)
    missing = front.get("/static/nothing.css")
    expect_status(missing, 404)
    that(
        missing.get("X-Instance") is None,
        f"{missing.line} with X-Instance: an instance was asked for a file that is not there",
        "nginx's own 404: what begins with /static/ is a file, or nothing",
        where=NGINX,
    )
    for target in WAYS_OUT:
        answer = front.get(target)
        that(
            answer.status != 200 and b"proxy_pass" not in answer.body,
            f"{answer.line} for {target}: {answer.text[:60]!r}",
            "no file from outside the folder of files",
        )


@check(task=3, rule=f'{PROXY}, "proxy_buffering"; HTML, "Server-sent events"')
def test_task3_events_arrive_as_they_happen(front: Client, rng: random.Random) -> None:
    """Events arrive as they happen, whichever instance took the task"""
    stream_knows_its_client(front, rng, whoami(front)["client"])
    with events(front) as (stream, _):
        for _ in range(4):
            made = site_json(front.request("POST", "/tasks", JSON, new_task(rng)), 201)
            expect("the task in the event", stream.next("task"), made)


@check(task=3, rule=f'{UPSTREAM}, "hash"; RFC 9110 §7.8: Upgrade is a field for one hop')
def test_task3_members_of_a_room_meet(front: Client, rng: random.Random) -> None:
    """Members of a room meet, and the rooms are spread over both instances"""
    room_knows_its_client(front, rng, whoami(front)["client"])
    room = room_name(rng)
    names = [
        f"{who}-{rng.randrange(1000)}" for who in ("Ada", "Grace", "Edsger", "Barbara", "Dennis", "Radia") * 2
    ]
    with contextlib.ExitStack() as all_members:
        members = [all_members.enter_context(member(front, room, who)) for who in names]
        there = sorted({welcome["instance"] for _, welcome in members})
        that(
            len(there) == 1,
            f"members of {room} at instances {' and '.join(there)}",
            "one room, at one instance",
        )
        said = f"tea {rng.randrange(10**6)}"
        members[0][0].send(said)
        for who, (socket, _) in zip(names, members, strict=True):
            expect(f"what {who} hears", heard(socket, who), {"type": "said", "name": names[0], "text": said})
    hosts = set()
    for _ in range(ROOMS):
        with member(front, room_name(rng), "Ada") as (_, welcome):
            hosts.add(welcome["instance"])
    expect(
        f"the instances that have {ROOMS} rooms",
        sorted(hosts),
        list(INSTANCES),
        "the rooms are spread over both instances",
    )


# --- task 4: limits and timeouts --------------------------------------------------------------------


@check(task=4, rule='RFC 9110 §15.5.14; nginx, ngx_http_core_module, "client_max_body_size"')
def test_task4_large_body_is_refused_twice(front: Client, service: Service, rng: random.Random) -> None:
    """A body over 64 KiB is refused by nginx, and by an instance"""
    small, large = new_task(rng).ljust(LARGEST), new_task(rng).ljust(LARGEST + 1)
    taken = front.request("POST", "/tasks", JSON, small)
    by = f"instance {taken.get('X-Instance')}" if taken.get("X-Instance") else "nginx"
    that(
        taken.status == 201,
        f"{taken.line} for {LARGEST} bytes, from {by}",
        "status 201: 64 KiB are allowed",
        where=NGINX if by == "nginx" else DEPLOY,
        sent=f"POST /tasks with {LARGEST} bytes",
    )
    refused = front.request("POST", "/tasks", JSON, large)
    asked = f"POST /tasks with {LARGEST + 1} bytes"
    that(
        refused.status == 413,
        f"{refused.line} for {LARGEST + 1} bytes",
        "status 413",
        sent=asked,
        where=NGINX,
    )
    that(
        refused.get("X-Instance") is None,
        "a 413 from an instance",
        "nginx's own 413: the body never reaches an instance",
        where=NGINX,
        sent=asked,
    )
    for instance in INSTANCES:
        for body, status in ((small, 201), (large, 413)):
            answer = service(instance).request("POST", "/tasks", JSON, body)
            that(
                answer.status == status,
                f"{answer.line} for {len(body)} bytes, from instance {instance} itself",
                f"status {status}: body_bytes is 64 KiB, for a client that connects to an instance directly",
                where=DEPLOY,
                sent=f"POST /tasks with {len(body)} bytes, to instance {instance}",
            )


@check(task=4, rule="nginx, ngx_http_limit_conn_module; RFC 6585 §4: 429")
def test_task4_one_client_holds_eight_streams(front: Client, probe: Probe, rng: random.Random) -> None:
    """One client holds eight event streams, and no ninth"""
    lies = [[("X-Forwarded-For", f"203.0.113.{number}")] for number in rng.sample(range(1, 255), AT_ONCE + 1)]
    with contextlib.ExitStack() as streams:
        held = [streams.enter_context(events(front, lie))[0] for lie in lies[:AT_ONCE]]
        with Events(front, lies[AT_ONCE]) as ninth:
            that(
                ninth.answer.status == 429,
                f"{ninth.answer.line} for a ninth stream of one client, each with another X-Forwarded-For",
                "status 429: the limit is eight for the address that connects, whatever a header says",
            )
        whoami(front)
        held[0].wire.close()
        streams.enter_context(events(front))
    counts_each_client(probe)


@check(task=4, rule=f'{PROXY}, "proxy_read_timeout"; {UPSTREAM}, "max_fails"; RFC 9110 §15.6.5')
@together.on("slow", apart="front")
def test_task4_slow_answer_is_given_up_and_streams_are_not(front: Client, rng: random.Random) -> None:
    """nginx gives up a slow response, keeps silent streams, and serves everybody else"""
    with events(front) as (stream, _), member(front, room_name(rng), "Ada") as (ada, _):
        with contextlib.ExitStack() as all_of_them:
            slow = [all_of_them.enter_context(front.connect()) for _ in range(4)]
            began = time.monotonic()
            for wire in slow:
                wire.send(request_bytes("GET", "/slow?seconds=30"))
            for wire in slow:
                given_up(wire, began)
        for _ in range(TURNS):
            answer = front.get("/whoami")
            that(
                answer.status == 200,
                f"{answer.line} for GET /whoami, after four responses that took too long",
                "status 200: an instance that was slow once is not gone",
            )
        # Both were silent before the slow ones were asked: as short a timeout of theirs is over, too.
        made = site_json(front.request("POST", "/tasks", JSON, new_task(rng)), 201)
        expect("the event after as long a silence", stream.next("task"), made, where=NGINX)
        ada.send("still here")
        asked = f"Ada: {ada.asked}\nAda: message 'still here', after as long a silence"
        goes_on = "a message: a room goes on, also after a long silence"
        echo = heard(ada, "Ada", goes_on, sent=asked, where=NGINX).get("text")
        expect("what Ada hears after as long a silence", echo, "still here", sent=asked, where=NGINX)


def given_up(wire: Wire, began: float) -> None:
    """That an answer came that is nginx's own, 504, in time."""
    wire.deadline = began + GIVEN_UP
    try:
        answer = wire.response()
    except Deadline:
        fail(
            f"no answer within {GIVEN_UP:g} s, from an instance that takes 30 s",
            "504, within 5 s. (nginx may have asked both instances in turn: proxy_next_upstream includes "
            "timeouts by default; proxy_next_upstream_timeout limits all tries together)",
            where=NGINX,
        )
    expect_status(answer, 504)


# --- task 5: an instance ends -----------------------------------------------------------------------


@check(task=5, rule=f'RFC 9110 §9.2.2; {UPSTREAM}, "proxy_next_upstream"')
@together.on("")
def test_task5_killed_instance_loses_no_idempotent_request(
    front: Client, service: Service, stack: Stack, rng: random.Random
) -> None:
    """An instance is killed: the other one answers its GET, and every later request"""
    rooms = room_of_each(front, rng, ROOMS)
    whoami(front)
    mine = token(rng)
    with front.connect() as wire:
        wire.send(request_bytes("GET", f"/slow?seconds=20&token={mine}"))
        victim = taken_by(service, mine)
        stack.ask("signal", service=victim, number=KILL)
        answer = wire.response()
    sent = f"GET /slow?token={mine}, and SIGKILL to instance {victim}, which works on it"
    that(
        answer.status == 200,
        f"{answer.line}",
        "200 from the other instance: repeating a GET does no harm",
        sent=sent,
        where=NGINX,
    )
    here = site_json(answer)["instance"]
    expect("the instance that answers", here, other_than(victim), sent=sent, where=NGINX)
    front.wakes = False
    for _ in range(TURNS):
        answer = front.get("/whoami")
        that(
            answer.status == 200,
            f"{answer.line}, with instance {victim} gone",
            "status 200 from the instance that runs",
        )
    if victim in rooms:
        room_moves(front, rooms[victim], NGINX)
    front.wakes = True
    end = time.monotonic() + BACK
    while whoami(front)["instance"] != victim:
        that(
            time.monotonic() < end,
            f"no response from instance {victim} within {BACK:g} s after it was started again",
            "responses from both instances again",
        )
        time.sleep(0.02)


@check(task=5, rule=f'RFC 9110 §9.2.2: POST is not idempotent; {UPSTREAM}, "non_idempotent"')
@together.on("")
def test_task5_create_is_never_sent_twice(
    front: Client, service: Service, stack: Stack, rng: random.Random
) -> None:
    """A POST that the killed instance worked on is not repeated; one that it never got goes to the other"""
    whoami(front)
    mine = token(rng)
    with front.connect() as wire:
        wire.send(request_bytes("POST", f"/slow?seconds=20&token={mine}", [("Content-Length", "0")]))
        victim = taken_by(service, mine)
        stack.ask("signal", service=victim, number=KILL)
        answer = wire.response()
    sent = f"POST /slow?token={mine}, and SIGKILL to instance {victim}, which works on it"
    there = service(other_than(victim))
    asked = site_json(there.get(f"/attempts?token={mine}"))
    why = "the POST may have been carried out already"
    expect("the instances that were asked", asked, [victim], why, sent=sent, where=NGINX)
    that(
        answer.status in (502, 504),
        f"{answer.line}",
        "502: the client has to learn that the outcome is unknown",
        sent=sent,
        where=NGINX,
    )
    front.wakes = False
    is_over(stack, victim)
    for _ in range(POSTS):
        whoami(front)  # by now nginx has heard that the connections it kept are closed
    for _ in range(POSTS):
        answer = front.request("POST", "/tasks", JSON, new_task(rng))
        that(
            answer.status == 201,
            f"{answer.line} for POST /tasks, with instance {victim} gone",
            "status 201: a refused connection got nothing of the request",
            where=NGINX,
        )


@check(task=5, rule='deploy.toml, "drain_seconds"; uvicorn, "timeout_graceful_shutdown"')
@together.on("drain", apart="front")
def test_task5_drain_lets_answers_finish_and_ends_streams(
    front: Client, service: Service, stack: Stack, probe: Probe, rng: random.Random
) -> None:
    """SIGTERM: an instance finishes its response, and doesn't wait for event streams"""
    whoami(front)
    mine = token(rng)
    with front.connect() as wire:
        wire.send(request_bytes("GET", f"/slow?seconds=1&token={mine}"))
        told = taken_by(service, mine)
        with events(service(told)):
            stack.ask("signal", service=told, number=TERM)
            drain_is_short(probe)
            answer = wire.response()
            sent = f"GET /slow?seconds=1, and SIGTERM to instance {told}, which works on it"
            that(
                answer.status == 200,
                f"{answer.line}",
                "status 200: the instance finishes the requests in flight",
                sent=sent,
                where=DEPLOY,
            )
            said = site_json(answer)
            asked = site_json(service(other_than(told)).get(f"/attempts?token={mine}"))
            why = "the instance finishes the requests in flight"
            expect("the instances that were asked", asked, [told], why, sent=sent, where=DEPLOY)
            expect("the instance that answers", said["instance"], told, sent=sent, where=DEPLOY)
            end = time.monotonic() + DRAINED
            while stack.ask("status", service=told)["state"] == "running":
                late = f"instance {told} still runs {DRAINED:g} s after SIGTERM: an event stream is open"
                that(
                    time.monotonic() < end,
                    late,
                    "exit within 5 s: an event stream never ends by itself",
                    sent=sent,
                    where=DEPLOY,
                )
                time.sleep(0.05)
