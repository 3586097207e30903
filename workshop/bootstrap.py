"""Make `.venv`: `python3 workshop/bootstrap.py [test]`. One line a step, one line when something is missing.

With --is-ready it makes nothing: exit code 0 when the .venv is there.

This file runs on whatever Python a machine has, so that it can say that it is too old: no new syntax here.
"""

import hashlib
import os
import sys

# Each command of the workshop asks --is-ready first: what only an installation needs is imported there.

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
OLDEST = (3, 11)
NGINX_LOCK = os.path.join(ROOT, "services", "nginx", "requirements.lock")
UV_LOCK = os.path.join(ROOT, "services", "runtime", "uv.lock")
LOCKS = {
    "course": os.path.join(ROOT, "requirements.lock"),
    "test": os.path.join(ROOT, "tests", "requirements.lock"),
}


class Trouble(Exception):
    pass


def say(text):
    print(text)
    sys.stdout.flush()


def ready_file():
    return os.path.join(VENV, "ready")


def stamp(group):
    """What the environment was made from: it changes with the locks."""
    digest = hashlib.sha256()
    for path in (LOCKS[group], NGINX_LOCK, UV_LOCK):
        with open(path, "rb") as file:
            digest.update(file.read())
    return group + " " + digest.hexdigest()


def made_of():
    """What .venv/ready says: the stamp, then where the Python and the folder were then."""
    try:
        with open(ready_file()) as file:
            return file.read().splitlines()
    except (IOError, OSError):
        return []


def places():
    """An upgrade replaces the Python of a .venv, and a folder that is moved breaks its commands."""
    return [os.path.realpath(python()), os.path.realpath(VENV)]


def is_ready(group):
    """Whether .venv holds this group; the test group holds the course too."""
    found = made_of()
    if found[1:] != places() or not os.path.exists(python()):
        return False
    return found[0] == stamp(group) or (group == "course" and found[0] == stamp("test"))


def is_usable():
    """Whether packages can be put into the .venv that is there."""
    uv = os.path.join(VENV, "bin", "uv")
    return os.path.exists(uv) and os.path.exists(python()) and made_of()[1:] in ([], places())


# What pip and uv go by here: where packages are, and how to get there. What else they can be told (PIP_USER,
# PIP_TARGET, UV_PYTHON ...) would put other things into .venv, or the same ones elsewhere.
INSTALLERS_GO_BY = """
    PATH HOME USER LOGNAME SHELL TMPDIR LANG LC_ALL LC_CTYPE
    LD_LIBRARY_PATH DYLD_LIBRARY_PATH DYLD_FALLBACK_LIBRARY_PATH NIX_LD NIX_LD_LIBRARY_PATH
    XDG_CONFIG_HOME XDG_CONFIG_DIRS XDG_CACHE_HOME NETRC
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
    HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
    PIP_CONFIG_FILE PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_NO_INDEX PIP_FIND_LINKS PIP_KEYRING_PROVIDER
    PIP_CERT PIP_CLIENT_CERT PIP_PROXY PIP_TRUSTED_HOST PIP_RETRIES PIP_TIMEOUT PIP_DEFAULT_TIMEOUT
    PIP_CACHE_DIR PIP_NO_CACHE_DIR
    UV_CONFIG_FILE UV_NO_INDEX UV_FIND_LINKS UV_EXTRA_INDEX_URL UV_KEYRING_PROVIDER UV_OFFLINE
    UV_SYSTEM_CERTS UV_NATIVE_TLS UV_INSECURE_HOST UV_HTTP_TIMEOUT UV_HTTP_RETRIES UV_CONCURRENT_DOWNLOADS
    UV_CACHE_DIR UV_NO_CACHE UV_LINK_MODE UV_DEFAULT_INDEX
"""
PYPI = "https://pypi.org/simple"


