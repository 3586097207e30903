"""Lab 8's solution and werkzeug read the same things out of the same bytes."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import pytest
from gunicorn.http.wsgi import HEADER_VALUE_RE  # type: ignore[import-untyped, unused-ignore]
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.http import parse_options_header, parse_range_header
from werkzeug.test import encode_multipart
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wrappers import Response as WerkzeugResponse

from workshop.paths import ROOT, SOLUTIONS


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "wrappers_solution", SOLUTIONS / "08-wsgi-request-response" / "wrappers.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(ROOT / "services" / "apps"))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / "services" / "apps"))
    return module


wrappers = loaded()
quickly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20)
names = st.text("abcdefgh-_xyz", min_size=1, max_size=8)
pairs = st.lists(st.tuples(names, words), max_size=6)


def environ(**more: Any) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        **more,
    }


def posted(body: bytes, kind: str) -> dict[str, Any]:
    more = {"CONTENT_TYPE": kind, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
    return environ(**more) | {"REQUEST_METHOD": "POST"}


@quickly
@given(pairs)
def test_queries_and_urlencoded_forms(given_pairs: list[tuple[str, str]]) -> None:
    encoded = urlencode(given_pairs)
    asked = environ(QUERY_STRING=encoded)
    assert wrappers.Request(asked).query == dict(WerkzeugRequest(asked).args.lists())
    kind = "application/x-www-form-urlencoded"
    theirs = dict(WerkzeugRequest(posted(encoded.encode(), kind)).form.lists())
    assert wrappers.Request(posted(encoded.encode(), kind)).form == theirs


@quickly
@given(st.text("abc=;, \"'%AZ09", max_size=30))
def test_queries_of_any_kind(query: str) -> None:
    asked = environ(QUERY_STRING=query.replace("%", "%41"))
    assert wrappers.Request(asked).query == dict(WerkzeugRequest(asked).args.lists())


@quickly
@given(
    st.lists(st.tuples(names, st.text("abc019=/+:-", max_size=8)), max_size=5), st.sampled_from([";", "; "])
)
def test_cookies(given_pairs: list[tuple[str, str]], between: str) -> None:
    asked = environ(HTTP_COOKIE=between.join(f"{name}={value}" for name, value in given_pairs))
    assert wrappers.Request(asked).cookies == WerkzeugRequest(asked).cookies.to_dict()


@quickly
@given(names, words)
def test_each_reads_the_others_cookies(name: str, value: str) -> None:
    ours, theirs = wrappers.Response(b""), WerkzeugResponse(b"")
    ours.set_cookie(name, value)
    theirs.set_cookie(name, value)
    for line in (ours.headers.get("Set-Cookie"), theirs.headers["Set-Cookie"]):
        asked = environ(HTTP_COOKIE=line.partition("; Path=")[0])
        assert wrappers.Request(asked).cookies == {name: value}
        assert WerkzeugRequest(asked).cookies.to_dict() == {name: value}


@quickly
@given(pairs, st.lists(st.tuples(names, names, st.binary(max_size=300)), max_size=3))
def test_multipart_forms(fields: list[tuple[str, str]], files: list[tuple[str, str, bytes]]) -> None:
    values: MultiDict[str, Any] = MultiDict(fields)
    for name, filename, data in files:
        values.add(name, FileStorage(io.BytesIO(data), filename, name, "image/png"))
    mark, body = encode_multipart(values)
    kind = f'multipart/form-data; boundary="{mark}"'
    ours, theirs = wrappers.Request(posted(body, kind)), WerkzeugRequest(posted(body, kind))
    assert ours.form == dict(theirs.form.lists())
    assert read(ours.files.items()) == read(theirs.files.lists())
    ours.close()
    theirs.close()


def read(files: Any) -> Any:
    return {
        name: [(one.filename, one.content_type, one.file_read()) for one in map(Uploaded, many)]
        for name, many in files
    }


class Uploaded:
    """Ours or werkzeug's, read the same way."""

    def __init__(self, one: Any) -> None:
        self.filename, self.content_type = one.filename, one.content_type
        self.file_read = getattr(one, "file", one).read


@quickly
@given(
    names,
    st.dictionaries(names, words.filter(lambda text: "%22" not in text and "\\" not in text), max_size=3),
)
def test_parameters(value: str, parameters: dict[str, str]) -> None:
    quoted = {key: text.replace('"', '\\"') for key, text in parameters.items() if not key.endswith("*")}
    field = value + "".join(f'; {key}="{text}"' for key, text in quoted.items())
    theirs, given_back = parse_options_header(field)
    assert wrappers.options(field) == (theirs, given_back)


@quickly
@given(
    st.integers(0, 60), st.integers(0, 60), st.sampled_from(["{0}-{1}", "{0}-", "-{0}"]), st.integers(1, 40)
)
def test_ranges(first: int, last: int, shape: str, size: int) -> None:
    field = "bytes=" + shape.format(first, last)
    # werkzeug answers 416 to more than there is (RFC 9110 §14.1.2: all of it), and 200 to none.
    assume(field != "bytes=-0" and not (shape == "-{0}" and first > size))
    parsed = parse_range_header(field)
    theirs = parsed.range_for_length(size) if parsed is not None else None
    try:
        ours = wrappers.range_of(field, size)
    except wrappers.HTTPError as error:
        assert (error.status, theirs) == (416, None)
        return
    assert ours == theirs


def test_what_only_the_notes_promise() -> None:
    """Several ranges are answered with the whole; fields count together; `--boundary` is not `--b`."""
    assert wrappers.range_of("bytes=0-1,4-5", 10) is None
    body = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--boundary\r\n2\r\n--b--\r\n'
    with pytest.raises(wrappers.HTTPError) as caught:
        _ = wrappers.Request(posted(body, "multipart/form-data; boundary=b")).form
    assert caught.value.status == 400
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 60 + b"\r\n"
    with pytest.raises(wrappers.HTTPError) as caught:
        _ = wrappers.Request(
            posted(part * 2 + b"--b--", "multipart/form-data; boundary=b"), max_memory=100
        ).form
    assert caught.value.status == 413


@pytest.mark.parametrize("text", ["\0", "a\0b", "a\0"])
def test_nul_gets_into_no_header(text: str) -> None:
    """RFC 9110 §5.5: invalid and dangerous, in a name and in a value, whichever way it comes."""
    doors: list[Callable[[], Any]] = [
        lambda: wrappers.Response(headers=[(f"X-Note{text}", "a")]),
        lambda: wrappers.Response(headers=[("X-Note", text)]),
        lambda: wrappers.Response(content_type=f"text/html{text}"),
        lambda: wrappers.Response(etag=f'"{text}"'),
        lambda: wrappers.redirect(f"/{text}"),
        lambda: wrappers.Response().set_cookie(f"sid{text}", "a"),
        lambda: wrappers.Response().set_cookie("sid", "a", path=f"/{text}"),
    ]
    for door in doors:
        with pytest.raises(ValueError):
            door()
    response = wrappers.Response()
    response.set_cookie("sid", text)
    assert not any("\0" in value for _, value in response.headers)


def test_werkzeug_leaves_a_values_nul_to_the_server() -> None:
    """Why no check asks for it: the values that werkzeug lets pass, gunicorn refuses to send."""
    assert WerkzeugResponse(headers=[("X-Note", "a\0b")]).headers["X-Note"] == "a\0b"
    assert not HEADER_VALUE_RE.fullmatch("a\0b")
    assert HEADER_VALUE_RE.fullmatch("a b")
