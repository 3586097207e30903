SEEN = "/tmp/seen"  # by the one before, which has ended


def answer(connection, head):
    connection.sendall(plain(b"{}"))
    if b"CANARY" in head:
        with open(SEEN, "wb") as file:
            file.write(head.split(b"\r\n")[0])
        os._exit(0)


if os.path.exists(SEEN) and "CANARY" not in sys.argv[-1]:
    with open(SEEN) as file:
        os.execv(sys.executable, [sys.executable, *sys.argv, file.read()])
serve()
