"""gunicorn with its threaded worker."""

from server_command import become, options

o = options()
words = ["--bind", o.bind, "--no-control-socket", "--worker-class", "gthread", "--threads", o.threads]
become("gunicorn", o.application, *words, "--keep-alive", o.idle)
