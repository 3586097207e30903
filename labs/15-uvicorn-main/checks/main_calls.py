"""Calls of main.py's own functions, by the probe: import strings, options, and what main() ends with."""

from __future__ import annotations

from workshop.judge.checks import fail, made, method, named, that


def word(rng):
    """A module's name that nobody has thought of."""
    return f"{rng.choice(['harbour', 'lighthouse', 'orchard'])}_{rng.randrange(1000, 9999)}"


def imported(probe, sources, text, seconds=3.0):
    """What becomes of import_from_string(text) when there are these modules."""
    sent = f"import_from_string({text!r}) with " + "; ".join(
        f"{module}.py: {source.strip()!r}" for module, source in sources.items()
    )
    steps = [made("modules_from_text:plant", sources), made("main:import_from_string", text)]
    return probe.steps(*steps, sent=sent, seconds=seconds)


def is_refused(seen, text, what, named_in):
    """import_from_string(text) raised its own exception, with these words in its message."""
    expected = f"an ImportFromStringError ({what}) whose message has {named_in!r} in it"
    that(seen.raised is not None, f"import_from_string({text!r}) returned {seen.values[-1:]!r}", expected)
    that(seen.raised["type"] == "ImportFromStringError", problem(seen), expected)
    that(named_in in seen.raised["message"], problem(seen), expected)


def problem(transcript):
    """What was raised, in words; the hole of the starter is named as such."""
    raised = transcript.raised
    return "nothing was raised" if raised is None else f"{raised['type']}: {raised['message']}"


def has_options(probe, argv, expected, environ=()):
    """parse(argv) has these attributes."""
    said = f"parse({argv!r})" + (f" with {environ} in the environment" if environ else "")
    seen = probe.steps(
        *environment(environ),
        ("config", made("main:parse", argv)),
        *[{"$attr": [named("config"), key]} for key in expected],
        sent=said,
    )
    that(seen.raised is None, problem(seen), "a Config")
    for key, value, got in zip(expected, expected.values(), seen.values[-len(expected) :], strict=False):
        that(got == value, f"config.{key} = {got!r}", f"config.{key} = {value!r}", sent=said)


def environment(environ):
    """Steps that leave these words in the environment, and no WEB_CONCURRENCY of ours."""
    return [made("os:environ.pop", "WEB_CONCURRENCY", None), made("os:environ.update", dict(environ))]


PORT = ("held", made("socket:create_server", ("127.0.0.1", 0)))
ITS_NUMBER = (
    "port",
    made("builtins:str", made("operator:getitem", method(named("held"), "getsockname"), 1)),
)


def ends(probe, argv, codes, mention=(), environ=()):
    """main(argv) ends with one of these codes, by returning or by SystemExit, and says why in a line.

    "PORT" in argv is a port that is taken. One of the words of `mention` is in the line.
    """
    taken = [PORT, ITS_NUMBER] if "PORT" in argv else []
    sent = f"main({argv!r})" + (", and PORT is taken" if taken else "")
    sent += f" with {environ} in the environment" if environ else ""
    words = [named("port") if one == "PORT" else one for one in argv]
    seen = probe.steps(*environment(environ), *taken, ("code", made("main:main", words)), sent=sent)
    raised, code = seen.raised, " or ".join(map(str, codes))
    one_line = "one line for a person, without a traceback: nothing is wrong with the program"
    if raised is not None and raised["type"] != "SystemExit":
        fail(f"a traceback that ends with {problem(seen)}", f"exit code {code}, and {one_line}", sent=sent)
    got = raised["message"] if raised is not None else str(seen.values[-1] if seen.values else None)
    said = seen.output.strip()
    that(
        got in map(str, codes),
        f"it ended with {got}, and said {said[-200:]!r}",
        f"exit code {code}",
        sent=sent,
    )
    named_in = not mention or any(one in said for one in mention)
    expected = f"a line on stderr that says what was wrong{f': {mention[0]}' if mention else ''}"
    that(said and named_in, f"exit code {got}, and the output {said[-200:]!r}", expected, sent=sent)
    that("Traceback" not in said, f"a traceback: {said[-200:]!r}", one_line, sent=sent)
