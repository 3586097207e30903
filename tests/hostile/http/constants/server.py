def answer(connection, head):
    connection.sendall(plain(b'{"environ": {"PATH_INFO": "/caf\\u00c3\\u00a9"}}'))

serve()
