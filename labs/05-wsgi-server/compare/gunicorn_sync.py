"""gunicorn with its sync worker: one request at a time, and no connection is kept."""

from server_command import become, options

o = options()
become("gunicorn", o.application, "--bind", o.bind, "--no-control-socket", "--worker-class", "sync")
