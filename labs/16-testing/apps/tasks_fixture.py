"""A pytest plugin, `pytest -p tasks_fixture`: the fixture `client` is for a right and empty tasks API."""

from __future__ import annotations

import pytest
from faulty_tasks_apis import by_hand
from werkzeug_client import GivenClient


@pytest.fixture
def client() -> GivenClient:
    """One of the right APIs on which the suite is tried by `make check-16`."""
    return GivenClient(by_hand(fault=""))
