def answer(connection, head):
    connection.sendall(plain(b'{}', 'Content-Length: 1'))

serve()
