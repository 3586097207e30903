import time
for place in ("/tmp/full", "/dev/shm/full", "full"):
    try:
        with open(place, "wb") as file:
            while True:
                file.write(bytes(1 << 20))
    except OSError:
        pass
time.sleep(600)
