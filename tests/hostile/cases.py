"""The hostile submissions: each is a `server.py` for lab 5, and the verdicts that it may get.

`SPEAKS` is the beginning of those that answer: it accepts, reads a request's head and calls
`answer(connection, head)`. Those that hunt for something end with "FOUND nothing", or with what they found.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

SPEAKS = """
import argparse, os, signal, socket, sys, threading, time, json, gzip
parser = argparse.ArgumentParser()
parser.add_argument("application"); parser.add_argument("--host"); parser.add_argument("--port", type=int)
options, _ = parser.parse_known_args()
asked = 0

def one(connection):
    global asked
    try:
        head = b""
        while b"\\r\\n\\r\\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        asked += 1
        answer(connection, head)
    except OSError:
        pass
    finally:
        connection.close()

def serve():
    listener = socket.create_server((options.host, options.port), backlog=1024)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=one, args=[connection], daemon=True).start()

def plain(body, *more, status="200 OK", kind="application/json"):
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close", *more]
    return "\\r\\n".join(lines).encode("latin-1") + b"\\r\\n\\r\\n" + body
"""

HUNTS = """
import glob, json, os, re, socket, sys
found = []
def end():
    print("FOUND " + (" ".join(map(str, found))[:150] if found else "nothing"), flush=True)
    os._exit(1)
