def application(environ, start_response):
    raise NotImplementedError("lab 1 task 1: answer Hello, world")


async def asgi(scope, receive, send):
    raise NotImplementedError("lab 1 task 4")
