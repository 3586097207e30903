def answer(connection, head):
    connection.sendall(b'HTTP/1.1 200 OK\r\nX: ')
    while True:
        connection.sendall(b'a'); time.sleep(0.3)

serve()
