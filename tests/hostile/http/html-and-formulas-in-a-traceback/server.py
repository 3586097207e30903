class Formula(Exception):
    pass

Formula.__name__ = Formula.__qualname__ = "=HYPERLINK"

def answer(connection, head):
    try:
        raise Formula("<script>alert(1)</script>\x1b]0;x\x07\u202e\ud800")
    except Formula:
        import traceback; traceback.print_exc()
        connection.sendall(plain(b"", status="500 <img src=x onerror=alert(1)>"))

serve()
