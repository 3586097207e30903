"""uWSGI's master; harakiri is its name for a time-out of workers."""

import sys

from server_command import become
from shared_arbiter import options

o = options()
words = ["--http-socket", o.bind, "--master", "--processes", o.workers, "--harakiri", o.seconds]
words += ["--worker-reload-mercy", o.grace, "--die-on-term", "--need-app", "--lazy-apps"]
become("uwsgi", *words, "--virtualenv", sys.prefix, "--module", o.application)
