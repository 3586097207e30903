def answer(connection, head):
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + b"\x81\x7f" + b"\xff" * 8)

serve()
