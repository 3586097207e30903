import os, signal, time

if os.fork() == 0:
    os.setsid()
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            os.kill(-1, signal.SIGKILL)  # not this process itself
        except OSError:
            pass
time.sleep(600)
