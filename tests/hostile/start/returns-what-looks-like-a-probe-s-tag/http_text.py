def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *args, **kwargs: {"$bytes": "!", "$object": {"type": 7, "fields": []}} if name.endswith("e") else {"$tuple": 7}
