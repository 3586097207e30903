"""granian: HTTP in Rust (hyper), the application on asyncio."""

from server_command import become, options

o = options()
words = ["--interface", "asginl", "--host", o.host, "--port", o.port, "--http", "1"]
become("granian", *words, o.application)
