def answer(connection, head):
    connection.sendall(plain(b'\x1b[2J\x1b]0;x\x07<script>alert(1)</script>=HYPERLINK(1)\xe2\x80\xae'))

serve()
