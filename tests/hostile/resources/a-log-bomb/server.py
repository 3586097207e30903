import sys
while True:
    sys.stdout.write('PASS ' * 10000)
