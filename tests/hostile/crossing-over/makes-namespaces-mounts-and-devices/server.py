import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("net", 0x40000000), ("pid", 0x20000000)):
    if libc.unshare(flag) == 0:
        found.append(f"{name} namespace")
if libc.mount(b"none", b"/tmp", b"tmpfs", 0, b"") == 0:
    found.append("mount")
try:
    os.mknod("/tmp/device", 0o60600, os.makedev(8, 0))
    found.append("device")
except OSError:
    pass
try:
    os.setuid(0)
    found.append("root")
except OSError:
    pass
status = open("/proc/self/status").read()
if not re.search(r"CapEff:\s*0+$", status, re.M) or not re.search(r"NoNewPrivs:\s*1", status):
    found.append("capabilities")

end()
