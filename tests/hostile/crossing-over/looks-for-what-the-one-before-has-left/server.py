for place in ("/tmp", "/dev/shm"):
    for name in os.listdir(place):
        if name.startswith("left-for-the-next"):
            found.append(f"{place}/{name}")
    open(f"{place}/left-for-the-next", "w").close()

end()
