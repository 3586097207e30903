evil = "=HYPERLINK(\"http://x\",\"y\")<script>alert(1)</script>]]>&amp;\x1b[31m"

def answer(connection, head):
    print(f"ERROR: {evil}", file=sys.stderr, flush=True)
    connection.sendall(plain(f'"{evil}"'.encode("latin-1"), f"X-Evil: {evil}".replace("\x1b", ""), status=f"200 {evil}".replace("\x1b", ""), kind="text/html"))

serve()
