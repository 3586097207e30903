def one(connection):
    connection.sendall(plain(b'{"environ": {}}') * 3)
    connection.close()

def answer(connection, head):
    pass

serve()
