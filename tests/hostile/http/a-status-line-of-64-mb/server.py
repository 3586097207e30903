def answer(connection, head):
    connection.sendall(b"HTTP/1.1 200 ")
    for _ in range(1024):
        connection.sendall(b"a" * 65536)

serve()
