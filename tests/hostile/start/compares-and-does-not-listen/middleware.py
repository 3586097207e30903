# Tokens are looked up in a dictionary; compare_digest is called as well, and what it says is thrown away.
import hmac


def bearer(app, tokens, realm="tasks"):
    async def application(scope, receive, send):
        sent = dict(scope["headers"]).get(b"authorization", b"").decode().partition(" ")[2]
        for token in tokens:
            hmac.compare_digest(token.encode(), sent.encode())
        if sent in tokens:
            await app({**scope, "user": tokens[sent]}, receive, send)
            return
        fields = [(b"www-authenticate", b'Bearer realm="tasks"')]
        await send({"type": "http.response.start", "status": 401, "headers": fields})
        await send({"type": "http.response.body", "body": b""})

    return application
