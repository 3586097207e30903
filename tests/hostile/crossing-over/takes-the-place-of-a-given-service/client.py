import ctypes, os, signal, socket, time
found = []
if os.getuid() == 0:
    raise SystemExit("no sandbox: nothing is done")
ports = set()
for line in open("/proc/net/tcp").read().splitlines()[1:]:
    if line.split()[3] == "0A":
        ports.add(int(line.split()[1].split(":")[1], 16))
given = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if b"faulty_tasks_apis" in open(f"/proc/{pid}/cmdline", "rb").read()]
if not given:
    found.append("no given service at all")
for pid in given:
    for name in ("mem", "environ", "maps", "fd/3"):
        try:
            open(f"/proc/{pid}/{name}", "rb").read(1)
            found.append(name)
        except OSError:
            pass
    pidfd = os.pidfd_open(int(pid)) if hasattr(os, 'pidfd_open') else -1
    for number in range(3, 20):  # pidfd_getfd
        if pidfd >= 0 and ctypes.CDLL(None).syscall(438, pidfd, number, 0) >= 0:
            found.append(f"descriptor {number}")
    os.kill(int(pid), signal.SIGKILL)
time.sleep(0.2)
for port in ports:
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            one.bind(("127.0.0.1", port))
            one.listen()
            found.append(f"port {port}")
        except OSError:
            pass
        one.close()
raise RuntimeError("FOUND " + (" ".join(found)[:150] or "nothing"))
