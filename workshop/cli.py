"""The command line behind the Makefile: `python -m workshop COMMAND`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path

from workshop.compare import compare_options
from workshop.errors import EXIT_FAILED, EXIT_INFRA, EXIT_PASSED, Refusal
from workshop.grade import options as grade_options
from workshop.judge.stack import DEFAULT_PORT, Stack, attached, embedded, is_attached
from workshop.labs import Lab, find, target_folder
from workshop.learn.room_reports import reporting
from workshop.room import room_options

# What of pytest's own no check uses: to load it, and to have it look at each check, takes a while.
UNUSED = ("doctest", "junitxml", "legacypath", "logging", "pastebin", "setuponly", "setupplan", "unittest")
EPILOG = (
    "Exit codes: 0 all passed, 1 some failed, 2 wrong usage, 3 the workshop's own failure. "
    "make ends with 0 or 2."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 passed, 1 failed, 2 wrong usage, 3 the workshop's own failure."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser(next(iter(words), "")).parse_args(words)
        code: int = options.run(options)
        return code
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return refusal.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return EXIT_FAILED
    except OSError as error:
        named = f" ({error.filename})" if error.filename else ""
        print(f"{error.strerror or error}{named}.", file=sys.stderr)
        return EXIT_INFRA


def _parser(chosen: str = "") -> argparse.ArgumentParser:
    """It knows all commands, or, as making that takes a while, the one that is chosen."""
    parser = argparse.ArgumentParser(
        prog="workshop", description="Build the Python web stack yourself.", epilog=EPILOG
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text, run in [one for one in COMMANDS if one[0] == chosen] or COMMANDS:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        if name in ("grade", "regrade", "merge", "similar", "autograder"):
            getattr(grade_options, name)(command)
            continue
        if name == "compare":
            compare_options.options(command)
            continue
        if name == "room":
            room_options.options(command)
            continue
        if name == "completion":
            command.add_argument("shell", choices=("bash", "zsh"))
        if name in ("progress", "doctor", "bundle", "attic", "down", "completion"):
            continue
        command.add_argument("lab", help="a lab's number")
        if name in ("lab", "check", "debug", "trace"):
            _check_options(command)
        if name == "trace":
            command.add_argument(
                "--curl", metavar="REQUEST", help="your own: a path, a URL, or a curl command"
            )
        if name in ("lab", "check", "serve", "debug", "load", "trace"):
            _target_options(command)
        if name == "load":
            command.add_argument(
                "--json", action="store_true", dest="as_json", help="print the result as JSON"
            )
        if name == "serve":
            command.add_argument("--direct", action="store_true", help="without nginx, at --port")
            command.add_argument("--service", help="which of the lab's services (the first)")
        if name == "solution":
            command.add_argument("--apply", action="store_true", help="put it in place; your work is kept")
        if name == "restore":
            command.add_argument(
                "--kept", metavar="NAME", help="which of those that `attic` lists (the latest)"
            )
        if name == "hint":
            command.add_argument("--task", type=int, help="which task (the first that fails)")
    return parser


def _check_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("-k", dest="chosen", metavar="WORDS", help="only the checks whose names match")
    command.add_argument("--all", action="store_true", dest="everything", help="don't stop at a failing task")
    command.add_argument("--json", action="store_true", dest="as_json", help="print the result as JSON")
    command.add_argument("--seed", type=int, help="the seed that varies the inputs")
    command.add_argument("--record", action="store_true", help=argparse.SUPPRESS)
    command.add_argument("--one-at-a-time", action="store_true", help="no checks side by side, for debugging")


def _target_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--target", default="starter", type=_target, help="starter, solution, oracle, or a folder"
    )
    command.add_argument("--port", type=int, help=f"the port on 127.0.0.1 ({DEFAULT_PORT})")


def _target(text: str) -> str:
    """A folder's whole path: what is started stands in another folder."""
    return text if text in ("starter", "solution", "oracle") else str(Path(text).resolve())


