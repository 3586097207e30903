def application(environ, start_response):
    while True:
        pass
