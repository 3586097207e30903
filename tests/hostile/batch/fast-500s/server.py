def answer(connection, head):
    connection.sendall(plain(b'', status='500 Oops'))

serve()
