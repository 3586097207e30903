"""Hypercorn on trio; it reads and writes HTTP/1 with h11."""

from server_command import become, options

o = options()
become("hypercorn", o.application, "--bind", o.bind, "--worker-class", "trio", "--keep-alive", o.idle)
