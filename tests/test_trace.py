"""`make trace-N`: what happened on every hop, as it was recorded; and nothing is recorded unasked."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import judging
from workshop.errors import Refusal
from workshop.judge.recorder import said
from workshop.judge.timeline import LANES, Event, of_nginx, timeline
from workshop.judge.timeline_text import drawn
from workshop.labs import find
from workshop.learn.trace import Request, parsed
from workshop.run import nginx_config, recorded_apps, target_processes
from workshop.run.nginx_config import Front
from workshop.run.nginx_log import parsed as logged

Json = dict[str, Any]


# --- recorded, in a whole run


def traced(lab: str, target: str | Path, *words: str) -> Json:
    done = judging.run_warm("trace", lab, "--target", str(target), "--json", *words)
    return judging.read_result(done)


def events(check: Json) -> list[Json]:
    found: list[Json] = check["timeline"]["events"]
    return found


def moment(check: Json, lane: str, what: str) -> float:
    """When something first happened."""
    return float(
        next(one["at"] for one in events(check) if one["lane"] == lane and one["what"].startswith(what))
    )


def test_a_request_is_seen_on_its_way_through_every_hop() -> None:
    (check,) = traced("1", "solution", "-k", "greets_by_name")["checks"]
    way = [
        moment(check, "client", "sent"),
        moment(check, "nginx", "took the request"),
        moment(check, "application", "start_response"),
        moment(check, "client", "got"),
    ]
    assert check["verdict"] == "PASS" and way == sorted(way), events(check)
    asked = next(one for one in events(check) if one["what"] == "sent")
    assert asked["data"].startswith("GET /?name=") and asked["size"] > 40
    assert {one["lane"] for one in events(check)} | set(check["timeline"]["silent"]) == set(LANES)


def test_each_chunk_is_seen_between_the_application_and_the_client() -> None:
    (check,) = traced("5", "solution", "-k", "each_chunk_leaves")["checks"]
    order = [(one["lane"], one["what"]) for one in events(check) if one["what"] in ("chunk", "got")][:4]
    assert order == [("application", "chunk"), ("client", "got")] * 2
    assert check["timeline"]["silent"]["nginx"] == "was not asked"


def test_the_events_of_an_asgi_application_are_seen_behind_a_learner_s_server() -> None:
    (check,) = traced("11", "solution", "-k", "body_comes_through_receive")["checks"]
    whats = [one["what"] for one in events(check) if one["lane"] == "application"]
    assert {"called", "await receive()", "received", "send", "returned"} <= set(whats)


def test_what_the_probe_calls_is_seen_too_and_the_other_lanes_say_why_they_are_empty() -> None:
    (check,) = traced("1", "solution", "-k", "starts_the_response")["checks"]
    whats = [one["what"] for one in events(check)]
    assert whats.index("called") < whats.index("start_response") < whats.index("chunk")
    assert "probe" in check["timeline"]["silent"]["client"]


NAPS = """
import time
def application(environ, start_response):
    time.sleep(1.5)
    start_response("200 OK", [("Content-Length", "0")])
    return []
async def asgi(scope, receive, send):
    raise NotImplementedError
def call(*args):
    raise NotImplementedError
