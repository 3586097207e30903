"""What a report adds of its own: words for what is often forgotten, nginx's log, where a program waits."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from workshop.judge.checks import Failed, asgi_app, expect, made, wsgi_app
from workshop.judge.diagnosis import NGINX_REASONS, REASON, forgotten, last_lines, shows
from workshop.judge.probe_transcript import Transcript
from workshop.judge.script_text import beside, script_text
from workshop.judge.tracebacks import first_traceback, waiting_frames
from workshop.labs import find
from workshop.run import process
from workshop.run.in_service import where_it_waits
from workshop.run.target_processes import IN_SERVICE

NEVER = "/t/app.py:98: RuntimeWarning: coroutine 'call_asgi.<locals>.send' was never awaited\n  send(x)\n"
DUMP = """Fatal Python error: Aborted

Thread 0x00007f10 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 320 in wait
  File "/t/server.py", line 12 in take
  File "/t/server.py", line 40 in work

Current thread 0x00007f11 (most recent call first):
  File "/usr/lib/python3.11/selectors.py", line 468 in select
  File "/t/server.py", line 77 in serve
  File "/t/server.py", line 90 in <module>

Extension modules: uvloop (total: 1)
"""
LOGGED = (
    "2026/11/28 21:31:33 [error] 1234#1234: *7 upstream prematurely closed connection while reading response "
    'header from upstream, client: 127.0.0.1, server: _, request: "GET / HTTP/1.1", upstream: "http://x/"'
)


RAISED = """INFO: connection open
Traceback (most recent call last):
  File "/t/app.py", line 3, in say
    for one in members:
RuntimeError: dictionary changed size during iteration

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/t/app.py", line 9, in chat
    raise Over
app.Over
ERROR: closed
Traceback (most recent call last):
  File "/t/app.py", line 20, in leave
    del rooms[name]
KeyError: 'tea'
"""


def test_of_several_tracebacks_the_first_is_shown_with_what_it_led_to() -> None:
    assert first_traceback(RAISED, Path("/t")) == ["app.py:9 in chat: raise Over", "app.Over"]
    assert first_traceback(RAISED.partition("ERROR")[2], Path("/t"))[-1] == "KeyError: 'tea'"
    assert first_traceback("INFO: nothing\n", Path("/t")) == []


def test_a_forgotten_await_is_named_with_its_line() -> None:
    said = forgotten(NEVER, [], None)
    assert "app.py:98" in said and "`await` is missing" in said


@pytest.mark.parametrize("trace", [["app.py:2 in application: breakpoint()", "bdb.BdbQuit"], ["BdbQuit"]])
def test_a_breakpoint_left_in_leads_to_make_debug(trace: list[str]) -> None:
    assert "`make debug-5`" in forgotten("", trace, find("5"))
    assert "`make debug-5`" in forgotten("> /t/server.py(3)f()\n(Pdb) \n", [], find("5"))


def test_nothing_is_said_where_nothing_was_forgotten() -> None:
    assert forgotten("GET / 200\n", ["ValueError: no"], find("5")) == ""


def test_where_a_program_waits_is_told_in_its_own_frames() -> None:
    assert waiting_frames(DUMP, Path("/t")) == [
        "server.py:40 in work → server.py:12 in take",
        "server.py:90 in <module> → server.py:77 in serve",
    ]
    assert waiting_frames("nothing of the kind\n", Path("/t")) == []


def test_nginx_reasons_are_read_from_its_log() -> None:
    reason = REASON.sub("", LOGGED)
    assert reason.startswith("upstream prematurely closed connection")
    assert [whose for words, whose in NGINX_REASONS.items() if words in reason]


def test_tasks_and_threads_have_a_line_each() -> None:
    task = 'Task (most recent call first):\n  File "/t/app.py", line 9 in show\n'
    task += '  File "/t/app.py", line 4 in app\n'
    assert waiting_frames(task + DUMP, Path("/t"))[0] == "app.py:4 in app → app.py:9 in show"


SHAPES = {
    "an `await` is missing": ["app.py:7 in add: x", "TypeError: 'coroutine' object is not subscriptable"],
    "no list around it": ["TypeError: '[' is not a byte"],
    "a list of pairs": [
        "app.py:6 in application: start_response(status, dict(headers))",
        "ValueError: too many values to unpack (expected 2)",
    ],
}


@pytest.mark.parametrize("words", SHAPES)
def test_what_servers_say_of_odd_shapes_is_explained(words: str) -> None:
    assert words in forgotten("", SHAPES[words], None)


def test_a_dict_of_headers_and_a_body_without_a_list_are_seen_in_what_a_call_gave() -> None:
    start = {"event": "start_response", "status": "200 OK", "headers": [], "of": "dict"}
    text = {"event": "chunk", "type": "str", "data": "H"}
    sent = {"event": "send", "message": {"type": "http.response.start", "headers": {b"a": b"b"}}}
    fine = {"event": "chunk", "type": "bytes", "data": b"H"}
    odd = [Transcript([event], Path("/t")).odd_shape for event in (start, sent, text, fine)]
    assert [word in said for word, said in zip(("dict", "dict", "no list"), odd, strict=False)] == [True] * 3
    assert odd[3] == ""


def test_the_command_shown_is_of_the_request_that_is_shown() -> None:
    curl = "curl -v 'http://127.0.0.1:8000/tasks?done=1'"
    assert shows("GET /tasks?done=1 HTTP/1.1", curl)
    assert not shows("GET /events HTTP/1.1", curl) and not shows("GET /tasks", "")


def test_a_program_s_last_words_are_no_part_of_a_traceback() -> None:
    assert last_lines("Traceback:\n  File x\n\none\ntwo\nthree\n") == ["one", "two", "three"]


def test_an_inner_application_is_told_in_a_line() -> None:
    raised = wsgi_app(status="201 Made", write=[b"w"], chunks=[b"a", b"b"], raises="iteration")
    said = script_text(made("app:call", raised))
    assert said == (
        "inner: start_response('201 Made', …), write(b'w'), chunk b'a', then it raises RuntimeError"
    )
    sent = asgi_app(["receive"], ["send", {"type": "http.response.body", "body": b"x", "more_body": True}])
    assert script_text(sent) == "inner: receive(), send(http.response.body b'x' (more))"
    assert script_text([raised, sent]) == "", "two: their names have to do"
    assert script_text(wsgi_app(name="home", chunks=[b"home"])) == "", "a route's: its name says all"


def test_what_a_lab_gives_is_told_by_its_docstring(tmp_path: Path) -> None:
    (tmp_path / "clock.py").write_text('def late(app):\n    """A layer that waits.\n\n    More."""\n')
    call = made("clock:late", made("app:layer", wsgi_app()))
    assert beside(call, [tmp_path])[0] == "late: A layer that waits."
    assert not beside(made("app:layer", 1), [tmp_path])


def test_where_two_long_values_differ_is_said() -> None:
    one, other = b"a" * 900 + b"x", b"a" * 900 + b"y"
    with pytest.raises(Failed) as raised:
        expect("body", one, other)
    assert "they differ first at" in raised.value.got and "y" in raised.value.got
    with pytest.raises(Failed) as raised:
        expect("body", b"short", b"other")
    assert "differ" not in raised.value.got


WAITING = """
import asyncio, os, signal, sys
async def inner():
    print("ready", flush=True)
    await asyncio.Event().wait()
