"""Flask, Django and FastAPI, one small application each, mounted in one process by mounts.py.

    GET /flask/tasks/42     as JSON: which framework, prefix and path that it sees, and its link to that task

`wsgi` has Flask and Django, `asgi` has all three: Flask through asgiref's WsgiToAsgi, and FastAPI from
fastapi_tasks.py. It is all mounted at the first request: mounts that aren't there yet are a failed request,
and no failed start.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path, reverse
from flask import Flask, request, url_for

# --- Flask

flask = Flask("three_frameworks")


@flask.get("/tasks/<int:number>")
def flask_task(number: int) -> dict[str, Any]:
    link = url_for("flask_task", number=number)
    return {"framework": "flask", "prefix": request.script_root, "path": request.path, "link": link}


# --- Django

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="it signs nothing here")


def django_task(request: HttpRequest, number: int) -> JsonResponse:
    prefix, link = request.path.removesuffix(request.path_info), reverse("task", args=[number])
    return JsonResponse({"framework": "django", "prefix": prefix, "path": request.path_info, "link": link})


urlpatterns = [path("tasks/<int:number>", django_task, name="task")]

# --- together


@cache
def wsgi_mounted() -> WSGIApplication:
    from mounts import wsgi_mounts

    made: WSGIApplication = wsgi_mounts({"/flask": flask, "/django": get_wsgi_application()})
    return made


@cache
def asgi_mounted() -> Any:
    from asgiref.wsgi import WsgiToAsgi
    from django.core.asgi import get_asgi_application
    from fastapi_tasks import fastapi  # it takes longest to import: gunicorn does without
    from mounts import asgi_mounts

    apps = {"/flask": WsgiToAsgi(flask), "/django": get_asgi_application(), "/fastapi": fastapi}
    return asgi_mounts(apps, lifespan=fastapi)


def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return wsgi_mounted()(environ, start_response)


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await asgi_mounted()(scope, receive, send)
