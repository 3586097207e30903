"""What of the user's environment is passed on, and to whom. Whatever is not on a list stays outside.

A variable that a server, pytest or Python itself reads (GUNICORN_CMD_ARGS, WEB_CONCURRENCY, PYTEST_ADDOPTS,
PYTHONPATH, a proxy …) would change a verdict. So the tool cleans its own environment when it starts, and what
it starts gets a shorter list still.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping

from workshop.paths import ROOT

# Names, or how names begin. What a program needs to be found and loaded.
PROGRAMS = """
    PATH HOME USER LOGNAME SHELL TMPDIR SYSTEMROOT
    LD_LIBRARY_PATH DYLD_LIBRARY_PATH DYLD_FALLBACK_LIBRARY_PATH NIX_LD NIX_LD_LIBRARY_PATH
"""
# How a person reads what is printed.
TERMINAL = "TERM TERM_PROGRAM COLORTERM NO_COLOR FORCE_COLOR COLUMNS LINES LANG LANGUAGE LC_* TZ"
# What this workshop documents, and what it tells itself.
OURS = """
    PORT MODE UI WORKERS LOAD_SECONDS NGINX NGINX_IMAGE PYTHON_IMAGE LAB LAB_CA_BUNDLE WORKSHOP_* WATCHFILES_*
"""
# What pip and uv are told: which index, through what, with which certificates.
INSTALLERS = """
    PIP_* UV_* XDG_CONFIG_HOME XDG_CONFIG_DIRS XDG_CACHE_HOME NETRC
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
    HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
"""
# How Docker, a scheduler and the user's own service manager (which limits sandboxes) are reached.
ENGINES = "DOCKER_* BUILDKIT_* BUILDX_* DASK_* XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS SSH_AUTH_SOCK"
# Two of Python's own that change no verdict; the image has them.
PYTHONS = "PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED"

# The same for every program on every machine, so that a verdict does not depend on where it was found.
FIXED = {"LANG": "C.UTF-8", "TZ": "UTC", "PYTHONUTF8": "1"}
# Says whose a process is, for `make down`.
MARK = "WORKSHOP_CHECKOUT"
# nginx takes no quotes in a learner's own file, and a Unix socket's name has 104 bytes at most (macOS).
PLAIN_FOLDER = re.compile(r"[A-Za-z0-9_./+-]{1,50}")
# What is narrower is nobody's terminal: a report would be a column of letters, or nothing.
WIDTH = re.compile(r"[2-9][0-9]|[1-9][0-9]{2,3}")


def of_tool(env: Mapping[str, str]) -> dict[str, str]:
    """What the tool itself goes by: the judge and pytest in it, the agent, the installers, the graders."""
    kept = _only(env, PROGRAMS, TERMINAL, OURS, INSTALLERS, ENGINES, PYTHONS)
    return _without_unusable(kept)


def of_program(env: Mapping[str, str], *, on_terminal: bool = False) -> dict[str, str]:
    """What a service, nginx or locust sees; `on_terminal`: where a person talks to it."""
    kept = _only(env, PROGRAMS, TERMINAL if on_terminal else "")
    return {**_without_unusable(kept), **FIXED, MARK: str(ROOT)}


def _only(env: Mapping[str, str], *lists: str) -> dict[str, str]:
    names = " ".join(lists).split()
    exact, begins = set(names), tuple(name[:-1] for name in names if name.endswith("*"))
    return {key: value for key, value in env.items() if key in exact or key.startswith(begins)}


def _without_unusable(env: dict[str, str]) -> dict[str, str]:
    """Without a TMPDIR that sockets or nginx could not use (then it is the system's own), or a width of 0."""
    for name, usable, usual in (("TMPDIR", PLAIN_FOLDER, "/tmp"), ("COLUMNS", WIDTH, "80")):
        if not usable.fullmatch(env.get(name, usual)):
            del env[name]
    return env


def clean_own() -> None:
    """Leave this process with the tool's list. Where Python itself has read more than that, begin again."""
    told = [key for key in os.environ if key.startswith("PYTHON") and key not in PYTHONS.split()]
    kept = of_tool(os.environ)
    if told and not sys.flags.ignore_environment:
        os.execve(sys.executable, [sys.executable, "-E", "-m", "workshop", *sys.argv[1:]], kept)
    os.environ.clear()
    os.environ.update(kept)
