import socket
import sys
import threading

arguments = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))
listener = socket.create_server((arguments["--host"], int(arguments["--port"])))
threading.Event().wait()
