import socket
import threading

listener = socket.create_server(("127.0.0.1", 0))
threading.Event().wait()