"""


def test_where_it_blocked_and_for_how_long(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(NAPS, encoding="utf-8")
    (check,) = traced("1", tmp_path, "-k", "says_hello")["checks"]
    after = [one["after"] for one in check["timeline"]["waits"] if one["seconds"] > 1]
    assert check["verdict"] == "FAIL" and "application: called" in after, check["timeline"]


def test_it_is_drawn_for_a_terminal_below_the_report() -> None:
    lab = find("1")
    done = judging.run_warm("trace", "1", "--target", str(judging.starter(lab)))
    assert done.returncode == 0, "a verdict, whichever, is no error"
    assert "NotImplementedError: lab 1 task 1" in done.stdout
    assert all(lane in done.stdout for lane in LANES)
    assert "called" in done.stdout and "raised" in done.stdout


@pytest.mark.parametrize("lab", ["5", "12", "17"])
def test_recorded_checks_give_the_same_verdicts(lab: str) -> None:
    result = traced(lab, "solution", "--all")
    assert result["verdict"] == "PASS", judging.failures(result)


def test_a_request_of_one_s_own() -> None:
    curl = "curl -v 'http://127.0.0.1:8000/four/do/answer?chunk=hello&chunk=ada'"
    done = judging.run_warm("trace", "5", "--target", "solution", "--curl", curl)
    assert "HTTP/1.1 200 OK, 8 bytes of body" in done.stdout, done.stdout
    assert "took the request" in done.stdout and "start_response" in done.stdout


def test_nothing_is_recorded_unasked() -> None:
    result = judging.judge(find("1"), "solution", "-k", "greets_by_name")
    assert "timeline" not in result["checks"][0]
    lab = find("1")
    front = Front("learner", "127.0.0.1:1", dict.fromkeys(lab.services, 2), lab.folder)
    conf = nginx_config.files(lab, [front], "app", Path("/run"), Path("/tmp"))["nginx.conf"]
    assert "access_log off" in conf and "syslog" not in conf and "/__lab/" not in conf


# --- a request of one's own, as it is written


@pytest.mark.parametrize(
    "text, request_",
    [
        ("/tasks", Request("GET", "/tasks", (("Connection", "close"),), b"")),
        (
            "curl -v -X POST -H 'X-Tag: a' --data-binary '{}' 'http://127.0.0.1:8000/tasks?x=1'",
            Request(
                "POST",
                "/tasks?x=1",
                (("Host", "127.0.0.1:8000"), ("X-Tag", "a"), ("Connection", "close")),
                b"{}",
            ),
        ),
        ("curl -vI /", Request("HEAD", "/", (("Connection", "close"),), b"")),
    ],
)
def test_curl_is_understood_as_the_reports_write_it(text: str, request_: Request) -> None:
    assert parsed(text) == request_


@pytest.mark.parametrize(
    "text", ["", "curl", "curl -o file /", "https://example.org/", "/a b", "'", "http://["]
)
def test_what_is_no_request_gets_one_line(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        parsed(text)
    assert str(refused.value).startswith("--curl: ") and "\n" not in str(refused.value)


# --- nginx's clock, and its words

LINE: Json = {
    "end": 0.110,
    "took": 0.100,
    "port": 4000,
    "request": "GET / HTTP/1.1",
    "length": 40,
    "status": 200,
    "sent": 120,
    "upstream": "127.0.0.1:1, 127.0.0.1:2",
    "connect": "-, 0.001",
    "header": "-, 0.040",
    "response": "0.020, 0.050",
    "upstream_status": "502, 200",
}


def test_nginx_stands_between_what_was_sent_and_what_was_got() -> None:
    client = [Event(0.0101, "client", "sent", connection=1), Event(0.1104, "client", "got", connection=1)]
    found = of_nginx([LINE, {**LINE, "port": 5}], client, {4000: 1})
    assert [one.what for one in found] == [
        "took the request",
        "got no answer from 127.0.0.1:1",
        "connected to 127.0.0.1:2",
        "got the head: 200",
        "answered 200",
    ]
    assert [one.at for one in found] == sorted(one.at for one in found)
    assert found[0].at == 0.0101 and found[-1].at == 0.1104


def test_a_line_of_nginx_s_is_read_and_anything_else_refused() -> None:
    assert logged(b'<190>Nov 29 02:14:13 nginx: {"end":1.5,"request":"GET /\xff"}')["end"] == 1.5
    for datagram in (b"", b"<190>", b"{", b"{}", b'{"end":"1"}'):
        with pytest.raises(ValueError):
            logged(datagram)


# --- how it is put together


def test_many_events_lose_their_middle_and_say_so() -> None:
    found = timeline((Event(number / 1e4, "client", "sent") for number in range(1000)), {}, 1.0)
    assert found.left_out == 1000 - len(found.events) and found.events[-1].at == 0.0999
    assert f"{found.left_out} events left out" in "\n".join(line.plain for line in drawn(found, 100))


def test_a_lane_without_events_says_so() -> None:
    found = timeline([], {"nginx": "was not asked"}, 0.0)
    text = "\n".join(line.plain for line in drawn(found, 80))
    assert "nginx: was not asked" in text and "client: recorded nothing" in text


def test_what_a_program_says_can_not_paint_a_terminal() -> None:
    assert said({"text": "\x1b[31m"}) == "text='\\x1b[31m'"
    assert said({"value": {"$repr": {"type": "X", "text": "\x1b[2J"}}}) == "value=\\x1b[2J"


# --- the wrapper in a service's process


@pytest.fixture(name="in_service")
def in_service_fixture() -> Any:
    spec = importlib.util.spec_from_file_location(
        "in_service", target_processes.IN_SERVICE / "noted_application.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def noted(file: Path) -> list[str]:
    return [json.loads(line)["what"] for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_wrapped_application_gives_what_the_application_gives(in_service: Any, tmp_path: Path) -> None:
    class Sized:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a", b"b"])

        def __len__(self) -> int:
            return 2

        def close(self) -> str:
            return "closed"

    notes = in_service.Notes(str(tmp_path / "notes"), "tasks")
    app = in_service.wrapped(
        lambda environ, start_response: (start_response("200 OK", []), Sized())[1], notes
    )
    started: list[Any] = []
    body = app({"REQUEST_METHOD": "GET"}, lambda *words: started.append(words))
    assert started == [("200 OK", [])]
    assert list(body) == [b"a", b"b"] and len(body) == 2 and body.close() == "closed"
    assert not hasattr(body, "read")
    assert noted(tmp_path / "notes") == [
        "called",
        "start_response",
        "returned",
        "chunk",
        "chunk",
        "no more chunks",
        "close",
    ]


def test_a_list_stays_the_list_and_what_is_no_application_stays_what_it_is(
    in_service: Any, tmp_path: Path
) -> None:
    notes, body = in_service.Notes(str(tmp_path / "notes"), "tasks"), [b"a"]
    assert in_service.wrapped(lambda environ, start_response: body, notes)({}, print) is body
    for other in (lambda: None, lambda scope: None, int, "app", None):
        assert in_service.wrapped(other, notes) is other


def test_a_service_s_application_is_wrapped_where_its_command_names_one(tmp_path: Path) -> None:
    service = find("5").services["tasks"]
    env = recorded_apps.environment({"PYTHONPATH": "here"}, service, tmp_path)
    assert json.loads(env["WORKSHOP_NOTES"])["module"] == "tasks_wsgi"
    (tmp_path / recorded_apps.FILE).write_text('{"at": 1}\n{"at": 3}\n{\n[]\n{"at": "x"}\n', encoding="utf-8")
    assert recorded_apps.events(tmp_path, 2.0) == [{"at": 3}]
    assert recorded_apps.environment({}, find("19").services["one"], tmp_path) == {}
