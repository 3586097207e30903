for port in (8000,):
    for host in ("127.0.0.1", "0.0.0.0"):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
            one.listen()
            found.append(f"{host}:{port}")
        except OSError:
            pass
        one.close()
end()
