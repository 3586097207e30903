"""A pytest plugin, `pytest -p tasks_fixture`: the fixture `client` is for a right and empty tasks API."""

from __future__ import annotations

import pytest
import tasks_wsgi
from werkzeug_client import GivenClient


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> GivenClient:
    monkeypatch.setattr(tasks_wsgi, "tasks", tasks_wsgi.Tasks())
    return GivenClient(tasks_wsgi.application)
