import socket, time; s = socket.create_server(('127.0.0.1', 9999)); time.sleep(600)
