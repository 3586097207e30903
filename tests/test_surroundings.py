"""What people have around the workshop: each is said in one line, or does no harm."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import judging
from tests.test_bad_input import SECONDS, assert_all_gone, checkout_fixture, launch, said
from workshop import bootstrap
from workshop.labs import find
from workshop.learn import checkout_processes
from workshop.paths import ROOT, temporary_prefix
from workshop.run import tcp_ports

__all__ = ["checkout_fixture"]
SHELLS = [["dash"], ["bash", "--posix"], ["busybox", "sh"], ["mksh"]]
LAB = find("1")
FILE = Path("labs") / LAB.name / LAB.edit[0]


def make(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *words],
        cwd=cwd,
        env={**judging.environment(), "MODE": "embedded", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_from_and_target_count_on_the_command_line_only(checkout: Path) -> None:
    before = (checkout / FILE).read_bytes()
    words = {"FROM": "solution", "TARGET": "solution", "ARGS": "--no-such-option", "LAB": "9", "UI": "1"}
    done = make("lab-1", cwd=checkout, **words)
    assert done.returncode == 0, done.stderr
    assert "NotImplementedError: lab 1 task 1" in done.stdout
    assert (checkout / FILE).read_bytes() == before
    done = make("lab-1", "FROM=solution", "ARGS=-k says_hello", cwd=checkout)
    assert "These pass" in done.stdout, done.stdout + done.stderr
    assert make("check-1", "TARGET=oracle", "ARGS=-k says_hello", cwd=checkout).returncode == 0


def test_from_knows_two_words(checkout: Path) -> None:
    done = make("lab-1", "FROM=banana", cwd=checkout)
    assert done.returncode == 2
    assert "FROM=banana can't be used: it is solution or starter." in done.stderr
    assert not done.stdout


def test_mode_of_somebody_else_is_nobody_s(checkout: Path) -> None:
    words = ["-n", "check-1", "ARGS="]
    assert make(*words, cwd=checkout, MODE="production").returncode == 0
    done = make("progress", cwd=checkout, MODE="production")
    assert done.returncode == 0, done.stdout + done.stderr
    done = make("progress", "MODE=production", cwd=checkout)
    assert done.returncode == 2
    assert "MODE is docker or embedded" in done.stderr


def test_an_nginx_that_is_no_program_is_said_in_one_line() -> None:
    line = "NGINX=/nowhere/nginx can't be used: there is no such program. Name an nginx, or leave it out.\n"
    done = launch("check", "1", NGINX="/nowhere/nginx")
    assert (done.returncode, done.stderr) == (2, line)
    done = launch("doctor", NGINX="/nowhere/nginx")
    assert done.returncode == 1
    assert f"✗ nginx      {line}" in done.stdout


def test_pytest_s_own_variables_reach_no_proof(tmp_path: Path) -> None:
    """With --co in PYTEST_ADDOPTS `make test` would pass, and nothing would be proven."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "given: $PYTEST_ADDOPTS$PYTEST_PLUGINS"\n')
    python.chmod(0o755)
    done = make("test", "PYTHON=true", cwd=tmp_path, PYTEST_ADDOPTS="--co", PYTEST_PLUGINS="nothing")
    assert done.stdout == "given: \n", done.stderr


