import os, time
try:
    os.truncate(os.open('/tmp/sparse', os.O_RDWR | os.O_CREAT), 1 << 40)
except OSError:
    pass
time.sleep(600)
