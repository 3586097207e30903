"""The bonus: an application's routes as an OpenAPI 3.1 document, from the plans that the framework made."""

from __future__ import annotations

import dataclasses
import typing
from http import HTTPStatus
from typing import Any

from framework import App, Route, bare


def document(app: App, title: str = "App") -> dict[str, Any]:
    """Every route with parameters, body and answers; dataclasses under components.schemas, by name."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for route in app.routes:
        for method in sorted(route.methods - {"HEAD"}):
            path = route.path.replace(":path}", "}")
            paths.setdefault(path, {})[method.lower()] = operation(route, schemas)
    info = {"title": title, "version": "0.1.0"}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.1, "Operation Object": one method of one path."""
    found: dict[str, Any] = {"summary": (route.handler.__doc__ or route.handler.__name__).splitlines()[0]}
    found["operationId"] = route.handler.__name__
    found["parameters"] = [
        {"name": one.name, "in": one.source, "required": one.required, "schema": schema(one.kind, schemas)}
        for one in route.plan
        if one.source in ("path", "query")
    ]
    for one in route.plan:
        if one.source == "body":
            content = {"application/json": {"schema": schema(one.kind, schemas)}}
            found["requestBody"] = {"required": one.required, "content": content}
    found["responses"] = {str(route.status_code): {"description": HTTPStatus(route.status_code).phrase}}
    if any(one.source != "connection" for one in route.plan):
        found["responses"]["422"] = {"description": "What came is not what the annotations say"}
    return found


TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}


def schema(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of an annotation; dataclasses go to `schemas`, by name."""
    inner = bare(kind)
    if inner is not kind:
        return {"anyOf": [schema(inner, schemas), {"type": "null"}]}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in schemas:
            schemas[kind.__name__] = {}  # there before its fields are: one of them may be of its own kind
            hints, fields = typing.get_type_hints(kind), dataclasses.fields(kind)
            absent = dataclasses.MISSING
            needed = [one.name for one in fields if one.default is absent and one.default_factory is absent]
            properties = {one.name: schema(hints[one.name], schemas) for one in fields}
            schemas[kind.__name__] = {"type": "object", "properties": properties, "required": needed}
        return {"$ref": f"#/components/schemas/{kind.__name__}"}
    outer = typing.get_origin(kind) or kind
    found: dict[str, Any] = {"type": TYPES[outer]} if outer in TYPES else {}
    if outer is list and typing.get_args(kind):
        found["items"] = schema(typing.get_args(kind)[0], schemas)
    return found
