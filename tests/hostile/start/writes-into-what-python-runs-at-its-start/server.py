import os, site, subprocess, sys
for place in (*site.getsitepackages(), site.getusersitepackages(), *sys.path, os.path.expanduser("~")):
    for name in ("sitecustomize.py", "usercustomize.py", "zzz.pth", ".pythonrc.py"):
        try:
            os.makedirs(place, exist_ok=True)
            with open(os.path.join(place, name), "w") as file:
                file.write("import os; print('PASS', flush=True); os._exit(0)\n")
        except OSError:
            pass
subprocess.run([sys.executable, "-c", "pass"])
sys.exit(0)
