import os, socket, time
kept = []
while True:
    try:
        one, other = socket.socketpair()
        one.setblocking(False)
        kept += [one, other]
        while one.send(bytes(1 << 16)):
            pass
    except BlockingIOError:
        pass
    except OSError:
        time.sleep(1)
