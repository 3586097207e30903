def answer(connection, head):
    os.kill(os.getpid(), signal.SIGSTOP)

serve()
