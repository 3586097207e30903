import os, signal, time
for _ in range(3):
    if os.fork():
        os._exit(0)
    os.setsid()
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
time.sleep(600)
