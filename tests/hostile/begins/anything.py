# What stands in place of every edited file when all labs' checks are asked what they make of nonsense. The test
# writes a line `WAY = "…"` in front, and the lab's own solution beside it as _real/NAME.py. With a constant, whatever
# is called or asked gets that; with a warp, what the solution says, of the same length and of wrong types.
import asyncio, contextlib, dataclasses, importlib, importlib.util, inspect, os, re, socket, subprocess, sys, threading, time
from pathlib import Path

HERE = Path(__file__).parent
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"


class Sullen:
    def __repr__(self):
        raise RuntimeError("no repr")


class Anything:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_, **__):
        return self

    def __iter__(self):
        return iter([self])


def raises(error):
    raise error


def deep():
    value = []
    for _ in range(10_000):
        value = [value]
    return value


# By name: the body that every request gets, and what every call comes to.
CONSTANTS = {
    "none": (b"null", lambda: None),
    "seven": (b"7", lambda: 7),
    "empty": (b"", lambda: ""),
    "object": (b"{}", dict),
    "list": (b"[]", list),
    "odd list": (b'[null, 7, {"a": NaN}, "\\ud800", []]', lambda: [None, 7, {"a": float("nan")}, "\ud800", ()]),
    "surrogate": (b'"\\ud800<script>=HYPERLINK(1)"', lambda: "\ud800<script>\x1b[2J"),
    "bytes": (b"\x00\xff\xfe", lambda: b"\xff\x00"),
    "deep": (b"[" * 100_000, deep),
    "huge": (b"9" * 100_000, lambda: 10**5000),
    "infinite": (b"Infinity", lambda: float("inf")),
    "sullen": (b'{"error": {"code": []}}', Sullen),
    "generator": (b'{"id": {}, "title": 7}', lambda: (n for n in range(3))),
    "anything": (b"true", Anything),
    "error": (b"x", lambda: raises(ValueError("\ud800<script>"))),
    "base": (b"x", lambda: raises(BaseException("\x1b[2J"))),
    "exit": (b"x", lambda: os._exit(0)),
}
RAW = {
    "error": b"HTTP/1.1 204 No Content\r\n\r\n",
    "base": b"HTTP/1.1 500 \xff<script>\r\nContent-Length: 0\r\n\r\n",
    "exit": b"\x00\xff\x81\x7f" + b"\xff" * 9,
    "anything": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\xff\xff\xff\x7f\x00\x01",
}
body, outcome = CONSTANTS.get(WAY, (b"", None))
raw = RAW.get(WAY, HEAD % len(body) + body)


# --- warps: what is right, spoilt ---------------------------------------------------------------------

def fitted(match, instead):
    room = len(match[2])
    word = next((one for one in (*instead, b"7") if len(one) <= room), match[2])
    return match[1] + word.ljust(room)


VALUE = re.compile(rb'("[\w.-]+": ?)("(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null)')
INSTEAD = {
    "warp none": ((b"null", b"[]"), None),
    "warp numbers": ((b"7",), 7),
    "warp lists": ((b"[[]]", b"[]"), [[]]),
    "warp texts": ((b'""',), ""),
    "warp objects": ((b'{"":{}}', b"{}"), {"": {}}),
}


def warped_bytes(data):
    if WAY == "warp keys":
        return re.sub(rb'"\w(\w*)":', rb'"%\1":', data)
    return VALUE.sub(lambda match: fitted(match, INSTEAD[WAY][0]), data)


