def answer(connection, head):
    while True:
        connection.sendall(b'HTTP/1.1 103 Early Hints\r\n\r\n' * 1000)

serve()
