"""What lessons say of real programs, of Python and of nginx, where no check or transcript holds it."""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest
import starlette.applications
import starlette.responses
import starlette.routing
import uvicorn
import uvicorn._subprocess
import uvicorn.supervisors

from tests.documents import README
from workshop.labs import Lab, all_labs, find
from workshop.markdown_links import unlinked
from workshop.paths import ROOT
from workshop.run import nginx_config, tcp_ports

NAMED = re.compile(r"`((?:[a-z]\w*\.)*[a-z]\w*):[A-Za-z_][\w.]*`")
TEMPLATE = ROOT / "services" / "nginx" / "nginx.conf.j2"


def lesson(number: int) -> str:
    """A lesson without links, each paragraph on one line."""
    text = unlinked((find(str(number)).folder / "README.md").read_text(encoding="utf-8"))
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


# --- lab 2: bytes ---------------------------------------------------------------------------------


def test_lab_2_s_drawing_is_two_pipelined_requests() -> None:
    """Its four pieces, joined: the second request is sent before the first can have been answered."""
    text = (find("2").folder / "README.md").read_text(encoding="utf-8")
    row = re.search(r"^ (POST /tasks HTTP/1\.1.*)$", text, re.MULTILINE)
    assert row
    pieces = [one.replace("\\r", "\r").replace("\\n", "\n") for one in row[1].split("  ")]
    assert len(pieces) == 4
    assert pieces[0].endswith("\r") and pieces[1].startswith("\n"), "piece 1 ends between CR and LF"
    first, second = "".join(pieces).split("Milk")
    assert "Content-Length: 4\r\n\r\n" in first and second == "GET /tasks HTTP/1.1\r\nHost: a\r\n\r\n"
    assert pieces[3] == "k" + second
    assert "without waiting for the first response" in lesson(2)


