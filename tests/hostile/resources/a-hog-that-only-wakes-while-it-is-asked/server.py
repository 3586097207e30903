def answer(connection, head):
    for _ in range(3):
        if os.fork() == 0:
            end = time.monotonic() + 30
            while time.monotonic() < end:
                pass
            os._exit(0)
    connection.sendall(plain(b"{}"))

serve()
