"""The greeting of greeting_django.py behind Django's ASGI handler, and streams that last."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

import greeting_django  # it configures Django
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path

NOTES: defaultdict[str, list[str]] = defaultdict(list)


async def letters(request: HttpRequest) -> StreamingHttpResponse:
    """The letters of `name`, each a message of its own."""

    async def each() -> AsyncIterator[bytes]:
        for letter in request.GET.get("name", "world"):
            yield letter.encode()

    return StreamingHttpResponse(each(), content_type=greeting_django.TEXT)


async def endless(request: HttpRequest) -> StreamingHttpResponse:
    """A dot now and then until the client leaves; what ends it is noted."""

    async def dots() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b".\n"
                await asyncio.sleep(0.02)
        finally:
            NOTES[request.GET.get("say", "")].append("released")

    return StreamingHttpResponse(dots(), content_type=greeting_django.TEXT)


async def notes(request: HttpRequest) -> JsonResponse:
    """What was noted under a word."""
    return JsonResponse(NOTES.get(request.GET.get("say", ""), []), safe=False)


greeting_django.urlpatterns[:] = [
    path("letters", letters),
    path("endless", endless),
    path("notes", notes),
    *greeting_django.urlpatterns,
]
application = get_asgi_application()
