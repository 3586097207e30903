"""uvicorn, with a2wsgi's WSGIMiddleware around the application."""

import uvicorn
from a2wsgi import WSGIMiddleware
from server_command import application, options

o = options()
uvicorn.run(
    WSGIMiddleware(application(o.application), workers=o.threads),
    host=o.host,
    port=o.port,
    timeout_keep_alive=int(o.keep_alive),
    lifespan="off",
    log_level="error",
)
