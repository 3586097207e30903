"""A chat over WebSockets as one ASGI application. `make lab-13` serves it with uvicorn, behind nginx.

GET /                                 200   the page to chat with (given: apps/chat_page.html)
GET /stats                            200   {"rooms": {"tea": ["Ada", "Grace"]}}: names sorted; no empty rooms
WebSocket /echo                       sends each message back; "bye" closes with 1000
WebSocket /rooms/tea?name=Ada         a room: [a-z0-9-], 1 to 32 characters; anything else is refused
"""

import chat_page

MESSAGE_LIMIT = 16 * 1024  # bytes of a message (a text's in UTF-8); longer ones close the connection: 1009
OUTBOX_LIMIT = 256  # messages that may wait for one member
FAREWELL = 5.0  # seconds in which a member that reads too slowly can still get its close frame
NAME_LIMIT = 24  # characters of a name, without the spaces around it; at least one, all of them printable
SUBPROTOCOLS = ("chat.json", "chat.lines")


async def app(scope, receive, send):
    """One call for one request or one WebSocket. Raises ValueError for a scope of another type.

    receive  {"type": "websocket.connect"}; then {"type": "websocket.receive", "text": "hi", "bytes": None},
             again and again; then {"type": "websocket.disconnect", "code": 1001}
    send     {"type": "websocket.accept", "subprotocol": "chat.json"}, then {"type": "websocket.send",
             "text": "hi"} or "bytes"; {"type": "websocket.close", "code": 1000, "reason": "bye"} at any time
    """
    # TODO task 1: http goes to `answer`, a WebSocket to `echo` or to `chat`, by scope["path"].
    raise NotImplementedError("lab 13 task 1: tell http and websocket apart")


async def answer(scope, send):
    """Given, but for /stats: plain HTTP."""
    # TODO task 2: /stats, as application/json.
    status, kind, body = 404, b"text/plain; charset=utf-8", b"not found\n"
    if scope["path"] == "/":
        status, kind, body = 200, b"text/html; charset=utf-8", chat_page.PAGE
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo(receive, send):
    """Accept; send each message back as what it was, text or bytes. Close 1000 "bye" after the text "bye"."""
    # TODO task 1: and 1009 for a message over MESSAGE_LIMIT; after a disconnect, send nothing.
    raise NotImplementedError("lab 13 task 1: send back what comes")


class Room:
    """The members of one room, by name. All of them get the same events in the same order.

    {"type": "welcome", "room": "tea", "members": ["Ada", "Grace"]}   to the newcomer, first; names sorted
    {"type": "joined", "name": "Grace"}                               to the other members
    {"type": "said", "number": 1, "name": "Ada", "text": "hello"}     to all, Ada too; the numbers grow by one
    {"type": "left", "name": "Ada", "code": 1001}                     to those who stay; with the close code
    """

    def __init__(self, name):
        # TODO task 2: members; join, say, leave, broadcast are a good start.
        raise NotImplementedError("lab 13 task 2: a room")


async def chat(scope, receive, send):
    """/rooms/tea?name=Ada: refuse, or accept and stay until one side ends it.

    A member sends {"text": "hello"} as JSON. Close it with 1003 for bytes, with 1009 for a message over
    MESSAGE_LIMIT, and with 1007 for other texts: no JSON, no object whose "text" is a string, nested too
    deeply for json (RecursionError), or half of a surrogate pair in "text", for which UTF-8 has no bytes
    (RFC 6455 §8.1). To refuse is to close before accepting: when the path, the name, the Origin or the
    subprotocols are wrong. Spaces around a name are not part of it. An Origin is right when its host and port
    are those of Host; a client without Origin is no browser, and is let in. A name that is in use: accept,
    then close with 4009. A member whose outbox overflows leaves the room at once; close it with 1013, if its
    connection still takes that. In "left", a member that you close has your code.
    """
    # TODO task 2: accept and stay; an outbox for each member. TODO task 3: refuse; choose.
    # TODO task 4: limit the outbox; let go who vanishes or overflows.
    raise NotImplementedError("lab 13 task 2: join a room, and stay")


def chosen(offered):
    """The first of scope["subprotocols"] that is in SUBPROTOCOLS; "" when the client offered none.

    Raises PermissionError when the client offered some, and none of them is in SUBPROTOCOLS.
    """
    # TODO task 3: chosen(["chat.v9", "chat.lines", "chat.json"]) == "chat.lines"
    raise NotImplementedError("lab 13 task 3: choose a subprotocol")


def rendered(event, subprotocol):
    """An event as text: JSON, or in chat.lines one line (as str.splitlines counts), whatever it contains.

    rendered({"type": "said", "number": 1, "name": "Ada", "text": "hi"}, "chat.lines") == "Ada: hi"
    and "* welcome: Ada, Grace", "* Grace joined", "* Ada left". In chat.lines a member's message is its text.
    """
    # TODO task 3
    raise NotImplementedError("lab 13 task 3: an event as text")
