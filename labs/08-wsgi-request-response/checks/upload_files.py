"""What becomes of the files of a form: they are open while they are needed, and closed then."""

from __future__ import annotations

import hashlib
from typing import Any

from multipart_forms import disposition, multipart
from wrapper_calls import environ, parsed_json, part, refused, request, values, with_body

from workshop.judge.checks import Client, expect, made, that

LESSON = "lesson, rule 10"
MEANS = {
    "streamed": "return Response(iter(request.files['photo'][0].file))",
    "left": "streams request.files['photo'][0].file by a generator; the client leaves after its first chunk",
    "ignored": "looks at request.files and returns Response(b'taken')",
    "raised": "looks at request.files and raises HTTPError(409, …)",
}


def type_of(mark: str) -> str:
    return f"multipart/form-data; boundary={mark}"


def close_lets_go_of_uploads(probe: Any, mark: str, data: bytes) -> None:
    """Fail unless the uploads of a request are closed after its close()."""
    parts = [(disposition("a"), b"1"), (disposition("b", "x"), data), (disposition("c", "y"), b"2")]
    asked = environ("POST", CONTENT_TYPE=type_of(mark))
    call = made("form_handlers:closed_uploads", asked, multipart(mark, *parts))
    (closed,) = values(probe.steps(call, sent="request.files, two files; then request.close()"), 1)
    why = "close() of the request lets go of its uploads"
    expect("whether each upload's file is closed", closed, [True, True], why, rule=LESSON)


def refused_forms_leave_nothing(probe: Any, mark: str, good: bytes) -> None:
    """Fail unless a part's header has a limit, and a form that is refused keeps no file open."""
    lines = b"\r\n".join(b"X-%d: y" % number for number in range(30_000))
    for head, what in ((b"X-Long: " + b"x" * 300_000, "in one line"), (lines, "in 30000 lines")):
        form = f"--{mark}\r\n".encode() + head + good[len(mark) + 2 :]
        sent = f"request.form: a part with a header of 300000 bytes {what}, max_memory=200000"
        asked = request(with_body(form, type_of(mark)), max_memory=200_000)
        why = "a part's header is in memory, too: give it a limit"
        refused(probe.steps(asked, part("form"), sent=sent), (413, 400), why)
    names = [disposition("a", "a.png"), disposition("b", "b.png"), disposition("c")]
    files = multipart(mark, *((name, b"x" * 100_000) for name in names))
    call = made("form_handlers:left_open", environ("POST", CONTENT_TYPE=type_of(mark)), files, max_parts=2)
    sent = "request.form: two files and a field, max_parts=2; then request.close()"
    (got,) = values(probe.steps(call, sent=sent), 1)
    expect("the status", got["status"], 413, "three parts, max_parts=2")
    kept = f"{got['left_open']} temporary files are still open"
    that(got["left_open"] <= 0, kept, "none: a refused form keeps no temporary file", rule=LESSON)


def wsgi_lets_go_of_uploads(probe: Any, mark: str, data: bytes, form: bytes) -> None:
    """Fail unless an upload is open while the response is sent, and closed when that is closed."""
    why = "wsgi() closes the request when the response is closed"
    for how, right in (("streamed", "200"), ("left", "200"), ("ignored", "200"), ("raised", "409")):
        sent = f"wsgi(handler), and a form with a file; the handler: {MEANS[how]}"
        call = made("form_handlers:upload_kept", how, environ("POST", CONTENT_TYPE=type_of(mark)), form)
        (got,) = values(probe.steps(call, sent=sent), 1)
        expect("status", str(got["status"])[:3], right, sent=sent)
        if how == "streamed":
            expect("the body", got["body"], data, "the file is open until the response is closed", sent=sent)
        if how == "left":
            why_first = "the body is closed first: its `finally` may still need the upload"
            expect(
                "whether it was closed in the generator's `finally`",
                got["early"],
                [False],
                why_first,
                sent=sent,
            )
        expect("whether the upload's file is closed", got["closed"], [True], why, rule=LESSON, sent=sent)


def form_arrives(front: Client, mark: str, form: bytes, data: bytes) -> None:
    """Fail unless a form sent through nginx arrives with its field and its file, byte for byte."""
    answer = front.request("POST", "/paperwork/forms", [("Content-Type", type_of(mark))], form)
    expect("status of POST /paperwork/forms", answer.status, 200)
    seen = parsed_json(answer.body)
    fields, files = (seen.get("form"), seen.get("files")) if isinstance(seen, dict) else (None, None)
    expect("form", fields, {"note": ["Ada"]})
    digest = hashlib.sha256(data).hexdigest()
    that(files and files[0][3] == digest, f"files = {files!r}", f"ada.png, with the SHA-256 {digest}")


def memory_for_a_file(probe: Any, mark: str, filler: bytes, count: int) -> dict[str, int]:
    """A form with a file of `count` times `filler`: bytes `sent`, its `size`, the `peak` of memory.

    `taken` is what the kernel says of that: a few megabytes more, which nobody can change from inside.
    """
    seen = probe.steps(
        made(
            "form_handlers:peak",
            environ("POST", CONTENT_TYPE=type_of(mark)),
            f"--{mark}\r\n{disposition('photo', 'ada.png')}\r\n\r\n".encode(),
            filler,
            count,
            f"\r\n--{mark}--\r\n".encode(),
        ),
        sent=f"Request(a multipart form with a file of {len(filler) * count} bytes).files",
        seconds=8.0,
        memory=True,
    )
    (got,) = values(seen, 1)
    return {**got, "taken": seen.memory or 0}
