"""What an agent in a sandbox may answer: data of bounded size and known shape, from an untrusted party.

At home the agent is ours and its replies are believed. In a sandbox it shares a machine with somebody's code:
whatever is no proper reply raises Misbehaved, which is that submission's CRASH and nobody else's trouble.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Reply = dict[str, Any]
REPLY_CAP = 40 * 1024 * 1024  # bytes: a transcript of 16 MiB, in base64 and with its tags
TEXT_CAP = 128 * 1024
LIST_CAP = 4096
STATES = {"ready", "exited", "silent", "running", "absent", "ended", "sent"}


class Misbehaved(Exception):
    """What came out of the sandbox is not what an agent says. `got` says what it was, in words."""

    def __init__(self, got: str) -> None:
        super().__init__(got)
        self.got = got


def parsed(line: bytes) -> Reply:
    """One reply's JSON. Raises Misbehaved for anything but an object."""
    try:
        reply = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Misbehaved("the sandbox answered with something that is not JSON") from error
    if not isinstance(reply, dict):
        raise Misbehaved("the sandbox answered with JSON that is not an object")
    return reply


def checked(do: str, reply: Reply, port: int | None) -> Reply:
    """The reply to a request of kind `do`, every field of its proper type; `port` is the asked service's.

    Raises Misbehaved when a field is missing or of another type.
    """
    if "error" in reply:
        return {"error": _text(reply["error"])[:300]}
    match do:
        case "start" | "status":
            return _service(reply, port)
        case "pids":
            return {key: _numbers(reply.get(key)) for key in ("pids", "zombies")}
        case "rest":
            return {"at_rest": bool(reply.get("at_rest"))}
        case "ticks":
            return {key: _numbers(reply.get(key)) for key in ("pids", "ticks", "waits")}
        case "connections":
            peers = reply.get("peers")
            return {"peers": None if peers is None else _texts(peers)}
        case "probe":
            return _probe(reply)
        case "nginx":
            found = {key: _text(reply.get(key, "")) for key in ("output", "refused", "errors")}
            mark = _number(reply.get("mark", 0))
            return {"code": _maybe(_number, reply.get("code")), "mark": mark, **found}
        case "stacks":
            return {"output": _text(reply.get("output", ""))}
    return {"state": _state(reply)}


def _service(reply: Reply, port: int | None) -> Reply:
    state = _state(reply)
    found: Reply = {
        "state": state,
        "service": _text(reply.get("service", "")),
        "folder": _text(reply.get("folder", "")),
        "output": _text(reply.get("output", "")),
        "mark": _number(reply.get("mark", 0)),
    }
    if state == "absent":
        return found
    return {
        **found,
        "port": port,
        "pid": _number(reply.get("pid")),
        "code": _maybe(_number, reply.get("code")),
        "told": bool(reply.get("told")),
        "flooded": bool(reply.get("flooded")),
        "seconds": _seconds(reply.get("seconds")),
        "command": _text(reply.get("command")),
        "left_behind": _number(reply.get("left_behind", 0)),
        "listens_on": _numbers(reply.get("listens_on", [])),
        "taken": bool(reply.get("taken")),
        "listener": _text(reply.get("listener", "")),
    }


def _probe(reply: Reply) -> Reply:
    found: Reply = {"folder": _text(reply.get("folder", "")), "shouted": bool(reply.get("shouted"))}
    if "not_imported" in reply:
        outcome = reply["not_imported"]
        if not isinstance(outcome, dict):
            raise Misbehaved("a failed import that says nothing of itself")
        error = outcome.get("import")
        found["module"] = _text(reply.get("module"))
        found["not_imported"] = {
            "import": None if error is None else _exception(error),
            "hung": bool(outcome.get("hung")),
            "died": _maybe(_number, outcome.get("died")),
        }
        return found
    found["events"] = [_event(event) for event in _list(reply.get("events"), cap=None)]
    found["output"] = _text(reply.get("output", ""))
    found["hung"] = bool(reply.get("hung"))
    found |= {key: _texts(reply[key]) for key in ("timeout", "flooded") if key in reply}
    found |= {key: _maybe(_number, reply[key]) for key in ("too_much", "died") if key in reply}
    return found


# The fields that checks read of each kind of event, as workshop/run/probe.py writes them, and their types:
# `object` where the submission's own values go, of whatever type they are.
TEXT, NUMBER, LIST, DICT, ANY = (str,), (int,), (list,), (dict,), (object,)
EVENT_FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "start_response": {"status": ANY, "headers": LIST, "of": TEXT, "exc_info": (str, type(None))},
    "write": {"data": ANY},
    "chunk": {"data": ANY, "type": TEXT},
    "returned": {},
    "send": {"message": ANY},
    "receive": {"message": DICT},
    "value": {"value": ANY, "memory": (int, type(None))},
    "noted": {"name": TEXT, "args": LIST, "kwargs": DICT},
    "read": {"method": TEXT, "size": ANY, "returned": NUMBER},
    "inner called": {"name": TEXT},
    "inner received": {"name": TEXT, "message": ANY},
    "inner sent": {"name": TEXT},
    "inner read": {"name": TEXT, "data": ANY},
    "inner chunk": {"name": TEXT, "number": NUMBER},
    "inner exhausted": {"name": TEXT},
    "inner closed": {"name": TEXT},
    "inner cancelled": {"name": TEXT},
    "inner ended": {"name": TEXT},
}


def _event(event: Any) -> Reply:
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise Misbehaved("a transcript with an event that is none")
    name = event["event"]
    if name == "raised":
        return {**event, **_exception(event)}
    for field, types in EVENT_FIELDS.get(name, {}).items():
        if field not in event:
            raise Misbehaved(f"a transcript with an event {_text(name)!r} that has no {field!r}")
        if not isinstance(event[field], types):
            raise Misbehaved(f"a transcript with an event {_text(name)!r} whose {field!r} is none")
    return event


def _exception(error: Any) -> Reply:
    if not isinstance(error, dict):
        raise Misbehaved("an exception that says nothing of itself")
    attributes = error.get("attributes", {})
    return {
        "type": _text(error.get("type")),
        "bases": _texts(error.get("bases", [])),
        "message": _text(error.get("message")),
        "attributes": attributes if isinstance(attributes, dict) else {},
        "trace": _texts(error.get("trace")),
    }


# --- fields -----------------------------------------------------------------------------------------


def _state(reply: Reply) -> str:
    state = _text(reply.get("state"))
    if state not in STATES:
        raise Misbehaved("the sandbox answered with a state that there is not")
    return state


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Misbehaved("the sandbox answered with something else where a text belongs")
    return value[-TEXT_CAP:].encode("utf-8", "backslashreplace").decode()


def _number(value: Any) -> int:
    if type(value) is not int or abs(value) >= 1 << 53:
        raise Misbehaved("the sandbox answered with something else where a number belongs")
    return value


def _seconds(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < 1e6:
        raise Misbehaved("the sandbox answered with something else where a time belongs")
    return float(value)


def _list(value: Any, cap: int | None = LIST_CAP) -> list[Any]:
    if not isinstance(value, list) or (cap is not None and len(value) > cap):
        raise Misbehaved("the sandbox answered with something else where a list belongs")
    return value


def _texts(value: Any) -> list[str]:
    return [_text(item) for item in _list(value)]


def _numbers(value: Any) -> list[int]:
    return [_number(item) for item in _list(value)]


def _maybe(kind: Callable[[Any], int], value: Any) -> int | None:
    return None if value is None else kind(value)
