"""Hypercorn, with its own adapter for WSGI applications."""

from server_command import become, options

o = options()
become("hypercorn", "--bind", o.bind, "--keep-alive", o.idle, f"wsgi:{o.application}")
