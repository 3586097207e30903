"""What the adapters of lab 18 share: paths as each framework writes them, and values that are found by hand.

By hand is for those who read no annotations.
"""

import inspect
import re
import typing
from dataclasses import is_dataclass

SEGMENT = re.compile(r"\{(\w+)(:path)?\}")


def asked_for(handler):
    """A handler's parameters: name, annotation and default of each."""
    hints = typing.get_type_hints(handler)
    parameters = inspect.signature(handler).parameters
    return {name: (hints.get(name, str), one.default) for name, one in parameters.items()}


def rewritten(path, handler, shape, plain="str"):
    """The path with each {name} as `shape` says, "<kind:name>" or "{name:kind}": int, path, or `plain`."""
    asked = asked_for(handler)

    def segment(found):
        name, rest = found.groups()
        whole = asked.get(name, (str, None))[0] is int
        kind = "path" if rest else "int" if whole else plain
        return shape.replace("kind", kind).replace("name", name)

    return SEGMENT.sub(segment, path)


def wants_json(handler):
    """Whether one of a handler's parameters is the body's JSON."""
    return any(is_dataclass(kind) for kind, _ in asked_for(handler).values())


def values(handler, connection, kinds, path, query, data=None):
    """What a handler is called with: the connection, what path, query and JSON have. Raises ValueError."""
    found = {}
    for name, (kind, default) in asked_for(handler).items():
        if isinstance(kind, type) and issubclass(kind, kinds):
            found[name] = connection
        elif is_dataclass(kind):
            found[name] = kind(**data)
        elif name in path:
            found[name] = path[name]
        elif name in query:
            found[name] = converted(query[name], kind)
        elif default is inspect.Parameter.empty:
            raise ValueError(f"{name} is missing")
        else:
            found[name] = default
    return found


def converted(text, kind):
    if kind in (int, float):
        return kind(text)
    return text in ("1", "true") if kind in (bool, bool | None) else text
