"""RFC 9110 §13.2.2 as a table: what was asked, and what comes first."""

from __future__ import annotations

from typing import Any, NamedTuple

from wrapper_calls import as_key, dated, environ

from workshop.judge.checks import made


class Row(NamedTuple):
    """A request with preconditions on something with the tag `own`; `right` is 0, 304 or 412."""

    method: str
    own: str | None
    asked: dict[str, str]
    right: int
    why: str

    @property
    def words(self) -> str:
        return f"{self.method} with {self.asked!r}, {self.own!r}"

    def call(self, modified: int) -> Any:
        asked = environ(self.method, **{as_key(key): value for key, value in self.asked.items()})
        return made("wrappers:precondition", made("wrappers:Request", asked), self.own, modified)


def preconditions(tag: str, other: str, at: int) -> list[Row]:
    """Every step of the section, on its own and against the next one."""
    before, same, after = dated(at - 3600), dated(at), dated(at + 3600)
    weak, listed = f"W/{tag}", f'"a,{tag[1:]}'
    rows: list[tuple[str, str | None, dict[str, str], int, str]] = [
        ("GET", tag, {}, 0, "no precondition"),
        ("GET", tag, {"If-None-Match": tag}, 304, "the client has it"),
        ("HEAD", tag, {"If-None-Match": tag}, 304, "HEAD as GET"),
        ("GET", tag, {"If-None-Match": other}, 0, "the client has another one"),
        ("GET", tag, {"If-None-Match": f"{other} , {weak}"}, 304, "a list; weak comparison (§13.1.2)"),
        ("GET", weak, {"If-None-Match": tag}, 304, "weak comparison (§13.1.2)"),
        ("GET", tag, {"If-None-Match": "*"}, 304, "* is whatever exists"),
        ("GET", tag, {"If-None-Match": tag[:-2] + '"'}, 0, "a part of a tag is another tag"),
        ("PUT", tag, {"If-None-Match": "*"}, 412, "create, but don't overwrite (§13.1.2)"),
        ("GET", tag, {"If-Modified-Since": same}, 304, "not modified since"),
        ("GET", tag, {"If-Modified-Since": after}, 304, "not modified since"),
        ("GET", tag, {"If-Modified-Since": before}, 0, "modified since"),
        ("GET", tag, {"If-Modified-Since": "yesterday"}, 0, "no date: ignored (§13.1.3)"),
        ("PUT", tag, {"If-Modified-Since": same}, 0, "for GET and HEAD only (§13.1.3)"),
        ("GET", tag, {"If-None-Match": other, "If-Modified-Since": after}, 0, "a tag beats a date (§13.1.3)"),
        ("GET", tag, {"If-None-Match": tag, "If-Modified-Since": before}, 304, "a tag beats a date"),
        ("PUT", tag, {"If-Match": tag}, 0, "the client changes what it saw"),
        ("PUT", tag, {"If-Match": f"{other}, {tag}"}, 0, "one of a list"),
        ("PUT", tag, {"If-Match": other}, 412, "another client changed it meanwhile"),
        ("PUT", tag, {"If-Match": weak}, 412, "strong comparison (§13.1.1)"),
        ("PUT", weak, {"If-Match": weak}, 412, "strong comparison (§13.1.1)"),
        ("PUT", tag, {"If-Match": "*"}, 0, "* is whatever exists"),
        ("PUT", tag, {"If-Unmodified-Since": same}, 0, "not modified since"),
        ("PUT", tag, {"If-Unmodified-Since": after}, 0, "not modified since"),
        ("PUT", tag, {"If-Unmodified-Since": before}, 412, "modified since (§13.1.4)"),
        ("PUT", tag, {"If-Match": tag, "If-Unmodified-Since": before}, 0, "a tag beats a date (§13.1.4)"),
        ("GET", tag, {"If-Match": other, "If-None-Match": tag}, 412, "If-Match is tested first"),
        ("GET", tag, {"If-Match": tag, "If-None-Match": tag}, 304, "If-Match holds: then If-None-Match"),
        ("GET", listed, {"If-None-Match": f"{other}, {listed}"}, 304, "a comma may stand in a tag (§8.8.3)"),
        ("GET", listed, {"If-None-Match": '"a,b"'}, 0, "a comma may stand in a tag (§8.8.3)"),
        ("PUT", listed, {"If-Match": f"{other}, {listed}"}, 0, "a comma may stand in a tag (§8.8.3)"),
        ("GET", None, {"If-None-Match": tag}, 0, "this has no tag"),
    ]
    return [Row(*row) for row in rows]
