# The beginning of every case that hunts ("begins" in its case.toml): what it finds goes into `found`.
import glob, json, os, re, socket, sys
found = []
def end():
    print("FOUND " + (" ".join(map(str, found))[:150] if found else "nothing"), flush=True)
    os._exit(1)
