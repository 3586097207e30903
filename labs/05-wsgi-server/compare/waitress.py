"""waitress: one thread reads and writes, the others call the application."""

from server_command import application, options
from waitress import serve

o = options()
idle = int(o.keep_alive)
serve(
    application(o.application),
    host=o.host,
    port=o.port,
    threads=o.threads,
    channel_timeout=idle,
    cleanup_interval=idle,
    _quiet=True,
)
