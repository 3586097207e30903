import socket
import sys

arguments = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))
listener = socket.create_server((arguments["--host"], int(arguments["--port"])))
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    connection.close()
