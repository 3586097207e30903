for top, folders, files in os.walk("/"):
    folders[:] = [one for one in folders if os.path.join(top, one) not in ("/proc", "/tmp", "/dev/shm", "/sys", "/dev/mqueue")]
    if top.count("/") > 3:
        folders[:] = []
    try:
        path = os.path.join(top, "mine")
        open(path, "w").close()
        found.append(path)
    except OSError:
        pass
for path in (__file__, "/workshop/workshop/judge/plugin.py", "/etc/passwd"):
    try:
        open(path, "a")
        found.append(path)
    except OSError:
        pass

end()
