"""The system calls and address families that a sandbox allows; whatever is not named here is refused.

It is what Python, nginx and servers of either need. Left out on purpose: what looks into other processes
(ptrace, process_vm_*, pidfd_getfd, kcmp), keyrings, namespaces and mounts, System V and anonymous shared
memory (memfd_create), which no limit of ours counts, io_uring, bpf, perf, userfaultfd, modules and clocks.
clone3 does not exist there: its flags can't be looked at, and libc then takes clone.

bubblewrap takes the filter as a program, which libseccomp makes; Docker takes it as JSON.
"""

from __future__ import annotations

import errno
import json
import tempfile
from typing import Any

NAMESPACES = (
    0x7E020000  # CLONE_NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET | NEWNS (NEWNS: 0x20000)
)
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
ROUTES, DIAGNOSIS = 0, 4  # of netlink: what libc asks for addresses, and what the agent asks for listeners
FAMILIES = (AF_UNIX, AF_INET, AF_INET6)
NO_SUCH_CALL = ("clone3",)
ALLOWED = """
    read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction
    rt_sigprocmask rt_sigreturn ioctl pread64 pwrite64 readv writev access pipe select sched_yield
    mremap msync mincore madvise dup dup2 pause nanosleep getitimer alarm setitimer getpid sendfile
    connect accept sendto recvfrom sendmsg recvmsg shutdown bind listen getsockname getpeername
    setsockopt getsockopt fork vfork execve exit wait4 kill uname fcntl flock fsync fdatasync
    truncate ftruncate getdents getcwd chdir fchdir rename mkdir rmdir creat link unlink symlink
    readlink chmod fchmod chown fchown lchown umask gettimeofday getrlimit getrusage sysinfo times
    getuid getgid setuid setgid geteuid getegid setpgid getppid getpgrp setsid setreuid setregid
    getgroups setgroups setresuid getresuid setresgid getresgid getpgid setfsuid setfsgid getsid
    capget capset rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend sigaltstack utime
    mknod statfs fstatfs getpriority setpriority sched_setparam sched_getparam sched_setscheduler
    sched_getscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval mlock
    munlock prctl arch_prctl setrlimit sync gettid readahead getxattr lgetxattr fgetxattr listxattr
    llistxattr flistxattr tkill time futex sched_setaffinity sched_getaffinity epoll_create
    getdents64 set_tid_address restart_syscall semtimedop fadvise64 timer_create timer_settime
    timer_gettime timer_getoverrun timer_delete clock_gettime clock_getres clock_nanosleep
    exit_group epoll_wait epoll_ctl tgkill utimes waitid inotify_init inotify_add_watch
    inotify_rm_watch openat mkdirat mknodat fchownat futimesat newfstatat unlinkat renameat linkat
    symlinkat readlinkat fchmodat faccessat pselect6 ppoll set_robust_list get_robust_list splice
    tee sync_file_range utimensat epoll_pwait signalfd timerfd_create eventfd fallocate
    timerfd_settime timerfd_gettime accept4 signalfd4 eventfd2 epoll_create1 dup3 pipe2
    inotify_init1 preadv pwritev rt_tgsigqueueinfo recvmmsg prlimit64 syncfs sendmmsg getcpu
    sched_setattr sched_getattr renameat2 getrandom execveat membarrier copy_file_range preadv2
    pwritev2 statx rseq pidfd_send_signal pidfd_open close_range openat2 faccessat2 epoll_pwait2
    futex_waitv landlock_create_ruleset landlock_add_rule landlock_restrict_self
""".split()  # noqa: SIM905


def missing() -> str:
    """What a filter for bubblewrap lacks here; "" when one can be made."""
    try:
        import pyseccomp  # type: ignore[import-untyped,unused-ignore]  # noqa: F401
    except (ImportError, RuntimeError, OSError) as error:
        return f"pyseccomp or libseccomp ({error})"
    return ""


def program() -> bytes:
    """The filter as the kernel takes it. Raises ImportError or RuntimeError where libseccomp is not there."""
    import pyseccomp as made

    found = made.SyscallFilter(made.ERRNO(errno.EPERM))
    for name in ALLOWED:
        if made.resolve_syscall(made.Arch.NATIVE, name) >= 0:
            found.add_rule(made.ALLOW, name)
    for name in NO_SUCH_CALL:
        found.add_rule(made.ERRNO(errno.ENOSYS), name)
    found.add_rule(made.ALLOW, "clone", made.Arg(0, made.MASKED_EQ, NAMESPACES, 0))
    for family in FAMILIES:
        found.add_rule(made.ALLOW, "socket", made.Arg(0, made.EQ, family))
    for protocol in (ROUTES, DIAGNOSIS):
        netlink = (made.Arg(0, made.EQ, AF_NETLINK), made.Arg(2, made.EQ, protocol))
        found.add_rule(made.ALLOW, "socket", *netlink)
    found.add_rule(made.ALLOW, "socketpair", made.Arg(0, made.EQ, AF_UNIX))
    with tempfile.TemporaryFile() as file:
        found.export_bpf(file)
        file.seek(0)
        return file.read()


def docker_profile() -> str:
    """The same for Docker's --security-opt seccomp=FILE."""

    def rule(names: list[str], *args: dict[str, Any]) -> dict[str, Any]:
        return {"names": names, "action": "SCMP_ACT_ALLOW", "args": list(args)}

    def equal(index: int, value: int) -> dict[str, Any]:
        return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}

    flags = {"index": 0, "value": NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    rules = [rule(ALLOWED), rule(["clone"], flags)]
    rules += [rule(["socket"], equal(0, family)) for family in FAMILIES]
    rules += [rule(["socket"], equal(0, AF_NETLINK), equal(2, one)) for one in (ROUTES, DIAGNOSIS)]
    rules.append(rule(["socketpair"], equal(0, AF_UNIX)))
    rules.append({"names": [*NO_SUCH_CALL], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS})
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": errno.EPERM, "syscalls": rules}
    return json.dumps(profile)
