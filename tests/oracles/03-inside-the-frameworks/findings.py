"""What is wrong in the recordings of `traffic/`. Each stack has three layers; both boundaries were recorded:

server ──(outer)── middleware ──(inner)── application
"""

from __future__ import annotations

LAYERS = ("server", "middleware", "application", "nobody")

RULES = {
    "start": "start_response, or http.response.start, comes first, and once",
    "bytes": "a chunk is bytes",
    "lazy": "a chunk is passed on before the next one is asked for",
    "length": "Content-Length is the number of bytes that follow",
    "close": "a body that has a close is closed, in every ending",
    "exc_info": "a second start_response passes exc_info",
    "path": "SCRIPT_NAME and PATH_INFO together stay what they were",
    "more_body": "the last http.response.body has no more_body",
    "body": "the request's body is the application's to read",
    "scope": "an application raises on a scope type that it doesn't know",
    "none": "nothing is wrong",
}


def findings() -> dict[str, tuple[str, str, int]]:
    """For each recording: the layer, the rule (a key of RULES) and the line, counted from 1."""
    return {
        # Two inner chunks, and no outer one between them: somebody collects.
        "01": ("middleware", "lazy", 7),
        # The client leaves after a chunk, which is legal. No outer close: the server did not call it.
        "02": ("server", "close", 8),
        # The inner call has 'LookupError', the outer one None: the argument was dropped on the way.
        "03": ("middleware", "exc_info", 6),
        # A late start and empty chunks are legal; 7 + 5 bytes are the 12 that were promised.
        "04": ("nobody", "none", 0),
        # The outer body was closed, the inner one was not.
        "05": ("middleware", "close", 9),
        # 12 characters, 13 bytes.
        "06": ("application", "length", 7),
        # /shop is in PATH_INFO before, and in neither key after.
        "07": ("middleware", "path", 2),
        # more_body is True in the last body too, and then the application is gone.
        "08": ("application", "more_body", 11),
        # The first piece crosses the outer boundary, and never the inner one.
        "09": ("middleware", "body", 2),
        # Asked whether it speaks lifespan, it answers with a web page.
        "10": ("application", "scope", 3),
    }