def _wanted_port(options: argparse.Namespace) -> int:
    if options.port is not None:
        return int(options.port)
    text = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not text.isdigit() or not 1024 <= int(text) <= 65535:
        raise Refusal(f"PORT={text} can't be used: give a number from 1024 to 65535.")
    return int(text)


# --- lab and check ----------------------------------------------------------------------------------


def check(options: argparse.Namespace) -> int:
    """Judge a lab once; the exit code says how it went."""
    lab = find(options.lab)
    target_folder(lab, options.target)
    _say_layers(lab, options)
    if is_attached():
        return run_checks(lab, options)
    early = "" if options.chosen else "all"
    with embedded(lab, options.target, options.port or 0, early=early) as stack:
        _say(stack.notes)
        os.environ.update(stack.attachment())
        return run_checks(lab, options)


def lab(options: argparse.Namespace) -> int:
    """Judge a lab; on a terminal keep watching. A verdict, whichever, is no error."""
    chosen = find(options.lab)
    target_folder(chosen, options.target)
    watched = sys.stdin.isatty() and sys.stdout.isatty() and not options.as_json
    with reporting(chosen), _stack_for(chosen, options, page=watched) as stack:
        _say(stack.notes)
        if watched:
            from workshop.learn.watch import watch

            return watch(stack, options)
        _say_layers(chosen, options)
        os.environ.update(stack.attachment())
        code = run_checks(chosen, options)
    return EXIT_PASSED if code == EXIT_FAILED else code


def _stack_for(
    chosen: Lab, options: argparse.Namespace, record: bool = False, page: bool = False
) -> AbstractContextManager[Stack]:
    if is_attached():
        return closing(attached(chosen, options.target))
    return embedded(chosen, options.target, _wanted_port(options), record=record, page=page)


def run_checks(lab: Lab, options: argparse.Namespace, *more: str) -> int:
    """Run a lab's checks in this process, against the stack that the environment names."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    import pytest

    # In one word: a folder in a word of its own would bring its conftest.py along.
    # Garbage has no exceptions that a learner should read: looking through all of it takes a while.
    words = [str(lab.folder), f"--target={options.target}", "-p", "no:unraisableexception", *more]
    words += [word for name in UNUSED for word in ("-p", f"no:{name}")]
    words += ["-k", options.chosen] if options.chosen else []
    words += ["--all"] if options.everything else []
    words += ["--one-at-a-time"] if options.one_at_a_time else []
    words += [f"--{word}" for word in ("record", "draw") if getattr(options, word, False)]
    words += ["--json"] if options.as_json else []
    words += ["--seed", str(options.seed)] if options.seed is not None else []
    code = int(pytest.main(words))
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise Refusal(f"Lab {lab.number} has no check that matches {options.chosen!r}.")
    return code


def trace(options: argparse.Namespace) -> int:
    """Draw what happened on every hop, in checks or in a request of the learner's own; the exit code is 0."""
    from workshop.learn import trace as tracing

    chosen = find(options.lab)
    target_folder(chosen, options.target)
    if options.curl is not None:
        tracing.parsed(options.curl)  # what can't be used is said before anything starts
    with _stack_for(chosen, options, record=True) as stack:
        stack.await_front()
        stack.ask("restart", record=True)
        if options.curl is not None:
            code = tracing.own_request(stack, options.curl)
        else:
            os.environ.update(stack.attachment())
            options.draw = True
            code = run_checks(chosen, options)
    return EXIT_PASSED if code == EXIT_FAILED else code


def debug(options: argparse.Namespace) -> int:
    """Run the checks with the learner's code in this process: breakpoint() works, nothing counts."""
    chosen = find(options.lab)
    target_folder(chosen, options.target)
    run_checks(chosen, options, "-p", "workshop.learn.debug", "-s")
    print(f"This was for debugging: it gives no points. `make lab-{chosen.number}` judges.")
    return EXIT_PASSED


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        print(note, file=sys.stderr, flush=True)


