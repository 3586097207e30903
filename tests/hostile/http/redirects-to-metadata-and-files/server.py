def answer(connection, head):
    connection.sendall(plain(b'', 'Location: http://169.254.169.254/', status='302 Found'))

serve()
