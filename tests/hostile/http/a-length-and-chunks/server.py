def answer(connection, head):
    connection.sendall(plain(b'{}', 'Transfer-Encoding: chunked'))

serve()
