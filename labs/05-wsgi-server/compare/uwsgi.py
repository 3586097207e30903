"""uWSGI with its own HTTP parser, without the router in front."""

import sys

from server_command import become, options

o = options()
words = ["--http-socket", o.bind, "--threads", o.threads, "--enable-threads", "--die-on-term", "--need-app"]
become("uwsgi", *words, "--virtualenv", sys.prefix, "--module", o.application)
