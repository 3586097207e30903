import os, time
for _ in range(16):
    if os.fork() == 0:
        kept = []
        try:
            while True:
                kept.append(bytearray(os.urandom(1 << 20)) * 16)
        except MemoryError:
            time.sleep(600)
time.sleep(600)
