pytest_plugins = ["workshop.plugin"]
