"""gunicorn with its sync worker."""

from server_command import become
from shared_arbiter import options

o = options()
words = ["--bind", o.bind, "--no-control-socket", "--workers", o.workers]
become("gunicorn", o.application, *words, "--timeout", o.seconds, "--graceful-timeout", o.grace)