def _say_layers(lab: Lab, options: argparse.Namespace) -> None:
    """Whose layers a lab is about to run on."""
    if lab.yours and not options.as_json:
        from workshop.run import layers_in_use

        _say(["It runs on", *layers_in_use.table(lab, target_folder(lab, options.target))])


# --- serve ------------------------------------------------------------------------------------------


def load(options: argparse.Namespace) -> int:
    """Put a lab's service under load beside the reference: exit code 0 PASS, 1 FAIL, 4 INCONCLUSIVE."""
    from workshop.load import runner as loading

    chosen = find(options.lab)
    target_folder(chosen, options.target)
    if is_attached():
        with closing(attached(chosen, options.target)) as stack:
            return loading.load(chosen, stack, options.as_json)
    target_folder(chosen, "solution")
    loading.raise_open_files()
    with embedded(chosen, options.target, options.port or 0, load=True) as stack:
        _say(stack.notes)
        return loading.load(chosen, stack, options.as_json)


def serve(options: argparse.Namespace) -> int:
    """Serve a lab in the foreground until SIGTERM or Ctrl-C."""
    chosen = find(options.lab)
    if options.direct:
        from workshop.run import service_command as serving

        serving.serve(chosen, options.target, "127.0.0.1", _wanted_port(options), options.service)
    return _serve_behind_nginx(chosen, options)


def _serve_behind_nginx(chosen: Lab, options: argparse.Namespace) -> int:
    import signal
    import threading

    from workshop.learn.serve_command import Serving

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    with _stack_for(chosen, options) as stack:
        _say(stack.notes)
        Serving(stack).run(ended)
    return EXIT_PASSED


# --- help on the way --------------------------------------------------------------------------------


def hint(options: argparse.Namespace) -> int:
    """The next hint for the task that fails."""
    from workshop.hyperlinks import print_markdown
    from workshop.learn.hints import next_hint

    print_markdown(next_hint(find(options.lab), options.task))
    return EXIT_PASSED


def solution(options: argparse.Namespace) -> int:
    """Show the solution's notes and where it is; with --apply, put it in place."""
    from workshop.hyperlinks import print_markdown
    from workshop.learn import starter_and_solution

    chosen = find(options.lab)
    if options.apply:
        print(starter_and_solution.apply_solution(chosen))
        return EXIT_PASSED
    folder = target_folder(chosen, "solution")
    print_markdown((folder / "NOTES.md").read_text(encoding="utf-8"))
    for name in chosen.edit:
        print(f"The solution: solutions/{chosen.name}/{name}")
    print(
        f"Beside yours:  diff -u labs/{chosen.name}/{chosen.edit[0]} solutions/{chosen.name}/{chosen.edit[0]}"
    )
    return EXIT_PASSED


def reset(options: argparse.Namespace) -> int:
    """Put the starter back; the learner's work goes to .workshop/attic."""
    from workshop.learn import starter_and_solution

    print(starter_and_solution.reset(find(options.lab)))
    return EXIT_PASSED


def catch_up(options: argparse.Namespace) -> int:
    """Have a lab ready to begin with; nothing that a learner wrote is touched."""
    from workshop.learn.catch_up import catch_up as ready

    print("\n".join(ready(find(options.lab))))
    return EXIT_PASSED


def restore(options: argparse.Namespace) -> int:
    """Bring work back from .workshop/attic; what is in its place goes there."""
    from workshop.learn import starter_and_solution

    print(starter_and_solution.restore(find(options.lab), options.kept))
    return EXIT_PASSED


def attic(options: argparse.Namespace) -> int:
    from workshop.learn.starter_and_solution import listing

    print("\n".join(listing()))
    return EXIT_PASSED


