HEADERS = [("Content-Type", "text/plain; charset=utf-8")]


def application(environ, start_response):
    HEADERS.append(("Content-Length", "14"))
    HEADERS.append(("Content-Length", "14"))
    start_response("200 OK", HEADERS)
    return [b"Hello, world!\n"]
