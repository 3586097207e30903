import os, sys
host, port = sys.argv[sys.argv.index("--host") + 1], sys.argv[sys.argv.index("--port") + 1]
for base in (sys.prefix, sys.base_prefix, "/usr", "/usr/local"):
    for name, words in (("gunicorn", ["--bind", f"{host}:{port}"]), ("uvicorn", ["--interface", "wsgi", "--host", host, "--port", port]), ("hypercorn", ["--bind", f"{host}:{port}"])):
        path = f"{base}/bin/{name}"
        if os.path.exists(path) and os.access(path, os.X_OK):
            os.execv(path, [path, sys.argv[1], *words])
for place in ("site-packages", "dist-packages"):
    for base in (sys.prefix, sys.base_prefix, "/usr", "/usr/local"):
        sys.path.append(f"{base}/lib/python3.{sys.version_info.minor}/{place}")
try:
    import gunicorn.app.wsgiapp as found
except ImportError:
    import uvicorn
    uvicorn.run(sys.argv[1], host=host, port=int(port), interface="wsgi")
else:
    sys.argv = ["gunicorn", sys.argv[1], "--bind", f"{host}:{port}"]
    found.run()
