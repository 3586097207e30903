def answer(connection, head):
    connection.sendall(plain(b'{"environ": NaN, "x": Infinity}'))

serve()