@pytest.mark.parametrize(
    "shell",
    [
        pytest.param(shell, id=shell[0], marks=pytest.mark.one_of("surroundings of a machine", "shells"))
        for shell in SHELLS
    ],
)
def test_the_launcher_runs_in_any_shell(shell: list[str], checkout: Path) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"there is no {shell[0]} on this machine")
    folder = checkout.parent / "elsewhere"
    (folder / "workshop").mkdir(parents=True)
    done = subprocess.run(
        [*shell, "workshop/launch.sh", "check", "1", "--target", "solution", "-k", "says_hello"],
        cwd=checkout,
        env={**judging.environment(), "MODE": "embedded", "CDPATH": str(folder), "ENV": "/nowhere"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "These pass" in done.stdout


def test_nginx_reads_folders_with_spaces(tmp_path: Path) -> None:
    """Whoever chooses the folder, the configuration quotes it."""
    from workshop.run import nginx_config

    program = nginx_config.command()
    if program is None:
        pytest.skip("there is no nginx on this machine")
    run = tmp_path / "a folder; of {mine}"
    run.mkdir()
    ports = dict.fromkeys(LAB.services, 15000)
    front = nginx_config.Front("learner", "127.0.0.1:15001", ports, LAB.folder)
    found = nginx_config.files(LAB, [front], "127.0.0.1", run, run)
    (run / "nginx.conf").write_text(found["nginx.conf"])
    words = [program, "-t", "-q", "-e", "stderr", "-c", str(run / "nginx.conf")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "lab", ["1", pytest.param("19", marks=pytest.mark.whole("surroundings of a machine"))]
)
def test_a_temporary_folder_with_a_space(lab: str, tmp_path: Path) -> None:
    temporary = tmp_path / ("with a space " + "x" * 100)
    temporary.mkdir()
    done = launch("check", lab, "--target", "solution", TMPDIR=str(temporary))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_clone_keeps_every_byte_whatever_git_is_told(tmp_path: Path) -> None:
    """core.autocrlf would break scripts in containers, and requests that are bytes."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    clone = tmp_path / "clone"
    words = ["git", "-c", "core.autocrlf=true", "clone", "-q", "--no-hardlinks", str(ROOT), str(clone)]
    subprocess.run(words, check=True, capture_output=True)
    for name in ("workshop/launch.sh", "compose.yaml", "labs/01-the-callable/requests/hello.http"):
        committed = subprocess.run(["git", "show", f"HEAD:{name}"], cwd=ROOT, capture_output=True, check=True)
        assert (clone / name).read_bytes() == committed.stdout, name


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_the_signs_gets_others(encoding: str) -> None:
    code = (
        "import sys; sys.stdout.reconfigure(encoding=sys.argv[1]); "
        "from workshop.plain_signs import say_plainly; say_plainly(); print('✓ ✗ … → café 漢')"
    )
    words = [sys.executable, "-c", code, encoding]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    coffee = "cafe" if encoding == "ascii" else "café"
    assert done.stdout.decode(encoding) == f"+ x ... -> {coffee} ?\n"


def test_set_up_asks_the_index_that_pip_asks_and_names_it(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://ada:secret@mirror.invalid/simple\n")
    env = {**judging.environment(), "PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX"):
        env.pop(name, None)
    code = "import sys; sys.path.insert(0, 'workshop'); import bootstrap\n"
    code += "print(bootstrap.index_of(sys.argv[1]))\n"
    code += "print(bootstrap.installing_env(sys.argv[1])['UV_DEFAULT_INDEX'])\n"
    code += "print(bootstrap.shown(bootstrap.index_of(sys.argv[1])))"
    words = [sys.executable, "-c", code, sys.executable]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "https://ada:secret@mirror.invalid/simple",
        "https://ada:secret@mirror.invalid/simple",
        "https://mirror.invalid/simple",
    ], done.stderr


def test_a_venv_whose_python_or_folder_has_changed_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "python3.13", tmp_path / "python3.14"
    for file in (old, new, tmp_path / "clone/.venv/bin/uv"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    venv = tmp_path / "clone/.venv"
    monkeypatch.setattr(bootstrap, "VENV", str(venv))
    (venv / "bin/python").symlink_to(old)

    def states() -> list[bool]:
        return [bootstrap.is_ready("course"), bootstrap.is_ready("test"), bootstrap.is_usable()]

    assert states() == [False, False, True], "half made: packages can still be put into it"
    (venv / "ready").write_text("\n".join([bootstrap.stamp("test"), *bootstrap.places()]) + "\n")
    assert states() == [True, True, True]
    old.unlink()
    assert states() == [False, False, False], "its Python is gone"
    (venv / "bin/python").unlink()
    (venv / "bin/python").symlink_to(new)
    assert states() == [False, False, False], "its packages are another Python's"
    (venv / "ready").write_text("\n".join([bootstrap.stamp("course"), *bootstrap.places()]) + "\n")
    assert states() == [True, False, True], "the packages of the tests are still to come"
    (tmp_path / "clone").rename(tmp_path / "moved")
    monkeypatch.setattr(bootstrap, "VENV", str(tmp_path / "moved/.venv"))
    assert states() == [False, False, False], "its commands name the old folder"


def test_a_second_command_waits_until_the_first_has_made_the_venv(tmp_path: Path) -> None:
    given = [
        Path(path).relative_to(ROOT)
        for path in (bootstrap.NGINX_LOCK, bootstrap.UV_LOCK, *bootstrap.LOCKS.values())
    ]
    for name in (Path("workshop/bootstrap.py"), *given):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/workshop").touch()
    python = tmp_path / ".venv/bin/python"
    python.symlink_to(sys.executable)
    words = [sys.executable, "-E", "workshop/bootstrap.py"]
    with (tmp_path / "workshop/bootstrap.py").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        second = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        with second:
            assert second.stdout is not None
            assert second.stdout.readline() == "Another command is making .venv: waiting for it ...\n"
            places = [os.path.realpath(python), os.path.realpath(tmp_path / ".venv")]
            (tmp_path / ".venv/ready").write_text("\n".join([bootstrap.stamp("course"), *places]) + "\n")
            fcntl.flock(file, fcntl.LOCK_UN)
            assert second.stdout.read() == ""
    assert second.returncode == 0


@pytest.mark.whole("surroundings of a machine")
def test_an_index_that_does_not_answer_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "workshop folder"
    ignore = shutil.ignore_patterns(
        ".git", ".venv", ".workshop", "__pycache__", ".*_cache", ".hypothesis", "tests", "solutions"
    )
    shutil.copytree(ROOT, folder, ignore=ignore)
    env = {**judging.environment(), "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}
    words = [sys.executable, "-E", "workshop/bootstrap.py"]
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("Installing uv failed") and "Asked: http://127.0.0.1:9/simple" in last, done.stdout


DOCKER = """#!/bin/sh
case "$*" in
"info "*) echo "27.0 []" ;;
"compose version "*) echo 2.30.0 ;;
*" build "*) echo "trusted: $LAB_CA_BUNDLE" >&2; echo "SSLError: CERTIFICATE_VERIFY_FAILED"; exit 1 ;;
*) exit 1 ;;
esac
"""


@pytest.fixture(name="with_docker")
def with_docker_fixture(tmp_path: Path) -> dict[str, str]:
    """An engine that answers, has no image and can build none; and a user who is root."""
    programs = {"docker": DOCKER, "id": "#!/bin/sh\necho 0\n", "chown": "#!/bin/sh\n"}
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return {"MODE": "docker", "PATH": f"{folder}:{os.environ['PATH']}"}


def test_an_image_is_built_with_what_this_machine_trusts(
    checkout: Path, tmp_path: Path, with_docker: dict[str, str]
) -> None:
    own, large = tmp_path / "ca.pem", tmp_path / "large.pem"
    own.write_text("a certificate")
    large.write_bytes(b"x" * 500_000)  # BuildKit takes no secret of that size
    for env, trusted in (
        ({"LAB_CA_BUNDLE": str(own), "SSL_CERT_FILE": "/nowhere"}, str(own)),
        ({"LAB_CA_BUNDLE": "", "SSL_CERT_FILE": str(own)}, str(own)),
        ({"LAB_CA_BUNDLE": str(large), "SSL_CERT_FILE": str(own)}, str(own)),
    ):
        done = launch("check", "1", cwd=checkout, **with_docker, **env)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == (
            "docker: the runtime image can't be built: a certificate on the way there is not known; "
            "LAB_CA_BUNDLE=/path/to/ca.pem names its authority's; all of it is in .workshop/docker.log"
        ), done.stderr
        assert f"trusted: {trusted}\n" in (checkout / ".workshop/docker.log").read_text()


def test_files_that_only_root_reads_are_no_use_to_containers(
    checkout: Path, with_docker: dict[str, str]
) -> None:
    (checkout / FILE).chmod(0o600)
    done = launch("check", "1", cwd=checkout, **with_docker)
    assert done.returncode == 2
    assert done.stderr == (
        "docker: root's files here can be read by nobody else, and containers do not run as root: "
        "chmod -R a+rX .\n"
    )


def test_serve_direct_on_a_taken_port_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = launch("serve", "1", "--direct", "--target", "solution", PORT=str(port))
    assert done.returncode == 2
    assert f"Port {port} is taken" in said(done)


NOISY = """
def application(environ, start_response):
    print("a word of mine")
    raise ValueError("a mistake of mine")
