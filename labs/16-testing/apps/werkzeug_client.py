"""The client that a suite gets when it is judged: lab 16's interface, over werkzeug's test client."""

from __future__ import annotations

import io
import json as json_
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from werkzeug.test import Client as WerkzeugClient
from werkzeug.test import EnvironBuilder


@dataclass
class Response:
    """Status, header fields in order, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first field of that name, in any case; None when there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json_.loads(self.body)


class GivenClient:
    """Requests to a WSGI application. Raises what it raises."""

    def __init__(self, app: Any) -> None:
        self.client = WerkzeugClient(app)

    def request(
        self,
        method: str,
        target: str = "/",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        json: Any = None,
    ) -> Response:
        fields = list(headers)
        if json is not None:
            body = json_.dumps(json).encode()
            fields.append(("Content-Type", "application/json"))
        path, _, query = target.partition("?")
        stream = io.BytesIO(body) if body else None
        length = len(body) or None
        builder = EnvironBuilder(
            path,
            method=method,
            query_string=query,
            headers=fields,
            input_stream=stream,
            content_length=length,
        )
        answer = self.client.open(builder, buffered=True)
        return Response(answer.status_code, list(answer.headers), answer.data)

    def get(self, target: str = "/", **more: Any) -> Response:
        return self.request("GET", target, **more)

    def post(self, target: str = "/", **more: Any) -> Response:
        return self.request("POST", target, **more)

    def patch(self, target: str = "/", **more: Any) -> Response:
        return self.request("PATCH", target, **more)

    def delete(self, target: str = "/", **more: Any) -> Response:
        return self.request("DELETE", target, **more)
