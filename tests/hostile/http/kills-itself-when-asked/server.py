def answer(connection, head):
    os.kill(os.getpid(), signal.SIGKILL)

serve()
