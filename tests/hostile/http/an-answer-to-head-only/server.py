def answer(connection, head):
    status = ("204 No Content", "304 Not Modified", "200 OK")[asked % 3]
    connection.sendall(plain(b"" if status == "200 OK" else b'{"environ": {}}', status=status))

serve()
