def answer(connection, head):
    connection.sendall(b'HTTP/1.1 200 OK\r\nX: ')
    for _ in range(1600):
        connection.sendall(b'a' * 65536)

serve()
