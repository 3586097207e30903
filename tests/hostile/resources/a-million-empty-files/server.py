import os, time
try:
    for number in range(1 << 20):
        os.close(os.open(f"/tmp/{number}", os.O_CREAT | os.O_WRONLY))
except OSError:
    pass
time.sleep(600)
