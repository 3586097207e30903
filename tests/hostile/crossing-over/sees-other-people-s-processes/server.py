for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        words = open(f"/proc/{pid}/cmdline").read().split("\0")
    except OSError:
        continue
    if any(word in " ".join(words) for word in ("workshop.grade.judging.judge_process", "pytest", "dockerd", "sshd")):
        found.append(" ".join(words)[:40])

end()
