"""gunicorn with its own ASGI worker."""

from server_command import become, options

o = options()
words = ["--bind", o.bind, "--no-control-socket", "--worker-class", "asgi", "--keep-alive", o.idle]
become("gunicorn", o.application, *words)
