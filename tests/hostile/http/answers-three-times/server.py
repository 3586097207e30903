def answer(connection, head):
    connection.sendall(plain(b'{}') * 3)

serve()
