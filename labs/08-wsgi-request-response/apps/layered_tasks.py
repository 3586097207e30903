"""The tasks API of lab 8 (`wrappers`) inside lab 6's layers, to be served by lab 5's server.

The layers are the reference's: request id and timing.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[3] / "solutions" / "06-wsgi-middleware"))
middleware: Any = importlib.import_module("middleware")
wrappers: Any = importlib.import_module("wrappers")

application = middleware.request_id(middleware.timing(wrappers.application))
