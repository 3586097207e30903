def answer(connection, head):
    connection.sendall(plain(b'[' * 1000000))

serve()
