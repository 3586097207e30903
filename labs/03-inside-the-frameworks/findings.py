"""What is wrong in the recordings of `traffic/`. Each stack has three layers; both boundaries were recorded:

server ──(outer)── middleware ──(inner)── application
"""

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


def findings():
    """For each recording: the layer, the rule (a key of RULES) and the line.

    The line is the first at which the rule is broken; where something is missing at the end, the last line.
    Where nothing is wrong: ("nobody", "none", 0).
    """
    # TODO task 4: read traffic/01.txt to traffic/10.txt, and fill this in:
    #     return {"01": ("server", "bytes", 7), "02": …}
    raise NotImplementedError("lab 3 task 4: say which layer broke which rule")
