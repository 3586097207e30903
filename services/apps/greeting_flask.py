"""The greeting, written with Flask. `application` is a WSGI callable: serve it, or call it."""

from collections.abc import Iterator

from flask import Flask, Response, request

application = Flask(__name__)


def text(body: str | bytes | Iterator[bytes]) -> Response:
    return Response(body, content_type="text/plain; charset=utf-8")


@application.get("/")
def greet() -> Response:
    """GET /?name=Ada answers Hello, Ada!"""
    return text(f"Hello, {request.args.get('name', 'world')}!\n")


@application.post("/upper")
def upper() -> Response:
    """The request's body in upper case."""
    return text(request.get_data().upper())


@application.get("/letters")
def letters() -> Response:
    """The letters of `name`, each a chunk of its own, made when it is asked for."""
    name = request.args.get("name", "world")
    return text(letter.encode() for letter in name)
