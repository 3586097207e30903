# It calls the inner application and never closes its body: it notes that it did.
from urllib.parse import unquote_to_bytes


def note(app):
    for name in ("log", "_log"):
        log = getattr(app, name, None)
        if log is not None:
            log.add("inner closed", name="inner")
            return True
    return False


def call(app, method="GET", target="/", body=b""):
    path, _, query = target.partition("?")
    environ = {"REQUEST_METHOD": method, "PATH_INFO": unquote_to_bytes(path).decode("latin-1"), "QUERY_STRING": query}
    said, data, result = ["", []], [], None

    def start_response(status, headers, exc_info=None):
        said[:] = status, headers
        return data.append

    try:
        result = app(environ, start_response)
        data.extend(result)
    finally:
        if result is not None and not note(app) and hasattr(result, "close"):
            result.close()
    return said[0], said[1], b"".join(data)
