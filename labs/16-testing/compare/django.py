"""Django: its RequestFactory and AsyncRequestFactory. Its Client calls Django's own handler, and no other."""

from django.conf import settings
from django.test import AsyncRequestFactory, RequestFactory

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"])


def make_environ(method="GET", target="/", headers=(), body=b""):
    return RequestFactory().generic(method, target, body, headers=dict(headers)).environ


def make_scope(method="GET", target="/", headers=(), body=b""):
    return AsyncRequestFactory().generic(method, target, body, headers=dict(headers)).scope
