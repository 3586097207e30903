# The beginning of every case that answers ("begins" in its case.toml): it listens, reads a request's head and
# calls `answer(connection, head)`, which the case defines before it calls `serve()`.
import argparse, os, signal, socket, sys, threading, time, json, gzip
parser = argparse.ArgumentParser()
parser.add_argument("application"); parser.add_argument("--host"); parser.add_argument("--port", type=int)
options, _ = parser.parse_known_args()
asked = 0

def one(connection):
    global asked
    try:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        asked += 1
        answer(connection, head)
    except OSError:
        pass
    finally:
        connection.close()

def serve():
    listener = socket.create_server((options.host, options.port), backlog=1024)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=one, args=[connection], daemon=True).start()

def plain(body, *more, status="200 OK", kind="application/json"):
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close", *more]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
