def answer(connection, head):
    os._exit(0)

serve()
