"""Values as JSON: what the probe reports of the learner's objects. The tags are listed in probe.py."""

from __future__ import annotations

import base64
import sys
from typing import Any

Json = Any


def encode(value: Any, depth: int = 0) -> Json:
    """Turn a value into JSON; what has no form of its own goes by its attributes or its repr."""
    if value is None or isinstance(value, bool | float) or type(value) is int:
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": base64.b64encode(bytes(value)).decode("ascii")}
    if depth > 20:
        return {"$repr": {"type": type(value).__name__, "text": "nested too deeply"}}
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return {"$tuple": [encode(item, depth + 1) for item in value]}
    if isinstance(value, list):
        return [encode(item, depth + 1) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        if any(key.startswith("$") for key in value):  # a value must not be taken for a tag
            return {"$dict": [[str(key), encode(item, depth + 1)] for key, item in value.items()]}
        return {str(key): encode(item, depth + 1) for key, item in value.items()}
    if isinstance(value, dict) and all(isinstance(key, str | bytes) for key in value):
        return {"$dict": [[encode(key), encode(item, depth + 1)] for key, item in value.items()]}
    return _encode_object(value, depth)


def _encode_object(value: Any, depth: int) -> Json:
    dataclasses = sys.modules.get("dataclasses")  # who has not imported it has no instance of one
    if dataclasses is not None and dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in dataclasses.fields(value)]
    elif isinstance(value, tuple):
        names = list(value._fields)  # type: ignore[attr-defined]
    elif isinstance(value, int):
        return int(value)
    else:
        return {"$repr": {"type": type(value).__name__, "text": safe_repr(value)}}
    fields = {name: encode(getattr(value, name, None), depth + 1) for name in names}
    return {"$object": {"type": type(value).__name__, "fields": fields}}


def safe_repr(value: Any) -> str:
    try:
        return repr(value)[:2000]
    except Exception as error:  # a repr that raises is the learner's
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