"""


def test_serve_shows_what_services_print_and_ends_on_sigterm(tmp_path: Path) -> None:
    target = tmp_path / "target"
    shutil.copytree(ROOT / "solutions" / LAB.name, target)
    (target / LAB.edit[0]).write_text(NOISY)
    words = [sys.executable, "-m", "workshop", "serve", "1", "--target", str(target), "--port", "15999"]
    run = subprocess.Popen(
        words,
        cwd=ROOT,
        env=judging.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.stdout is not None
    seen = run.stdout.readline()
    while "://" not in seen:
        seen = run.stdout.readline()
    host, _, port = seen.split("//")[1].split("/")[0].partition(":")
    with socket.create_connection((host, int(port))) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        while link.recv(1 << 16):
            pass
    rows = iter(run.stdout.readline, "")
    assert any("| a word of mine" in row for row in rows)
    assert any("| ValueError: a mistake of mine" in row for row in rows)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=SECONDS)
    assert run.returncode == 0
    assert_all_gone(target)


def test_down_ends_every_process_of_this_folder(checkout: Path) -> None:
    """The tool is killed, and its agent as well, so that services and nginx are nobody's children."""
    env = judging.environment() | {"MODE": "embedded", "PORT": str(tcp_ports.free_port())}
    with subprocess.Popen(
        ["sh", "workshop/launch.sh", "serve", "1", "--target", "solution"],
        cwd=checkout,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        while "gunicorn" not in run.stdout.readline():
            pass
        of_checkout = [pid for pid in all_pids() if pid != run.pid and belongs(pid, checkout)]
        assert len(of_checkout) >= 4, "agent, nginx, its worker, a service"
        agent = next(
            pid for pid in of_checkout if b"workshop.run.agent" in checkout_processes._read(pid, "cmdline")
        )
        os.kill(run.pid, signal.SIGSTOP)  # it would see that its agent has gone, and sweep up itself
        for pid in (agent, run.pid):
            os.kill(pid, signal.SIGKILL)
    done = launch("down", cwd=checkout)
    assert done.returncode == 0
    assert "Ended " in done.stdout and "Removed 2 folders" in done.stdout, done.stdout + done.stderr
    deadline = time.monotonic() + SECONDS
    while left := [pid for pid in all_pids() if belongs(pid, checkout)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
    assert "Nothing was left." in launch("down", cwd=checkout).stdout


def all_pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def belongs(pid: int, checkout: Path) -> bool:
    """By its environment; nginx's title stands in that place, and names a folder of the checkout's."""
    told = checkout_processes._read(pid, "environ").split(b"\0")
    title = checkout_processes._read(pid, "cmdline")
    return f"WORKSHOP_CHECKOUT={checkout}".encode() in told or temporary_prefix(checkout).encode() in title


def test_work_comes_back_from_the_attic(checkout: Path) -> None:
    file = checkout / FILE
    nothing = launch("attic", cwd=checkout)
    assert "Nothing is kept" in nothing.stdout
    file.write_text("mine = 1\n")
    launch("reset", "1", cwd=checkout)
    file.write_text("mine = 2\n")
    done = launch("restore", "1", cwd=checkout)
    assert file.read_text() == "mine = 1\n", done.stdout + done.stderr
    launch("reset", "1", cwd=checkout)
    launch("restore", "1", cwd=checkout)
    assert file.read_text() in ("mine = 1\n", "mine = 2\n"), "a starter that was kept is no work"
    kept = {path.parent.name: path.read_text() for path in (checkout / ".workshop/attic").rglob(LAB.edit[0])}
    listed = launch("attic", cwd=checkout).stdout
    assert all(name in listed for name in kept)
    name = next(name for name, text in kept.items() if text == "mine = 2\n")
    launch("restore", "1", "--kept", name, cwd=checkout)
    assert file.read_text() == "mine = 2\n"
    done = launch("restore", "1", "--kept", "yesterday", cwd=checkout)
    assert done.returncode == 2
    assert "The attic has no yesterday of lab 1" in said(done)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_is_a_script_of_that_shell(shell: str) -> None:
    script = judging.run("completion", shell).stdout
    assert "restore" in script and "--seed" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)
    if shell == "bash":
        asks = script + '\nCOMP_WORDS=(workshop rest); COMP_CWORD=1; _workshop; echo "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", asks], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "restore"


def test_the_entry_point_is_what_the_command_runs() -> None:
    import tomllib

    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["workshop"]
    module, _, function = entry.partition(":")
    assert f"from {module} import {function}; sys.exit({function}())" in bootstrap.COMMAND
