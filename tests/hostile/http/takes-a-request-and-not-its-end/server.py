def one(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    time.sleep(600)

serve()