def down(options: argparse.Namespace) -> int:
    """End every process of this checkout, but the one that asks."""
    from workshop.learn.checkout_processes import end_all

    print(end_all())
    return EXIT_PASSED


def completion(options: argparse.Namespace) -> int:
    from workshop.learn.completion import script

    print(script(_parser(), options.shell))
    return EXIT_PASSED


def progress(options: argparse.Namespace) -> int:
    from rich.console import Console

    from workshop.learn.progress import show_progress

    show_progress(Console())
    return EXIT_PASSED


def doctor(options: argparse.Namespace) -> int:
    from rich.console import Console

    from workshop.learn.doctor import show_health

    return EXIT_PASSED if show_health(Console()) else EXIT_FAILED


def bundle(options: argparse.Namespace) -> int:
    from workshop.learn.offline_bundle import make_bundle

    print("\n".join(make_bundle()))
    return EXIT_PASSED


# --- a class ----------------------------------------------------------------------------------------


def room(options: argparse.Namespace) -> int:
    from workshop.room import room_command

    return room_command.room(options)


def join(options: argparse.Namespace) -> int:
    """Before `lab`: who reports to which room, and what is sent."""
    from workshop.room import joining

    return joining.join(options.lab)


def grade(options: argparse.Namespace) -> int:
    """Grade a class, in sandboxes."""
    from workshop.grade import command

    return command.grade(options)


def regrade(options: argparse.Namespace) -> int:
    from workshop.grade import command

    return command.regrade(options)


def merge(options: argparse.Namespace) -> int:
    from workshop.grade import command

    return command.merge(options)


def similar(options: argparse.Namespace) -> int:
    from workshop.grade import command

    return command.similar(options)


def autograder(options: argparse.Namespace) -> int:
    from workshop.grade import command

    return command.autograder(options)


def compare(options: argparse.Namespace) -> int:
    from workshop.compare import compare_command

    return compare_command.compare(options)


COMMANDS = [
    ("lab", "put nginx in front of a lab's service, judge it, and keep watching", lab),
    ("check", "judge a lab once: exit code 0 all passed, 1 some failed, 2 usage, 3 our fault", check),
    ("trace", "draw what happened on every hop: in checks (-k), or in your own request (--curl)", trace),
    ("serve", "serve a lab in the foreground", serve),
    ("load", "drive a lab's service beside the reference: 0 PASS, 1 FAIL, 4 INCONCLUSIVE", load),
    ("debug", "the checks with your code in this process: breakpoint() works; no points", debug),
    ("compare", "real implementations in the place of yours: rule × implementation", compare),
    ("hint", "the next hint for the task that fails", hint),
    ("solution", "the solution's notes and where it is; --apply puts it in place", solution),
    ("reset", "the starter again; your work is kept in .workshop/attic", reset),
    ("catch-up", "be at the start of a lab: starter in place, references lent, your work kept", catch_up),
    ("restore", "bring work back from .workshop/attic: the latest, or --kept NAME", restore),
    ("attic", "what of your work is kept in .workshop/attic", attic),
    ("progress", "how far you are", progress),
    ("room", "who is stuck where: the host's page, of what learners choose to share", room),
    ("join", "before `lab`: say who you are to a room (make lab-N ROOM=host:port TOKEN=…)", join),
    ("grade", "grade a folder of submissions, in sandboxes, into the files that an LMS takes", grade),
    ("regrade", "grade all of them again, whatever is known of them", regrade),
    ("merge", "put the results of `grade --shard` together", merge),
    ("similar", "lay a class out for JPlag and Dolos; run copydetect where it is installed", similar),
    ("autograder", "make Gradescope's autograder.zip for a lab", autograder),
    ("bundle", "everything that a room without a network needs", bundle),
    ("doctor", "what this machine has, and what is missing", doctor),
    ("down", "end every process of this folder that a run left behind", down),
    ("completion", "a shell's completion of these words: bash or zsh", completion),
]
