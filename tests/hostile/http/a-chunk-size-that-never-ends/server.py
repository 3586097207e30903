def answer(connection, head):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 400 + b"\r\n")
    while True:
        connection.sendall(b"0" * 65536)

serve()