def test_lab_2_s_request_has_five_fields_of_nginx_s() -> None:
    """curl sent Host, User-Agent and Accept; the others are those that the configuration adds."""
    shown = re.search(
        r"^\$ curl -s \S+/parrot/tasks/42\n(.*?)^```",
        (find("2").folder / "README.md").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    assert shown and shown[1].startswith("GET /tasks/42 HTTP/1.1\n")
    fields = set(re.findall(r"^([\w-]+):", shown[1], re.MULTILINE))
    added = set(
        re.findall(r"^ *proxy_set_header ([\w-]+)", TEMPLATE.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert fields - {"Host", "User-Agent", "Accept"} == added - {"Host", "Connection", "Upgrade"}
    assert len(fields) == 8 and "five more header fields" in lesson(2)


# --- lab 4: threads -------------------------------------------------------------------------------------


def counted(step: str, times: int) -> int:
    """What four threads make of `n`, each with so many steps."""
    space: dict[str, Any] = {"n": 0, "same": lambda value: value}
    exec(f"def work():\n    global n\n    for _ in range({times}):\n        {step}", space)
    threads = [threading.Thread(target=space["work"]) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return int(space["n"])


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the lesson speaks of CPython 3.11")
@pytest.mark.usefixtures("frequent_switches")
def test_cpython_3_11_switches_at_calls_and_at_the_end_of_a_loop_s_iteration() -> None:
    assert "CPython 3.11 switches at calls and at the end of a loop's iteration" in lesson(4)
    assert counted("n = n + 1", 50_000) == 200_000, "between the two there is neither"
    assert any(counted("n = same(n) + 1", 50_000) < 200_000 for _ in range(20)), "a call is in between"


# --- labs 13 and 19: nginx ------------------------------------------------------------------------------


def test_lab_13_names_the_lines_that_carry_a_handshake() -> None:
    template = TEMPLATE.read_text(encoding="utf-8")
    said = lesson(13)
    for line in ("proxy_set_header Upgrade $http_upgrade", "proxy_http_version 1.1"):
        assert f"{line};" in template and f"`{line}`" in said
    assert "map $http_upgrade $connection_upgrade" in template and "proxy_set_header Connection" in template


CONF = """
worker_processes 1;
pid "{tmp}/nginx.pid";
error_log stderr emerg;
events {{ }}
http {{
    access_log off;
    client_body_temp_path "{tmp}/body";
    proxy_temp_path "{tmp}/proxy";
    fastcgi_temp_path "{tmp}/fastcgi";
    uwsgi_temp_path "{tmp}/uwsgi";
    scgi_temp_path "{tmp}/scgi";
    upstream both {{
        server 127.0.0.1:{one};
        server 127.0.0.1:{two};
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://both;
            proxy_read_timeout 500ms;
        }}
    }}
}}
"""


@contextmanager
def nginx(text: str, port: int, folder: Path) -> Iterator[None]:
    """nginx with this configuration, once it accepts connections."""
    program = nginx_config.command()
    if program is None:
        pytest.skip("there is no nginx on this machine")
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    words = [
        program,
        "-e",
        "stderr",
        "-p",
        str(folder),
        "-c",
        str(folder / "nginx.conf"),
        "-g",
        "daemon off;",
    ]
    with subprocess.Popen(words) as running:
        try:
            while not accepts(port):
                assert running.poll() is None
            yield
        finally:
            running.terminate()


def asked(port: int) -> tuple[int, float]:
    """The status of one request, and the seconds it took."""
    begun = time.monotonic()
    return httpx.get(f"http://127.0.0.1:{port}/", timeout=30).status_code, time.monotonic() - begun


def test_one_slow_page_takes_both_instances_out_for_everybody(tmp_path: Path) -> None:
    """Lab 19's Predict: one request waits for the timeout twice and gets 504; the next gets 502 at once."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        port, silent = tcp_ports.free_port(), [each.getsockname()[1] for each in (one, two)]
        text = CONF.format(tmp=tmp_path, port=port, one=silent[0], two=silent[1])
        with nginx(text, port, tmp_path):
            (slow, seconds), (next_one, _) = asked(port), asked(port)
    assert (slow, next_one) == (504, 502) and seconds >= 1
    assert "The slow page's visitor gets 504 after four seconds" in lesson(19)


# --- labs 15 and 18: uvicorn and FastAPI ----------------------------------------------------------------


def test_uvicorn_without_children_binds_after_startup() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        seen.append(accepts(server.config.port))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    class Served(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            seen.append(accepts(self.config.port))
            self.should_exit = True

    server = Served(uvicorn.Config(app, port=tcp_ports.free_port(), lifespan="on", log_level="critical"))
    asyncio.run(server.serve())
    assert seen == [False, True], "refused during startup, accepted after it"
    assert "uvicorn without children binds after startup" in lesson(15)


def test_uvicorn_s_children_are_new_interpreters_with_the_parent_s_socket() -> None:
    assert uvicorn._subprocess.spawn.get_start_method() == "spawn"
    run = inspect.getsource(sys.modules["uvicorn.main"].run)
    assert len(re.findall(r"sock = config\.bind_socket\(\)", run)) == 2, "for reload, and for workers"


def test_uvicorn_s_reload_asks_the_kernel_where_watchfiles_is_installed() -> None:
    assert uvicorn.supervisors.ChangeReload.__name__ == "WatchFilesReload"
    assert "watchfiles==" in (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_head_of_a_get_route_is_405_with_fastapi_and_200_with_starlette() -> None:
    api = fastapi.FastAPI()
    api.add_api_route("/", lambda: "tea", methods=["GET"])
    star = starlette.applications.Starlette(
        routes=[starlette.routing.Route("/", lambda _: starlette.responses.Response())]
    )

    async def head(app: Any) -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://a") as client:
            return (await client.head("/")).status_code

    assert [asyncio.run(head(app)) for app in (api, star)] == [405, 200]
    assert "Starlette does so, FastAPI responds 405" in lesson(18)


# --- all lessons ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)
def test_what_a_lesson_names_is_installed_or_said_not_to_be(lab: Lab) -> None:
    """A learner's .venv has requirements.lock, and not what the tests need beside it."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    there = {name.replace("-", "_") for name in re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)}
    for line in re.split(r"\n\n|\n(?=- )", (lab.folder / "README.md").read_text(encoding="utf-8")):
        for module in NAMED.findall(line):
            package = module.split(".")[0]
            if package not in there | sys.stdlib_module_names | {"name"}:
                assert "not installed" in line, module


def test_readme_says_which_python() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "requires-python"
    ]
    assert f"Python {wanted.removeprefix('>=')} or newer" in README.read_text(encoding="utf-8")