async def main():
    await inner()
asyncio.run(main())
"""


def test_a_process_says_where_its_tasks_wait_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(WAITING)
    env = {"PYTHONPATH": str(IN_SERVICE), "PYTHONDONTWRITEBYTECODE": "1"}
    one = process.Process([sys.executable, "app.py"], cwd=tmp_path, env=env)
    try:
        until(lambda: "ready" in one.output() and process.at_rest([one.pid]))
        process.send([one.pid], where_it_waits.number())
        until(lambda: where_it_waits.END in one.output())
        assert one.exit_code() is None
        frames = [line.split(" in ")[-1] for line in one.output().splitlines() if "app.py" in line]
        assert frames[:2] == ["inner", "main"]
    finally:
        one.end(grace=0)


PREFORK = """
import os, time


def answers():
    print("ready", flush=True)
    while True:
        time.sleep(60)


for _ in range(3):
    if not os.fork():
        answers()
answers()
"""


@pytest.mark.skipif(not where_it_waits.number(), reason="this system has no real-time signals")
def test_processes_that_are_asked_at_once_do_not_speak_across_each_other(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PREFORK, encoding="utf-8")
    env = {"PYTHONPATH": str(IN_SERVICE), "PYTHONDONTWRITEBYTECODE": "1"}
    one = process.Process([sys.executable, "app.py"], cwd=tmp_path, env=env)
    try:
        until(lambda: one.output().count("ready") == 4)
        pids = [one.pid, *process.descendants(one.pid)]
        for asked in range(1, 21):
            until(lambda: process.at_rest(pids))  # who has said it may not be back where it waits
            process.send(pids, where_it_waits.number())
            until(functools.partial(said_by_all, one, 4 * asked))
        whole = [line for line in one.output().splitlines() if line.endswith("line 8 in answers")]
        assert len(whole) == 80
        assert len(set(whole)) == 1
    finally:
        one.end(grace=0)


def said_by_all(one: process.Process, times: int) -> bool:
    return one.output().count(where_it_waits.END) == times


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
