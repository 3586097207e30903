def answer(connection, head):
    connection.sendall(plain(b'{}'))
    if asked > 1:
        os._exit(3)

serve()
