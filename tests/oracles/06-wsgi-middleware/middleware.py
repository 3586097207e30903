"""Lab 6 over real implementations: werkzeug's request, response, password hashes and ClosingIterator, the
standard library's Headers, and wsgiref.validate on both sides of every layer.
"""

from __future__ import annotations

import base64
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import partial, reduce, wraps
from typing import Any
from wsgiref.headers import Headers
from wsgiref.validate import validator

from tasks_wsgi import application as tasks
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import ClosingIterator, get_path_info

USERS = {"Ada": "lovelace"}
ORIGINS = ["https://tasks.example"]
METHOD = "pbkdf2:sha256:1"


def checked(layer: Callable[..., Any]) -> Callable[..., Any]:
    """A layer with the validator around it, and around what it goes around."""

    @wraps(layer)
    def both_sides(app: Any, *args: Any, **options: Any) -> Any:
        return validator(layer(validator(app), *args, **options))

    return both_sides


def with_headers(
    app: Any, environ: dict[str, Any], start_response: Any, change: Callable[[Headers], None]
) -> Any:
    def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        changed = Headers(list(headers))
        change(changed)
        return start_response(status, changed.items(), *exc_info)

    return app(environ, start)


@checked
def timing(app: Any, clock: Callable[[], float] = time.perf_counter) -> Any:
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        began = clock()

        def change(headers: Headers) -> None:
            headers.add_header("Server-Timing", f'app;desc="application";dur={(clock() - began) * 1000:.1f}')

        return with_headers(app, environ, start_response, change)

    return application


@checked
def request_id(app: Any) -> Any:
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        own = Request(environ, shallow=True).headers.get("X-Request-ID", "")
        own = own if re.fullmatch(r"[\w.-]{1,64}", own, re.ASCII) else str(uuid.uuid4())

        def change(headers: Headers) -> None:
            headers["X-Request-ID"] = own

        return with_headers(app, {**environ, "HTTP_X_REQUEST_ID": own}, start_response, change)

    return application


@checked
def basic_auth(app: Any, users: dict[str, str], realm: str = "tasks") -> Any:
    hashes = {user: generate_password_hash(password, METHOD) for user, password in users.items()}
    nobody = generate_password_hash(uuid.uuid4().hex, METHOD)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        try:
            given = Request(environ, shallow=True).authorization
            # werkzeug skips what is outside of base64's alphabet; RFC 4648 §3.3 has it refused
            base64.b64decode(environ.get("HTTP_AUTHORIZATION", "").partition(" ")[2], validate=True)
        except ValueError:  # characters that are not ASCII, where base64 belongs
            given = None
        if given is not None and given.type == "basic":
            known = hashes.get(given.username or "", nobody)
            if check_password_hash(known, given.password or ""):
                return app({**environ, "REMOTE_USER": given.username}, start_response)
        response = Response("Who are you?\n", 401)
        response.headers["WWW-Authenticate"] = f'Basic realm="{realm}", charset="UTF-8"'
        return response(environ, start_response)

    return application


@checked
def cors(
    app: Any,
    origins: Iterable[str],
    methods: Iterable[str] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
    headers: Iterable[str] = ("Authorization", "Content-Type"),
    max_age: int = 600,
) -> Any:
    origins = list(origins)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ, shallow=True)
        shared = request.origin if request.origin in origins else None
        if request.method == "OPTIONS" and request.origin and request.access_control_request_method:
            response = Response(status=204)
            del response.headers["Content-Type"]
            response.vary.add("Origin")
            if shared:
                response.access_control_allow_origin = shared
                response.access_control_allow_methods = methods
                response.access_control_allow_headers = headers
                response.access_control_max_age = max_age
            return response(environ, start_response)

        def change(headers: Headers) -> None:
            del headers["Access-Control-Allow-Origin"]
            if shared:
                headers["Access-Control-Allow-Origin"] = shared
            headers["Vary"] = ", ".join([*headers.get_all("Vary"), "Origin"])

        return with_headers(app, environ, start_response, change)

    return application


def safe(text: str) -> str:
    return re.sub(r'[^!-~]|["\\]', lambda bad: f"%{ord(bad[0]):02X}", text)


@checked
def access_log(app: Any, log: Callable[[str], object] | None = None) -> Any:
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ, shallow=True)
        facts: dict[str, Any] = {"status": "-", "bytes": 0, "error": ""}

        def write_line() -> None:
            path = (environ.get("SCRIPT_NAME", "") + get_path_info(environ)).encode().decode("latin-1")
            target = safe(path + (f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""))
            own = safe(request.headers.get("X-Request-ID", "-"))
            line = (
                f'{request.remote_addr} {own} "{request.method} {target}" {facts["status"]} {facts["bytes"]}'
            )
            (log or partial(print, file=environ["wsgi.errors"], flush=True))(line + facts["error"])

        def start(status: str, headers: Any, *exc_info: Any) -> Any:
            write = start_response(status, headers, *exc_info)
            facts["status"] = status[:3]

            def counting(data: bytes) -> None:
                facts["bytes"] += len(data)
                write(data)

            return counting

        def noting(error: BaseException) -> None:
            facts["error"] = f" {type(error).__name__}"

        def counted(body: Any) -> Iterator[bytes]:
            try:
                for chunk in body:
                    facts["bytes"] += len(chunk)
                    yield chunk
            except Exception as error:
                noting(error)
                raise

        try:
            body = app(environ, start)
        except BaseException as error:
            noting(error)
            write_line()
            raise

        def close() -> None:
            try:
                body.close()
            except BaseException as error:
                noting(error)
                raise
            finally:
                write_line()

        return ClosingIterator(counted(body), [close])

    return application


def stack(app: Any, layers: Iterable[Callable[[Any], Any]]) -> Any:
    return reduce(lambda inner, layer: layer(inner), reversed(list(layers)), app)


application = stack(
    tasks,
    [request_id, timing, access_log, partial(cors, origins=ORIGINS), partial(basic_auth, users=USERS)],
)
