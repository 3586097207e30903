try:
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(1)
    one.connect("/run/door/sock")
    words, descriptors, _, _ = socket.recv_fds(one, 4096, 64)
    found += [f"descriptor {number}" for number in descriptors]
except OSError:
    pass
one.close()
for number in range(3, 1024):
    try:
        os.fstat(number)
    except OSError:
        continue
    path = os.readlink(f"/proc/self/fd/{number}")
    if path.startswith("socket:"):
        found.append(path)
end()
