"""daphne, over Twisted."""

from server_command import become, options

o = options()
become("daphne", "-b", o.host, "-p", o.port, "--http-timeout", "60", "-v", "0", o.application)
