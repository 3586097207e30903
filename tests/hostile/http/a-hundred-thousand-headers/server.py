def answer(connection, head):
    connection.sendall(plain(b'{}', *(f'X-{n}: {n}' for n in range(100000))))

serve()
