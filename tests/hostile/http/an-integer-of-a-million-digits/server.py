def answer(connection, head):
    connection.sendall(plain(b'1' * 1000000))

serve()
