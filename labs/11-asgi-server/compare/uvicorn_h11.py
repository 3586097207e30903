"""uvicorn, with h11 as its parser."""

from server_command import become, options

o = options()
words = [
    "--host",
    o.host,
    "--port",
    o.port,
    "--http",
    "h11",
    "--lifespan",
    "off",
    "--timeout-keep-alive",
    o.idle,
]
become("uvicorn", o.application, *words, "--no-proxy-headers", "--log-level", "error", "--no-access-log")
