def answer(connection, head):
    time.sleep(600)

serve()
