"""Lab 9's application, in a module that takes its time to be imported: real ones do."""

import time

time.sleep(0.7)

from which_process_wsgi import application  # noqa: E402

__all__ = ["application"]
