for host, port in (("169.254.169.254", 80), ("10.0.0.1", 80), ("172.17.0.1", 2375), ("192.168.0.1", 80),
                   ("8.8.8.8", 53), ("127.0.0.1", 8786), ("127.0.0.1", 2375), ("127.0.0.1", 22)):
    one = socket.socket()
    one.settimeout(0.2)
    if one.connect_ex((host, port)) == 0:
        found.append(f"{host}:{port}")
for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/door/sock", "/run/containerd/containerd.sock"):
    one = socket.socket(socket.AF_UNIX)
    if one.connect_ex(path) == 0:
        found.append(path)
for line in open("/proc/net/unix").read().splitlines()[1:]:
    name = line.split()[-1]
    if name.startswith("@"):
        one = socket.socket(socket.AF_UNIX)
        if one.connect_ex("\0" + name[1:]) == 0:
            found.append(name)
interfaces = [line.split(":")[0].strip() for line in open("/proc/net/dev").read().splitlines()[2:]]
found += [one for one in interfaces if one not in ("lo", "sit0", "tunl0", "ip6tnl0", "gre0", "gretap0", "erspan0")]

end()
