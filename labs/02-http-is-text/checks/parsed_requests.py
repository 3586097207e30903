"""Lab 2's checks read what `parse_request` made of bytes: a Request, or a refusal with a status."""

from workshop.judge.checks import Thing, expect, made, show_bytes, that
from workshop.judge.probe_client import returned

CRLF = b"\r\n"
PARSE = "http_text:parse_request"


def pairs(what, fields):
    """The learner's fields as (lower-case name, value) pairs."""
    fits = isinstance(fields, list | tuple) and all(
        isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(text, str) for text in pair)
        for pair in fields
    )
    that(fits, f"{what} = {fields!r}"[:300], f"{what} as a list of (name, value) pairs of str")
    return [(key.lower(), value) for key, value in fields]


def request_of(value):
    """A value of the probe's that must be a Request."""
    that(isinstance(value, Thing) and value.type == "Request", f"{value!r}"[:300], "a Request")
    pairs("fields", value.fields)
    return value


def one_of(fields, wanted):
    return [value for key, value in fields if key == wanted.lower()]


def parse(probe, data, what=""):
    """The Request that parse_request makes of it; `what` says it in words, where the bytes are too many."""
    sent = f"parse_request of {what}: {show_bytes(data)}" if what else ""
    return request_of(returned(probe.steps(made(PARSE, data), sent=sent)))


def refusal_of(raised, what, statuses, rule, sent):
    """What was raised must be Refused with one of the statuses."""
    wanted = f"Refused with status {' or '.join(map(str, statuses))}"
    said = f"{raised['type']}: {raised['message']}"[:300]
    that("Refused" in raised["bases"], f"{what}: it raised {said}", wanted, rule=rule, sent=sent)
    status = raised["attributes"].get("status")
    that(status in statuses, f"{what}: Refused with status {status!r} ({said})", wanted, rule=rule, sent=sent)


def refused(probe, data, what, statuses, rule, may_accept=False):
    """parse_request must refuse this; the Request when it was accepted and may be."""
    sent = show_bytes(data)
    seen = probe.steps(made(PARSE, data))
    if seen.raised:
        refusal_of(seen.raised, what, statuses, rule, sent)
        return None
    accepted = seen.values[-1]
    wanted = f"Refused with status {' or '.join(map(str, statuses))}"
    that(may_accept, f"{what}: it was accepted, as {accepted!r}"[:400], wanted, rule=rule, sent=sent)
    return request_of(accepted)


def statuses_of(case):
    """The statuses that a wire case allows, and whether it may be accepted, too."""
    words = case.notes["status"].split(" or ")
    return [int(word) for word in words if word.isdigit()], "accepted" in words


def numbered(data, rng):
    """A wire case's bytes with another number in its target."""
    return data.replace(b"/tasks/42", b"/tasks/%d" % rng.randrange(100, 999))


def expect_field(request, line, case):
    """A field that an accepted wire case must have; runs of spaces count as one."""
    key, _, value = line.partition(":")
    found = [" ".join(text.split()) for text in one_of(pairs("fields", request.fields), key)]
    expect(
        f"{case.notes['what']}: {key}",
        found,
        [value.strip()],
        rule=case.notes["rule"],
        sent=show_bytes(case.data),
    )


def refuse_all(probe, rng, cases):
    """Each of these wire cases is refused with its status, or, where the RFC lets it, understood."""
    for case in cases:
        statuses, may_accept = statuses_of(case)
        notes = case.notes
        request = refused(probe, numbered(case.data, rng), notes["what"], statuses, notes["rule"], may_accept)
        if request is not None:
            expect_understood(request, case)


def expect_understood(request, case):
    """An accepted wire case must be understood as its notes say."""
    more = {"rule": case.notes["rule"], "sent": show_bytes(case.data)}
    verb = case.data.lstrip(b"\r\n").split(b" ")[0].decode()
    expect(f"{case.notes['what']}: method", request.method, verb, "every byte of it, and no other", **more)
    if "then" in case.notes:
        expect_field(request, case.notes["then"], case)
    if "body" in case.notes:
        expect(f"{case.notes['what']}: body", request.body, case.notes["body"].encode(), **more)
    if "never" in case.notes:
        never = one_of(pairs("fields", request.fields), case.notes["never"])
        expect(f"{case.notes['what']}: {case.notes['never']}", never, [], "such a line is dropped", **more)
