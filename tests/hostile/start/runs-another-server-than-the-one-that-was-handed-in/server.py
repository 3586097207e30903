import sys, os
os.execv(sys.executable, [sys.executable, "-m", "http.server", sys.argv[sys.argv.index("--port") + 1], "--bind", "127.0.0.1"])
