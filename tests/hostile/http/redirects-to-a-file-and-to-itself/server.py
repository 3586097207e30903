places = ["file:///etc/passwd", "gopher://127.0.0.1:1/", "/", "//169.254.169.254/latest/meta-data/"]

def answer(connection, head):
    connection.sendall(plain(b"", f"Location: {places[asked % 4]}", status="307 Temporary Redirect"))

serve()
