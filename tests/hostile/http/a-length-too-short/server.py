def answer(connection, head):
    connection.sendall(plain(b'{"environ": {}}').replace(b'Length: 15', b'Length: 2'))

serve()
