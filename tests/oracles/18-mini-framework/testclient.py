"""Starlette's client."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have httpx2
    from starlette.testclient import TestClient

__all__ = ["TestClient"]
