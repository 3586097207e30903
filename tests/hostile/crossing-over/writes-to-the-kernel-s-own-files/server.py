for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger",
             "/proc/sys/kernel/hostname", "/sys/kernel/uevent_helper", "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/release_agent",
             "/proc/1/oom_score_adj", "/proc/self/uid_map", "/dev/kmsg", "/dev/mem", "/dev/sda"):
    try:
        with open(path, "r+b", buffering=0):
            if path not in ("/proc/1/oom_score_adj", "/proc/self/uid_map"):
                found.append(path)
    except OSError:
        pass
end()