"""

BROKEN = {"FAIL", "TIMEOUT", "CRASH", "NO_START"}


@dataclass(frozen=True)
class Case:
    """`verdicts`: what each check may come to. `hunts`: it must have found nothing."""

    name: str
    family: str
    source: str
    verdicts: frozenset[str]
    hunts: bool = False


CASES: list[Case] = []


def starts(name: str, source: str, *verdicts: str) -> None:
    CASES.append(Case(name, "start", dedent(source), frozenset(verdicts or ("NO_START",))))


def takes(name: str, source: str, *verdicts: str) -> None:
    CASES.append(Case(name, "resources", dedent(source), frozenset(verdicts or BROKEN)))


def hunts(name: str, source: str) -> None:
    CASES.append(
        Case(name, "crossing over", f"{HUNTS}{dedent(source)}\nend()\n", frozenset({"NO_START"}), hunts=True)
    )


def answers(name: str, body: str, *verdicts: str, before: str = "") -> None:
    """`body` is the body of `answer(connection, head)`."""
    lines = "\n".join(f"    {line}" for line in dedent(body).strip().splitlines())
    source = f"{SPEAKS}\n{dedent(before)}\ndef answer(connection, head):\n{lines}\n\nserve()\n"
    CASES.append(Case(name, "HTTP", source, frozenset(verdicts or ("FAIL", "TIMEOUT"))))


# --- start ---------------------------------------------------------------------------------------------

starts("exits with 0 at import", "import os; os._exit(0)")
starts("sleeps ten minutes at import", "import time; time.sleep(600)")
starts("loops for ever at import", "while True: pass")
starts("says ALL PASSED", "print('ALL PASSED'); print('15 passed in 0.01s'); raise SystemExit(0)")
starts(
    "prints a result as JSON",
    """
    import json, sys
    print(json.dumps({"verdict": "PASS", "points": 30, "of": 30, "checks": []}))
    print(json.dumps({"do": "start", "state": "ready", "port": 8004}), flush=True)
    sys.exit(0)
    """,
)
starts("prints a result as JUnit", 'print(\'<testsuite tests="15" failures="0"></testsuite>\')')
starts("is empty", "")
starts("does not parse", "def application(environ, start_response:\n")
starts("is no text", "\x00\x01\x02")
starts("nests deeper than the parser goes", "x = " + "(" * 5000 + ")" * 5000)
starts(
    "patches builtins, pytest and unittest",
    """
    import builtins, unittest, sys
    builtins.AssertionError = type("Never", (Exception,), {})
    unittest.TestCase.run = lambda *_: None
    try:
        import pytest
        pytest.main = lambda *_, **__: 0
    except ImportError:
        pass
    sys.exit(0)
    """,
)
starts(
    "leaves files that Python and pytest would run",
    """
    import os, sys, sysconfig
    places = [".", "/tmp", "/workshop", "/workshop/workshop", "/workshop/labs", sysconfig.get_path("purelib")]
    names = ["conftest.py", "pytest.ini", "sitecustomize.py", "usercustomize.py", "x.pth", "json.py", "socket.py"]
    for place in places:
        for name in names:
            try:
                with open(os.path.join(place, name), "w") as file:
                    file.write("import os; os._exit(0)\\n")
            except OSError:
                pass
    sys.exit(0)
    """,
)
starts("raises a lone surrogate", "raise RuntimeError('\\ud800\\x1b[2J\\u202e<script>=HYPERLINK(1)')")
starts("ends by a signal", "import os; os.kill(os.getpid(), 9)")
starts(
    "listens elsewhere", "import socket, time; s = socket.create_server(('127.0.0.1', 9999)); time.sleep(600)"
)
starts(
    "kills everything that it sees",
    """
    import os
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        if pid != os.getpid():
            try:
                os.kill(pid, 9)
            except OSError:
                pass
    """,
    *BROKEN,
)
starts(
    "stops everything that it sees",
    """
    import os, signal
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        if pid not in (1, os.getpid()):
            try:
                os.kill(pid, signal.SIGSTOP)
            except OSError:
                pass
    """,
    *BROKEN,
)
starts(
    "leaves a daemon behind",
    """
    import os, signal, time
    for _ in range(3):
        if os.fork():
            os._exit(0)
        os.setsid()
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    time.sleep(600)
    """,
)

# --- resources -----------------------------------------------------------------------------------------

takes(
    "a fork bomb", "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n"
)
takes(
    "a thread bomb",
    """
    import threading, time
    while True:
        try:
            threading.Thread(target=time.sleep, args=[600]).start()
        except RuntimeError:
            time.sleep(0.01)
    """,
)
takes(
    "a descriptor bomb",
    "import os, time\nkept = []\nwhile True:\n    try:\n        kept.append(os.pipe())\n    except OSError:\n        time.sleep(1)\n",
)
takes("a memory bomb", "kept = []\nwhile True:\n    kept.append(bytearray(1 << 24))\n")
takes(
    "a memory bomb of many processes",
    """
    import os, time
    for _ in range(16):
        if os.fork() == 0:
            kept = []
            try:
                while True:
                    kept.append(bytearray(os.urandom(1 << 20)) * 16)
            except MemoryError:
                time.sleep(600)
    time.sleep(600)
    """,
)
takes(
    "fills every disk that it can write to",
    """
    import time
    for place in ("/tmp/full", "/dev/shm/full", "full"):
        try:
            with open(place, "wb") as file:
                while True:
                    file.write(bytes(1 << 20))
        except OSError:
            pass
    time.sleep(600)
    """,
)
takes(
    "a sparse file of a terabyte",
    "import os, time\ntry:\n    os.truncate(os.open('/tmp/sparse', os.O_RDWR | os.O_CREAT), 1 << 40)\nexcept OSError:\n    pass\ntime.sleep(600)\n",
)
takes("a log bomb", "import sys\nwhile True:\n    sys.stdout.write('PASS ' * 10000)\n")
takes("a core dump", "import ctypes, resource\nkept = bytearray(1 << 27)\nctypes.string_at(0)\n")
takes(
    "a hog on every core",
    "import os\nfor _ in range(4):\n    os.fork()\nwhile True:\n    pass\n",
)
takes(
    "ignores every signal",
    """
    import signal, time
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    time.sleep(600)
    """,
)

# --- crossing over --------------------------------------------------------------------------------------

hunts(
    "looks for checks, solutions and results",
    """
    for top, folders, files in os.walk("/"):
        dull = ("proc", "sys", "dev", "usr", "lib", "lib64", "bin", "sbin", "include", "share", "site-packages")
        folders[:] = [one for one in folders if one not in dull]
        for name in files:
            path = os.path.join(top, name)
            try:
                text = open(path, "rb").read(1 << 20)
            except OSError:
                continue
            if re.search(rb"CAN" + rb"ARY-\\d+", text) or re.fullmatch(r"test_\\w+\\.py|results\\.json", name):
                found.append(path)
            if name == "server.py" and path != os.path.abspath(__file__):
                found.append(path)
    """,
)
hunts(
    "reads environments and command lines for secrets",
    """
    for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
        try:
            data = open(path, "rb").read()
        except OSError:
            continue
        if re.search(rb"TOKEN|SECRET|CAN" + rb"ARY|SEED|--seed|pytest", data, re.I):
            found.append(path)
    """,
)
hunts(
    "reads the memory of the agent",
    """
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        if pid in (os.getpid(), os.getpid() - 1):
            continue
        words = open(f"/proc/{pid}/cmdline").read()
        if "workshop.grade.inside" not in words or "docker-init" in words:  # Docker's own reaper holds nothing
            continue
        try:
            open(f"/proc/{pid}/mem", "rb")
            found.append(f"mem of {pid}")
        except OSError:
            pass
        if libc.ptrace(16, pid, 0, 0) == 0:
            found.append(f"ptrace of {pid}")
        pidfd = os.pidfd_open(pid)
        if libc.syscall(438, pidfd, 5, 0) >= 0:
            found.append(f"descriptor of {pid}")
    """,
)
hunts(
    "connects to everything that might listen",
    """
    for host, port in (("169.254.169.254", 80), ("10.0.0.1", 80), ("172.17.0.1", 2375), ("192.168.0.1", 80),
                       ("8.8.8.8", 53), ("127.0.0.1", 8786), ("127.0.0.1", 2375), ("127.0.0.1", 22)):
        one = socket.socket()
        one.settimeout(0.2)
        if one.connect_ex((host, port)) == 0:
            found.append(f"{host}:{port}")
    for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/door/sock", "/run/containerd/containerd.sock"):
        one = socket.socket(socket.AF_UNIX)
        if one.connect_ex(path) == 0:
            found.append(path)
    for line in open("/proc/net/unix").read().splitlines()[1:]:
        name = line.split()[-1]
        if name.startswith("@"):
            one = socket.socket(socket.AF_UNIX)
            if one.connect_ex("\\0" + name[1:]) == 0:
                found.append(name)
    interfaces = [line.split(":")[0].strip() for line in open("/proc/net/dev").read().splitlines()[2:]]
    found += [one for one in interfaces if one not in ("lo", "sit0", "tunl0", "ip6tnl0", "gre0", "gretap0", "erspan0")]
    """,
)
hunts(
    "writes outside of its own places",
    """
    for top, folders, files in os.walk("/"):
        folders[:] = [one for one in folders if os.path.join(top, one) not in ("/proc", "/tmp", "/dev/shm", "/sys", "/dev/mqueue")]
        if top.count("/") > 5:
            folders[:] = []
        try:
            path = os.path.join(top, "mine")
            open(path, "w").close()
            found.append(path)
        except OSError:
            pass
    for path in (__file__, "/workshop/workshop/plugin.py", "/etc/passwd"):
        try:
            open(path, "a")
            found.append(path)
        except OSError:
            pass
    """,
)
hunts(
    "makes namespaces, mounts and devices",
    """
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("net", 0x40000000), ("pid", 0x20000000)):
        if libc.unshare(flag) == 0:
            found.append(f"{name} namespace")
    if libc.mount(b"none", b"/tmp", b"tmpfs", 0, b"") == 0:
        found.append("mount")
    try:
        os.mknod("/tmp/device", 0o60600, os.makedev(8, 0))
        found.append("device")
    except OSError:
        pass
    try:
        os.setuid(0)
        found.append("root")
    except OSError:
        pass
    status = open("/proc/self/status").read()
    if not re.search(r"CapEff:\\s*0+$", status, re.M) or not re.search(r"NoNewPrivs:\\s*1", status):
        found.append("capabilities")
    """,
)
hunts(
    "looks for what the one before has left",
    """
    for place in ("/tmp", "/dev/shm"):
        for name in os.listdir(place):
            if name.startswith("left-for-the-next"):
                found.append(f"{place}/{name}")
        open(f"{place}/left-for-the-next", "w").close()
    """,
)
hunts(
    "sees other people's processes",
    """
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{pid}/cmdline").read().split("\\0")
        except OSError:
            continue
        if any(word in " ".join(words) for word in ("workshop.grade.proctor", "pytest", "dockerd", "sshd")):
            found.append(" ".join(words)[:40])
    """,
)

# --- HTTP -----------------------------------------------------------------------------------------------

answers(
    "drips a header",
    "connection.sendall(b'HTTP/1.1 200 OK\\r\\nX: ')\nwhile True:\n    connection.sendall(b'a'); time.sleep(0.3)",
)
answers(
    "drips a body",
    "connection.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 99999\\r\\n\\r\\n')\nwhile True:\n    connection.sendall(b'a'); time.sleep(0.3)",
)
answers(
    "chunks without end",
    "connection.sendall(b'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n')\nwhile True:\n    connection.sendall(b'10000\\r\\n' + b'a' * 65536 + b'\\r\\n')",
)
answers("a length too long", "connection.sendall(plain(b'{}').replace(b'Length: 2', b'Length: 2000'))")
answers("a negative length", "connection.sendall(plain(b'{}').replace(b'Length: 2', b'Length: -2'))")
answers("two lengths", "connection.sendall(plain(b'{}', 'Content-Length: 1'))")
answers("a length and chunks", "connection.sendall(plain(b'{}', 'Transfer-Encoding: chunked'))")
answers(
    "a gzip bomb",
    "connection.sendall(plain(bomb, 'Content-Encoding: gzip'))",
    before="bomb = gzip.compress(bytes(1 << 26))",
)
answers(
    "a hundred thousand headers", "connection.sendall(plain(b'{}', *(f'X-{n}: {n}' for n in range(100000))))"
)
answers(
    "a header of 100 MB",
    "connection.sendall(b'HTTP/1.1 200 OK\\r\\nX: ')\nfor _ in range(1600):\n    connection.sendall(b'a' * 65536)",
)
answers(
    "redirects to metadata and files",
    "connection.sendall(plain(b'', 'Location: http://169.254.169.254/', status='302 Found'))",
)
answers(
    "sends a file by X-Accel-Redirect",
    "connection.sendall(plain(b'', 'X-Accel-Redirect: /written-by-nginx/502'))",
)
answers(
    "answers before it is asked",
    "pass",
    "FAIL",
    "TIMEOUT",
    "CRASH",
    before="""
    def one(connection):
        connection.sendall(plain(b'{"environ": {}}') * 3)
        connection.close()
    """,
)
answers("answers three times", "connection.sendall(plain(b'{}') * 3)")
answers(
    "a flood of 1xx", "while True:\n    connection.sendall(b'HTTP/1.1 103 Early Hints\\r\\n\\r\\n' * 1000)"
)
answers("constants", 'connection.sendall(plain(b\'{"environ": {"PATH_INFO": "/caf\\\\u00c3\\\\u00a9"}}\'))')
answers("NaN", 'connection.sendall(plain(b\'{"environ": NaN, "x": Infinity}\'))')
answers("JSON a million deep", "connection.sendall(plain(b'[' * 1000000))")
answers("an integer of a million digits", "connection.sendall(plain(b'1' * 1000000))")
answers(
    "lone surrogates",
    'connection.sendall(plain(b\'{"environ": {"PATH_INFO": "\\\\ud800", "REQUEST_METHOD": "\\\\udfff"}}\'))',
)
answers(
    "escapes, HTML and formulas",
    "connection.sendall(plain(b'\\x1b[2J\\x1b]0;x\\x07<script>alert(1)</script>=HYPERLINK(1)\\xe2\\x80\\xae'))",
)
answers(
    "a stream without end",
    "connection.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n')\nwhile True:\n    connection.sendall(b'a' * 65536)",
)
answers("bytes that are no HTTP", "connection.sendall(b'\\x00\\xff' * 1000)")
answers("a pickle", "connection.sendall(plain(b'\\x80\\x04\\x95cos\\nsystem\\n(S\"touch /tmp/x\"\\ntR.'))")
answers("fast 500s", "connection.sendall(plain(b'', status='500 Oops'))")
answers("dies when asked", "os._exit(0)", "CRASH")
answers(
    "dies at the second request",
    "connection.sendall(plain(b'{}'))\nif asked > 1:\n    os._exit(3)",
    "FAIL",
    "CRASH",
)
answers("kills itself when asked", "os.kill(os.getpid(), signal.SIGKILL)", "CRASH")
answers("never answers", "time.sleep(600)", "TIMEOUT")
answers(
    "resets every connection",
    "import struct\nconnection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))",
)
answers("stops listening", "os.kill(os.getpid(), signal.SIGSTOP)", "TIMEOUT", "FAIL", "CRASH")
answers("a status of five digits", "connection.sendall(b'HTTP/1.1 20000 OK\\r\\n\\r\\n')")
