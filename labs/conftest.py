pytest_plugins = ["workshop.judge.plugin"]
