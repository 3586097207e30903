def application(environ, start_response):
    return greeting(environ)


def greeting(environ):
    return environ["NO_SUCH_KEY"]
