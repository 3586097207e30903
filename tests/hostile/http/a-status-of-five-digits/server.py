def answer(connection, head):
    connection.sendall(b'HTTP/1.1 20000 OK\r\n\r\n')

serve()
