import os
import threading

if os.fork() == 0:
    os.setsid()
    threading.Event().wait()
