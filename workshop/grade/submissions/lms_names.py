"""Whose a file of a bulk download is, by the name that the LMS gave it.

    lovelaceada_LATE_4711_99001_server-1.py                      Canvas: an upload
    lovelaceada_4711_text.html, …_link.html                      Canvas: a text or a link that was entered
    LATE_anon_x7Kd2_99001_server.py                              Canvas, where the teacher sees no names
    Ada Lovelace_4711_assignsubmission_file_/server.py           Moodle

(canvas-lms, lib/content_zipper.rb: get_filename, add_upload_submission; moodle, mod/assign/locallib.php:
download_submissions.) A student chooses the end of such a name, so only its beginning says anything: it is of
the LMS whose form ends first. Which LMS wrote a folder is decided once, by most of what is in it; then a name
of another form names nobody.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from workshop.errors import Refusal
from workshop.grade.untrusted_text import one_line

FORMS = {
    "Canvas": re.compile(
        r"(?:(?P<unseen>LATE_)?(?P<anonymous>anon_[A-Za-z0-9]+)|(?P<name>\w+?)(?P<late>_LATE)?_(?P<number>\d+))"
        r"_(?:\d+_(?P<file>.+)|(?P<entered>text|link)\.html)",
        re.DOTALL,
    ),
    "Moodle": re.compile(r"(?P<name>[^_]+)_(?P<number>\d+)_assignsubmission_[a-z]+_?(?P<file>.*)", re.DOTALL),
}
# Where what a student chooses begins.
OWN_PART = {
    "Canvas": re.compile(r"_?(?:\d+|anon_[A-Za-z0-9]+)_(?:\d+_|(?:text|link)\.html$)"),
    "Moodle": re.compile(r"_\d+_assignsubmission_"),
}


@dataclass(frozen=True)
class Name:
    """`number` is the LMS's own for the student; `file` is what the student called the file."""

    number: str
    name: str = ""
    late: bool = False
    file: str = ""


def form_of(text: str) -> str:
    """The LMS that may have given this name; "" for a name of the instructor's own."""
    begins = {
        lms: found.start()
        for lms, form in FORMS.items()
        if (found := OWN_PART[lms].search(text)) and form.fullmatch(text)
    }
    return min(begins, key=lambda lms: begins[lms], default="")


def system_of(paths: Iterable[Path]) -> str:
    """The LMS that wrote a folder with these names, "" for none. Raises Refusal where it can't be told."""
    names = {path.name: form_of(path.name) for path in paths}
    votes = Counter(names.values())
    known = [lms for lms in FORMS if votes[lms]]
    if len(known) > 1 and votes[known[0]] == votes[known[1]]:
        examples = [next(one_line(name, 80) for name, lms in names.items() if lms == each) for each in known]
        raise Refusal(
            f"As many names are {known[0]}'s ({examples[0]}) as {known[1]}'s ({examples[1]}): "
            "put each download into a folder of its own."
        )
    best = max(known, key=lambda lms: votes[lms], default="")
    return best if votes[best] >= votes[""] else ""


def read(text: str, lms: str) -> Name | None:
    """What a name of this LMS's says; None for a name that it would not give."""
    found = FORMS[lms].fullmatch(text) if form_of(text) == lms else None
    if found is None:
        return None
    parts = found.groupdict(default="")
    entered = parts.get("entered", "")
    file = f"{entered}.html" if entered else parts["file"]
    is_late = bool(parts.get("late") or parts.get("unseen"))
    return Name(parts["number"] or parts["anonymous"], parts["name"], is_late, file)


def own_name(file: str) -> str:
    """A file's name without what Canvas (server-1.py) and browsers (server (1).py) add to a second upload."""
    return re.sub(r"(?:-\d+| ?\(\d+\))(?=\.\w+$)", "", file)
