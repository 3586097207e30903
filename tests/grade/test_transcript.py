"""The transcript: what was sent and what came, check by check, within its caps, without hidden checks."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from workshop.grade.judging import exchange_log
from workshop.grade.judging.exchange_log import CHECK_CAP, PIECE_CAP, Recorder, without
from workshop.grade.judging.one_submission import listeners_in
from workshop.judge import http_wire
from workshop.judge.http_wire import NoAnswer, Wire


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    made = Recorder(tmp_path / "transcript")
    http_wire.observers.append(made)
    yield made
    http_wire.observers.remove(made)


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says what it hears, until it hears the end; one connection after another."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    link, _ = listener.accept()
                except OSError:
                    return
                with link:
                    while data := link.recv(1 << 16):
                        link.sendall(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def lines_of(path: Path) -> list[str]:
    """Events without their times."""
    return [line[9:] if line.startswith("  ") else line for line in path.read_text().splitlines()]


def test_what_was_sent_and_what_came_are_there_in_order(
    recorder: Recorder, echo: int, tmp_path: Path
) -> None:
    recorder.begin("test_task1_first")
    with Wire("127.0.0.1", echo, 5) as link:
        link.send(b"GET /caf\xc3\xa9\r\n")
        assert link.read() == b"GET /caf\xc3\xa9\r\n"
        link.half_close()
        assert link.read() == b""
    recorder.begin("test_task1_second")
    with pytest.raises(NoAnswer):
        Wire("127.0.0.1", 1, 5)
    recorder.close()
    assert lines_of(tmp_path / "transcript") == [
        "== test_task1_first",
        f"#1   {echo:<6} open",
        rf"#1   {echo:<6} > GET /caf\xc3\xa9\r\n",
        rf"#1   {echo:<6} < GET /caf\xc3\xa9\r\n",
        f"#1   {echo:<6} half-close",
        f"#1   {echo:<6} end",
        f"#1   {echo:<6} close",
        "== test_task1_second",
        "#2   agent  refused",
    ]


def test_a_flood_is_counted_not_kept(recorder: Recorder, echo: int, tmp_path: Path) -> None:
    recorder.begin("test_task1_flood")
    piece = b"x" * (2 * PIECE_CAP)
    with Wire("127.0.0.1", echo, 30) as link:
        for _ in range(100):
            link.send(piece)
            link.received.clear()
            while len(link.received) < len(piece):
                link.read()
    recorder.begin("test_task1_next")
    recorder.close()
    text = (tmp_path / "transcript").read_text()
    assert f"... {PIECE_CAP} bytes more" in text and "events more\n== test_task1_next" in text
    assert len(text) < CHECK_CAP + 200


def test_a_hidden_check_is_left_out() -> None:
    text = "== test_a\n  0.001  #1 8001 > one\n== test_b\n  0.001  #2 8001 > secret\n== test_a\n  again\n"
    assert without(text, ["test_b"]) == text.replace("== test_b\n  0.001  #2 8001 > secret\n", "")
    assert without(text, []) == text
    assert exchange_log.shown(b"'\xff\n") == "'\\xff\\n"


@pytest.mark.parametrize("text", ["", '{"tasks": "pyth'])
def test_what_was_cut_short_names_no_program(text: str, tmp_path: Path) -> None:
    (tmp_path / "out.listened").write_text(text)
    assert listeners_in(tmp_path / "out.listened") == {}


def test_programs_are_named_as_they_were_before_the_first_hidden_check(tmp_path: Path) -> None:
    path = tmp_path / "out.listened"
    seen = {"test_a": {"tasks": "python"}, "test_b": {"tasks": "secret"}, "test_c": {"tasks": "secret"}}
    path.write_text(json.dumps(seen))
    assert listeners_in(path, ["test_b"]) == {"tasks": "python"}
    assert listeners_in(path, ["test_a"]) == {}
    assert listeners_in(path) == {"tasks": "secret"}
