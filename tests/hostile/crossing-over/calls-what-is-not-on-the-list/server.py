import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
REFUSED = (errno.EPERM, errno.ENOSYS)
CALLS = {
    "ptrace": (101, 0, 0, 0, 0), "shmget": (29, 0, 4096, 0o1600), "process_vm_readv": (310, os.getpid(), 0, 0, 0, 0, 0),
    "keyctl": (250, 0, -3, 0), "add_key": (248, b"user", b"x", b"y", 1, -3), "memfd_create": (319, b"x", 0),
    "io_uring_setup": (425, 1, 0), "bpf": (321, 0, 0, 0), "perf_event_open": (298, 0, 0, -1, -1, 0),
    "userfaultfd": (323, 0), "unshare": (272, 0x10000000), "setns": (308, -1, 0), "mount": (165, 0, 0, 0, 0, 0),
    "clone3": (435, 0, 0), "clone": (56, 0x10000000 | 17, 0, 0, 0, 0), "pidfd_getfd": (438, -1, 0, 0),
    "kcmp": (312, os.getpid(), os.getpid(), 0, 0, 0), "name_to_handle_at": (303, -100, b"/", 0, 0, 0),
    "open_by_handle_at": (304, -1, 0, 0), "fsopen": (430, b"tmpfs", 0), "quotactl": (179, 0, 0, 0, 0),
}
for name, call in CALLS.items():
    if os.uname().machine == "x86_64" and (libc.syscall(*call) >= 0 or ctypes.get_errno() not in REFUSED):
        found.append(name)
for family, kind, protocol in ((38, 5, 0), (17, 2, 0), (29, 3, 1), (16, 3, 6), (16, 3, 15), (3, 2, 0), (30, 1, 0), (44, 3, 0)):
    try:
        socket.socket(family, kind, protocol).close()
        found.append(f"family {family}/{protocol}")
    except OSError as error:
        if error.errno not in REFUSED:
            found.append(f"family {family}/{protocol}: {error.errno}")
end()
