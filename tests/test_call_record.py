"""What a call's fork may say to the agent, and what it is told: each step when it is due, and no sooner."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workshop.run.call_record import CallRecord, Garbled, called_modules

SCRIPT = {"status": "200 OK", "headers": [], "chunks": [{"$bytes": "YQ=="}, {"$bytes": "Yg=="}]}
STEPS = {
    "kind": "steps",
    "seconds": 1,
    "steps": [{"do": {"$call": {"fn": {"$import": "app:call"}, "args": [{"$wsgi": SCRIPT}], "kwargs": {}}}}],
}
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def told(record: CallRecord, number: int, said: Any = None) -> Any:
    return record.hear({"of": number, "said": said}, 10)["then"]


def test_a_request_goes_without_its_scripts() -> None:
    record = CallRecord(STEPS)
    assert "200 OK" not in str(record.request) and "YQ==" not in str(record.request)
    assert record.request["calls"] == ["app"] == called_modules(STEPS)
    step = told(record, record.request["steps"])
    assert step["do"]["$call"]["args"] == [{"$wsgi": 0}]


def test_chunks_are_told_one_by_one_and_each_is_noted_then() -> None:
    record = CallRecord(STEPS)
    call, closing = record.hear({"begin": 0}, 10)["is"]
    assert told(record, call) == ["environ", ["REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"]]
    assert told(record, call, {"PATH_INFO": "/"})[0] == "start"
    assert told(record, call) == ["body"]
    assert [event["event"] for event in record.events] == ["inner called"]
    assert told(record, call) == ["chunk", {"$bytes": "YQ=="}]
    assert [event["event"] for event in record.events] == ["inner called", "inner chunk"]
    told(record, closing)
    assert record.events[-1] == {"event": "inner closed", "name": "inner"}


@pytest.mark.parametrize("name", ["inner closed", "inner called", "read", "receive", "value"])
def test_what_is_noted_here_cannot_be_told(name: str) -> None:
    record = CallRecord(STEPS)
    with pytest.raises(Garbled):
        record.hear({"event": {"event": name, "name": "inner"}}, 10)
    assert record.events == []


def test_a_body_is_read_in_pieces_and_no_size_is_too_large() -> None:
    asked = {"kind": "wsgi", "seconds": 1, "request": {"app": None, "body": {"$bytes": "YWJj"}, "take": None}}
    record = CallRecord(asked)
    number = record.request["request"]["body"]
    assert told(record, number, ["read", 2]) == {"$bytes": "YWI="}
    assert record.events == [{"event": "read", "method": "read", "size": 2, "returned": 2}]
    with pytest.raises(Garbled):
        told(record, number, ["read", 1 << 80])


@pytest.mark.parametrize("sends", [False, True])
def test_a_send_is_noted_when_it_has_returned_where_that_is_asked_for(sends: bool) -> None:
    script = {"steps": [["send", {"type": "a"}], ["receive"]], "sends": sends}
    record = CallRecord({"kind": "asgi", "request": {"app": {"$asgi": script}}})
    call, _ = record.hear({"begin": 0}, 10)["is"]
    assert told(record, call)[0] == "scope"
    assert told(record, call, {})[0] == "send"
    assert [event["event"] for event in record.events] == ["inner called"]
    assert told(record, call) == ["receive"]
    assert [event["event"] for event in record.events] == ["inner called", *["inner sent"] * sends]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["event", "begin", "of", "said", "call"]), JSON))
def test_any_message_is_answered_or_garbled(message: dict[str, Any]) -> None:
    with contextlib.suppress(Garbled):
        CallRecord(STEPS).hear(message, 10)
