import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
    if pid in (os.getpid(), os.getpid() - 1):
        continue
    words = open(f"/proc/{pid}/cmdline").read()
    if "workshop.grade.sandboxes.sandbox_init" not in words or "docker-init" in words:  # Docker's own reaper holds nothing
        continue
    try:
        open(f"/proc/{pid}/mem", "rb")
        found.append(f"mem of {pid}")
    except OSError:
        pass
    if libc.ptrace(16, pid, 0, 0) == 0:
        found.append(f"ptrace of {pid}")
    pidfd = os.pidfd_open(pid)
    if libc.syscall(438, pidfd, 5, 0) >= 0:
        found.append(f"descriptor of {pid}")

end()
