def answer(connection, head):
    connection.sendall(plain(b'', 'X-Accel-Redirect: /written-by-nginx/502'))

serve()
