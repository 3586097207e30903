"""Make `.venv`: `python3 workshop/bootstrap.py [test]`. One line a step, one line when something is missing.

This file runs on whatever Python a machine has, so that it can say that it is too old: no new syntax here.
"""

import hashlib
import os
import shutil
import subprocess
import sys

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


def is_ready(group):
    """Whether .venv holds this group; the test group holds the course too."""
    try:
        with open(ready_file()) as file:
            found = file.read().strip()
    except (IOError, OSError):
        return False
    return found == stamp(group) or (group == "course" and found == stamp("test"))


def run(what, words):
    """Run a step; its own words are shown only when it fails."""
    env = dict(os.environ, UV_PYTHON_DOWNLOADS="never", PIP_DISABLE_PIP_VERSION_CHECK="1")
    # Companies and universities that open TLS on the way put their certificate into the system's store.
    env.setdefault("UV_SYSTEM_CERTS", "1")
    if "PIP_CERT" in env:
        env.setdefault("SSL_CERT_FILE", env["PIP_CERT"])
    env.pop("VIRTUAL_ENV", None)
    done = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    output = done.communicate()[0].decode("utf-8", "replace").strip()
    if done.returncode != 0:
        last = [line for line in output.splitlines() if line.strip()][-3:]
        raise Trouble("{0} failed: {1}".format(what, " / ".join(last) or "exit {0}".format(done.returncode)))


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
    say("Making .venv (once; under a minute with a network) ...")
    if os.path.isdir(VENV):
        shutil.rmtree(VENV)
    run("Making .venv", [sys.executable, "-m", "venv", VENV])
    run(
        "Installing uv",
        [python(), "-m", "pip", "install", "-q", "--require-hashes", "-r", UV_LOCK] + wheels(),
    )


def wheels():
    """With a bundle (`make bundle`) nothing is asked of the network."""
    bundle = os.path.join(ROOT, ".workshop", "bundle", "wheels")
    return ["--no-index", "--find-links", bundle] if os.path.isdir(bundle) else []


def install(group):
    uv = os.path.join(VENV, "bin", "uv")
    say("Installing what the lock names, by hash ...")
    base = [uv, "pip", "install", "-q", "--python", python(), "--require-hashes", "--compile-bytecode"]
    run("Installing the packages", base + wheels() + ["-r", LOCKS[group]])
    if not shutil.which("nginx") and not os.environ.get("NGINX"):
        try:
            run("Installing nginx", base + wheels() + ["-r", NGINX_LOCK])
        except Trouble:
            say(
                "There is no nginx for this machine: install one (Debian: apt-get install nginx-light; "
                "macOS: brew install nginx) or set NGINX=. Until then checks through nginx do not run."
            )


def compile_given():
    """Compile what every run imports and nobody edits, as what the workshop starts writes no compiled files.

    They are checked by content, so they are never stale.
    """
    labs = os.path.join(ROOT, "labs")
    places = [
        os.path.join(ROOT, name) for name in ("workshop", "solutions", os.path.join("services", "apps"))
    ]
    places += [os.path.join(labs, name, "apps") for name in sorted(os.listdir(labs))]
    base = [python(), "-m", "compileall", "-q", "--invalidation-mode", "checked-hash"]
    run("Compiling", base + [place for place in places if os.path.isdir(place)])


def main(arguments):
    group = arguments[0] if arguments else "course"
    if is_ready(group):
        return 0
    try:
        check_python()
        if not os.path.exists(os.path.join(VENV, "bin", "uv")):
            make_venv()
        install(group)
        compile_given()
        with open(ready_file(), "w") as file:
            file.write(stamp(group) + "\n")
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
