"""What a report adds of its own: words for what is often forgotten, nginx's log, where a program waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from workshop.judge.diagnosis import NGINX_REASONS, REASON, forgotten
from workshop.judge.tracebacks import waiting_frames
from workshop.labs import find

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