def warped(value, depth=0):
    if isinstance(value, bytes) and depth == 0:
        return warped_bytes(value)
    if depth < 6 and isinstance(value, (list, tuple)):
        items = [warped(item, depth + 1) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if depth < 6 and isinstance(value, dict):
        if WAY == "warp keys":
            return {f"%{key}": item for key, item in value.items()}
        return {key: warped(item, depth + 1) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        with contextlib.suppress(Exception):
            for one in dataclasses.fields(value):
                object.__setattr__(value, one.name, warped(getattr(value, one.name), depth + 1))
        return value
    if value is None or isinstance(value, (str, bytes, bool, int, float)):
        return INSTEAD.get(WAY, (b"", None))[1]
    return value


# --- what is called -----------------------------------------------------------------------------------

def is_wsgi(args):
    return len(args) == 2 and isinstance(args[0], dict) and "REQUEST_METHOD" in args[0] and callable(args[1])


def is_asgi(args):
    return len(args) == 3 and isinstance(args[0], dict) and "type" in args[0]


def through_wsgi(app, environ, start_response):
    if outcome is not None:
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]
    return map(warped_bytes, app(environ, start_response))


async def through_asgi(app, scope, receive, send):
    async def warping(message):
        await send({**message, "body": warped_bytes(message["body"])} if "body" in message else message)

    if outcome is None:
        return await app(scope, receive, warping)
    kind = (await receive())["type"]
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
        return await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": body.decode("latin-1")})
        return await send({"type": "websocket.close", "code": 1000})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


def spoilt(thing):
    """A function or an application of the solution's, spoilt; other things by value."""
    if inspect.isclass(thing):
        return thing if outcome is None else (lambda *_, **__: outcome())
    if not callable(thing):
        return warped(thing) if outcome is None else outcome()
    if inspect.iscoroutinefunction(thing) or inspect.iscoroutinefunction(getattr(thing, "__call__", None)):
        async def call(*args, **kwargs):
            if is_asgi(args):
                return await through_asgi(thing, *args)
            return outcome() if outcome is not None else warped(await thing(*args, **kwargs))
    else:
        def call(*args, **kwargs):
            if is_wsgi(args):
                return through_wsgi(thing, *args)
            if is_asgi(args):
                return through_asgi(thing, *args)
            if outcome is not None:
                return outcome()
            value = thing(*args, **kwargs)
            return spoilt(value) if callable(value) and not isinstance(value, type) and not hasattr(value, "__dict__") or inspect.isfunction(value) else warped(value)
    call.__name__ = getattr(thing, "__name__", "call")
    return call


def real(name):
    sys.path.insert(0, str(HERE / "_real"))
    spec = importlib.util.spec_from_file_location(f"_real_{name}", HERE / "_real" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    sys.path.pop(0)
    return module


# --- what is asked ------------------------------------------------------------------------------------

def answer(connection):
    with contextlib.suppress(OSError), connection:
        if connection.recv(65536):
            connection.sendall(raw)


def pump(source, target, change):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(change(data))
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def pass_on(connection, port):
    with contextlib.suppress(OSError), connection, socket.create_connection(("127.0.0.1", port)) as inner:
        threading.Thread(target=pump, args=[connection, inner, bytes], daemon=True).start()
        pump(inner, connection, warped_bytes)


def serve(words):
    text = " ".join(words)
    port = int(re.search(r"--port[ =](\d+)|:(\d{4,5})\b", text)[0].split()[-1].split(":")[-1].split("=")[-1])
    handle = answer
    if outcome is None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            inner = free.getsockname()[1]
        subprocess.Popen([sys.executable, *[word.replace(str(port), str(inner)) for word in words]])
        handle = lambda connection: pass_on(connection, inner)
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", inner)).close()
                break
            time.sleep(0.02)
    listener = socket.create_server(("127.0.0.1", port), backlog=256)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=handle, args=[connection], daemon=True).start()


if __name__ == "__main__":
    serve([str(HERE / "_real" / Path(__file__).name), *sys.argv[1:]])
else:
    for _name, _thing in list(vars(real(Path(__file__).stem)).items()):
        if not _name.startswith("__") and not inspect.ismodule(_thing):
            own = getattr(_thing, "__module__", "").startswith("_real_") if callable(_thing) else _name != "annotations"
            globals()[_name] = spoilt(_thing) if own else _thing
