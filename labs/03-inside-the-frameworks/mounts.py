r"""Several applications in one process, each under a prefix: {"/flask": app, "/django": other}."""


def wsgi_mounts(apps):
    r"""Return a WSGI application that calls one of `apps`, by the longest prefix of PATH_INFO that fits.

    /flask/tasks/42 is under /flask, and so is /flask; /flaskette is not. The prefix moves:

        SCRIPT_NAME ""  PATH_INFO "/flask/tasks/42"   becomes   SCRIPT_NAME "/flask"  PATH_INFO "/tasks/42"

    Together they stay what they were, also when SCRIPT_NAME was not empty. Where nothing fits: 404.
    """
    # TODO task 3: the keys move in a copy of environ, or in environ itself.
    raise NotImplementedError("lab 3 task 3: mount WSGI applications under prefixes")


def asgi_mounts(apps, lifespan=None):
    r"""The same for ASGI, for scopes of type "http" and "websocket".

        root_path ""  path "/flask/tasks/42"   becomes   root_path "/flask"  path "/flask/tasks/42"

    In ASGI the path stays whole; what was mounted before is already in root_path, and path begins with it.
    Where nothing fits: 404, or {"type": "websocket.close"}. A scope of type "lifespan" goes to the
    application `lifespan`; without one, and for a type that you don't know, raise.
    """
    # TODO task 3: the scope belongs to the server; the mounted application gets a copy.
    raise NotImplementedError("lab 3 task 3: mount ASGI applications under prefixes")
