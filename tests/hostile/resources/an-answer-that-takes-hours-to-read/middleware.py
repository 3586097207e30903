# Each way to divide the spaces in two is tried: a million of them make a trillion.


def basic_auth(app, users, realm="tasks"):
    def application(environ, start_response):
        start_response("401 Unauthorized", [("WWW-Authenticate", "Basic" + " " * 1_000_000 + "x")])
        return [b""]

    return application


def application(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "application/json")])
    return [b"{"]
