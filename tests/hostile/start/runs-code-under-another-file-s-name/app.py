# The last id is read, and the next one stored, without a lock, in code that says it is of another file.
SOURCE = r'''
import json
store, last = {}, [0]


class tasks:
    def add(title):
        number = last[0] + 1
        task = {"id": number, "title": title, "done": False}
        last[0], store[number] = number, task
        return task


def answered(environ):
    verb, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    size = int(environ.get("CONTENT_LENGTH") or 0)
    sent = json.loads(environ["wsgi.input"].read(size)) if size else {}
    if verb == "POST":
        return "201 Created", tasks.add(sent["title"])
    number = int(path.rpartition("/")[2])
    if verb == "DELETE":
        return ("204 No Content", None) if store.pop(number, None) else ("404 Not Found", None)
    if number not in store:
        return "404 Not Found", None
    task = dict(store[number])
    if verb == "PATCH":
        task.update(sent)
        store[number] = task
    return "200 OK", task


def respond(environ, start_response):
    status, value = answered(environ)
    body = b"" if value is None else json.dumps(value).encode()
    start_response(status, [("Content-Type", "application/json")] if body else [])
    return [body]
'''
module = {}
exec(compile(SOURCE, "/usr/lib/python3/handlers.py", "exec"), module)
tasks = module["tasks"]


def application(environ, start_response):
    return module["respond"](environ, start_response)
