for path in glob.glob("/tmp/**", recursive=True) + glob.glob("/run/**", recursive=True):
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(0.5)
    if one.connect_ex(path) == 0:
        found.append(path)
for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) == os.getpid() or "nginx" in open(f"/proc/{pid}/comm").read():  # nginx is the sandbox's own
        continue
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{one}") for one in os.listdir(f"/proc/{pid}/fd")]
        found += [f"{link} of {pid}" for link in links if link.startswith("socket:")]
    except OSError:
        pass
end()
