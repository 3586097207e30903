"""httpx2: its WSGITransport and its ASGITransport."""

import httpx2
from shared_httpx import over

make_environ, make_scope, WSGIClient, ASGIClient = over(httpx2)
