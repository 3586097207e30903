"""granian: HTTP in Rust (hyper), the application in threads."""

from server_command import become, options

o = options()
words = ["--interface", "wsgi", "--host", o.host, "--port", o.port, "--http", "1"]
become("granian", *words, "--blocking-threads", o.threads, "--no-ws", o.application)
