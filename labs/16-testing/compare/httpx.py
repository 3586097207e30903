"""httpx: its WSGITransport and its ASGITransport."""

import httpx
from shared_httpx import over

make_environ, make_scope, WSGIClient, ASGIClient = over(httpx)
