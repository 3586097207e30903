"""In each service's process, before anything else: it can say where it waits, and note what it is asked."""

import importlib
import os

importlib.import_module("where_it_waits").listen()
if "WORKSHOP_NOTES" in os.environ:
    importlib.import_module("noted_application").begin()
