"""bjoern: one thread in C, over libev."""

import bjoern
from server_command import application, options

o = options()
bjoern.run(application(o.application), o.host, o.port)
