"""A site of several applications under one router. `routing` is the learner's.

/                 /hello/<name>/      /labels/<label>     /api       the tasks API
/tasks/<int:id>   /jobs/<uuid:key>    /files/<path:rest>  /flask, /django   the greetings
/shop             another router, with /items/<int:id> in it
/many             five hundred routes
"""

import importlib
from typing import Any
from wsgiref.types import WSGIApplication

import five_hundred_routes
import greeting_django
import greeting_flask
import tasks_wsgi
from where_called import here

routing: Any = importlib.import_module("routing")
Mount, Route, Router = routing.Mount, routing.Route, routing.Router

shop: WSGIApplication = Router(
    [
        Route("/", here("shop"), name="shop"),
        Route("/items/<int:id>", here("item"), name="item"),
    ]
)

application: WSGIApplication = Router(
    [
        Route("/", here("home"), name="home"),
        Route("/tasks/<int:id>", here("task"), name="task"),
        Route("/hello/<name>/", here("hello"), methods=["GET", "POST"], name="hello"),
        Route("/labels/<label>", here("label"), name="label"),
        Route("/jobs/<uuid:key>", here("job"), name="job"),
        Route("/files/<path:rest>", here("file"), name="file"),
        Mount("/api", tasks_wsgi.application),
        Mount("/flask", greeting_flask.application),
        Mount("/django", greeting_django.application),
        Mount("/shop", shop),
        Mount("/many", five_hundred_routes.application),
    ]
)
