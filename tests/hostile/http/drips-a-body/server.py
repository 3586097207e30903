def answer(connection, head):
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n')
    while True:
        connection.sendall(b'a'); time.sleep(0.3)

serve()
