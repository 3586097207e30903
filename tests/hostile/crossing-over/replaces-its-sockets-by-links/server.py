for path in ("/run/door/sock", "/run/door", "/run", "/wire"):
    for do in (lambda: os.unlink(path), lambda: os.rename(path, path + "-old"), lambda: os.symlink("/etc/passwd", path + "-new")):
        try:
            do()
            found.append(path)
        except OSError:
            pass
for top, _, files in os.walk("/run"):
    found += [os.path.join(top, name) for name in files if name.endswith("sock") and socket.socket(socket.AF_UNIX).connect_ex(os.path.join(top, name)) == 0]
end()