def installing_env(interpreter):
    """The environment of pip and uv: both ask the index that the user's pip asks, or else uv's."""
    listed = INSTALLERS_GO_BY.split()
    env = {key: os.environ[key] for key in os.environ if key in listed or key.startswith("UV_INDEX")}
    env.update(UV_PYTHON_DOWNLOADS="never", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_USER="0")
    # Companies and universities that open TLS on the way put their certificate into the system's store.
    env.setdefault("UV_SYSTEM_CERTS", "1")
    told = pip_settings(interpreter, env)
    for setting, name in (
        ("cert", "SSL_CERT_FILE"),
        ("extra-index-url", "UV_INDEX"),
        ("trusted-host", "UV_INSECURE_HOST"),
        ("proxy", "ALL_PROXY"),
        ("no-index", "UV_NO_INDEX"),
    ):
        if setting in told:
            env.setdefault(name, told[setting])
    if "find-links" in told:
        env["UV_FIND_LINKS"] = ",".join(told["find-links"].split())
    # As pip does, uv looks in every index for the version that the lock names; a hash says that it is right.
    env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    index = index_of(interpreter, told)
    if index != PYPI:
        env["UV_DEFAULT_INDEX"] = env["PIP_INDEX_URL"] = index
    return env


def index_of(interpreter, told=None):
    """Which index is asked: pip's own, by variable or pip.conf; then uv's."""
    told = pip_settings(interpreter, os.environ) if told is None else told
    uv = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL")
    return told.get("index-url") or uv or PYPI


def pip_settings(interpreter, env):
    """What pip is told by variables and by its files, by the option's name; the more special one counts."""
    import subprocess

    quiet = {key: env[key] for key in env if not key.startswith("PYTHON")}
    words = [interpreter, "-m", "pip", "config", "list"]
    try:
        asked = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=quiet)
        lines = asked.communicate()[0].decode("utf-8", "replace").splitlines()
    except (IOError, OSError):
        return {}
    found = {}
    for section in ("global", "install", ":env:"):
        for line in lines:
            name, _, value = line.partition("=")
            if name.startswith(section + "."):
                found[name[len(section) + 1 :]] = value.strip("'\"").replace("\\n", " ").strip()
    return found


def shown(index):
    """An index's address, without the password that may stand in it."""
    scheme, slashes, rest = index.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + slashes + host.rpartition("@")[2] + slash + path


def asked(env):
    """Every index that pip and uv have asked, as a person may read it."""
    more = env.get("UV_INDEX", "") or env.get("PIP_EXTRA_INDEX_URL", "")
    indexes = [env.get("UV_DEFAULT_INDEX", PYPI)] + more.split()
    return ", ".join(shown(one) for one in indexes)


def run(what, words, asks_index=False):
    """Run a step; its own words are shown only when it fails, with the index that it has asked."""
    import subprocess

    env = installing_env(python() if os.path.exists(python()) else sys.executable)
    done = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    output = done.communicate()[0].decode("utf-8", "replace").strip()
    if done.returncode != 0:
        last = [line for line in output.splitlines() if line.strip()][-3:]
        said = "{0} failed: {1}".format(what, " / ".join(last) or "exit {0}".format(done.returncode))
        if asks_index and not wheels():
            said += " Asked: {0}".format(asked(env))
        raise Trouble(said)


def python():
    return os.path.join(VENV, "bin", "python")


