def answer(connection, head):
    connection.sendall(plain(b'{}').replace(b'Length: 2', b'Length: -2'))

serve()
