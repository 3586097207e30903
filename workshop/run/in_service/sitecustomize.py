"""In each service's process, before anything else: it can say where it waits, and note what it is asked."""

import os

__import__("where_it_waits").listen()
if "WORKSHOP_NOTES" in os.environ:
    __import__("noted_application").begin()
