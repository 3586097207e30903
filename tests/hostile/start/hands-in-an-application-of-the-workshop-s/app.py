from tasks_wsgi import application  # noqa: F401
