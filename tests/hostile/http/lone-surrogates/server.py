def answer(connection, head):
    connection.sendall(plain(b'{"environ": {"PATH_INFO": "\\ud800", "REQUEST_METHOD": "\\udfff"}}'))

serve()
