import socket
import sys

arguments = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))
listener = socket.create_server((arguments["--host"], int(arguments["--port"])))
while True:
    connection, _ = listener.accept()
    connection.sendall(b"220 mail.example ESMTP\r\n")
    connection.recv(65536)
    connection.close()
