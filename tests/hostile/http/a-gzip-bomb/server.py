bomb = gzip.compress(bytes(1 << 26))
def answer(connection, head):
    connection.sendall(plain(bomb, 'Content-Encoding: gzip'))

serve()
