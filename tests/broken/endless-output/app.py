def application(environ, start_response):
    while True:
        print("output without end " * 1000)