def check_python():
    if sys.version_info[:2] < OLDEST:
        have = "{0}.{1}".format(*sys.version_info[:2])
        raise Trouble(
            "Python {0} is too old: the workshop needs 3.11 or newer. "
            "Name one: make PYTHON=python3.12 lab-1".format(have)
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise Trouble(
            "This Python has no venv module. On Debian and Ubuntu: sudo apt-get install python3-venv"
        )


def make_venv():
    import shutil

    say("Making .venv (once; under a minute with a network) ...")
    if os.path.isdir(VENV):
        shutil.rmtree(VENV)
    run("Making .venv", [sys.executable, "-m", "venv", VENV])
    run(
        "Installing uv",
        [python(), "-m", "pip", "install", "-q", "--require-hashes", "-r", UV_LOCK] + wheels(),
        asks_index=True,
    )


def wheels():
    """With a bundle (`make bundle`) nothing is asked of the network."""
    bundle = os.path.join(ROOT, ".workshop", "bundle", "wheels")
    return ["--no-index", "--find-links", bundle] if os.path.isdir(bundle) else []


def install(group):
    import shutil

    uv = os.path.join(VENV, "bin", "uv")
    say("Installing what the lock names, by hash ...")
    base = [uv, "pip", "install", "-q", "--python", python(), "--require-hashes", "--compile-bytecode"]
    run("Installing the packages", base + wheels() + ["-r", LOCKS[group]], asks_index=True)
    if not shutil.which("nginx") and not os.environ.get("NGINX"):
        try:
            run("Installing nginx", base + wheels() + ["-r", NGINX_LOCK], asks_index=True)
        except Trouble:
            say(
                "There is no nginx for this machine: install one (Debian: apt-get install nginx-light; "
                "macOS: brew install nginx) or set NGINX=. Until then checks through nginx do not run."
            )


COMMAND = """#!/bin/sh
# The command that pyproject.toml names, for the folder of this .venv. Written by workshop/bootstrap.py.
unset CDPATH
here=$(cd "$(dirname "$0")/../.." && pwd -P) || exit 3
start='import sys; sys.path.insert(0, sys.argv.pop(1)); from workshop.__main__ import run; sys.exit(run())'
WORKSHOP_CHECKOUT=$here exec "$here/.venv/bin/python" -I -c "$start" "$here" "$@"
"""


def write_command(path):
    """Exit codes 0, 1, 2 and 3 as they are, from any folder, whatever Python's variables say."""
    venv = os.path.dirname(os.path.dirname(path))
    if os.path.exists(path) or os.path.islink(venv):  # a linked one is somebody else's
        return
    with open(path, "w") as file:
        file.write(COMMAND)
    os.chmod(path, 0o755)


def compile_given():
    """Compile what every run imports and nobody edits: what the workshop starts writes no compiled files."""
    compile_these([place for place in given() if os.path.isdir(place)])


def given():
    labs = os.path.join(ROOT, "labs")
    places = [
        os.path.join(ROOT, name) for name in ("workshop", "solutions", os.path.join("services", "apps"))
    ]
    return places + [os.path.join(labs, name, "apps") for name in sorted(os.listdir(labs))]


def compile_these(paths):
    """Compiled files are checked by content: one that is stale is not run, but compiled in each process."""
    run("Compiling", [python(), "-m", "compileall", "-q", "--invalidation-mode", "checked-hash"] + paths)


def compile_changed():
    """Compile what is newer than .venv: what a `git pull` has brought. Where that fails, nothing is lost."""
    if os.path.islink(VENV):  # somebody else's
        return
    try:
        made = os.path.getmtime(ready_file())
        newer = [path for path in files_of(given()) if os.path.getmtime(path) > made]
        if newer:
            compile_these(newer)
            os.utime(ready_file(), None)
    except (Trouble, IOError, OSError):
        pass


def files_of(places):
    walked = (one for place in places for one in os.walk(place))
    return [os.path.join(at, name) for at, _, names in walked for name in names if name.endswith(".py")]


def make(group, command):
    if not is_usable():
        make_venv()
    install(group)
    compile_given()
    write_command(command)
    with open(ready_file(), "w") as file:
        file.write("\n".join([stamp(group)] + places()) + "\n")


def wait_for_others(file):
    """Be the only command that makes .venv, until `file` is closed: there may be another terminal."""
    import errno
    import fcntl

    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (IOError, OSError) as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                say("Another command is making .venv: waiting for it ...")
                fcntl.flock(file, fcntl.LOCK_EX)
    except (IOError, OSError):  # not every file system has locks
        pass


def main(arguments):
    command = os.path.join(VENV, "bin", "workshop")
    if arguments == ["--is-ready"]:
        if not is_ready("course") or not os.path.exists(command):
            return 1
        compile_changed()
        return 0
    group = arguments[0] if arguments else "course"
    try:
        if is_ready(group):
            write_command(command)
            compile_changed()
            return 0
        check_python()
        with open(__file__) as file:
            wait_for_others(file)
            if not is_ready(group):
                make(group, command)
    except Trouble as trouble:
        print(trouble)
        return 2
    except (IOError, OSError) as error:
        print("Making .venv failed: {0} ({1}).".format(error.strerror or error, error.filename or VENV))
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
