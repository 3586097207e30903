def answer(connection, head):
    connection.sendall(b'\x00\xff' * 1000)

serve()
