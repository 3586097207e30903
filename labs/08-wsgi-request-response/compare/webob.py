"""WebOb's Request and Response, which is conditional when it is asked to be, and its FileApp."""

from shared_wrappers import HTTPError, Upload, application
from webob import Request as WebObRequest
from webob import Response as WebObResponse
from webob import exc
from webob.static import FileApp

__all__ = [
    "HTTPError",
    "Request",
    "Response",
    "application",
    "file",
    "json_response",
    "precondition",
    "redirect",
]


class Request:
    """WebOb has no limits, and nothing that closes the files of a form."""

    def __init__(self, environ, max_body=None, max_memory=None, max_parts=None):
        self.made = one = WebObRequest(environ)
        self.method, self.path, self.url, self.headers = one.method, one.path_info, one.url, one.headers
        self.query, self.cookies = one.GET.dict_of_lists(), dict(one.cookies)

    @property
    def body(self):
        return self.made.body

    def json(self):
        return self.made.json_body

    @property
    def form(self):
        return self.parts(lambda value: isinstance(value, str))

    @property
    def files(self):
        found = self.parts(lambda value: hasattr(value, "file"))
        return {
            name: [Upload(one.filename, one.type, one.file) for one in many] for name, many in found.items()
        }

    def parts(self, wanted):
        found = {}
        for name, value in self.made.POST.items():
            if wanted(value):
                found.setdefault(name, []).append(value)
        return found


class Response:
    def __init__(
        self,
        body=b"",
        status=200,
        headers=(),
        content_type="text/plain",
        charset="utf-8",
        etag=None,
        modified=None,
    ):
        words = {"status": status, "conditional_response": True, "content_type": content_type}
        if isinstance(body, str):
            self.made = WebObResponse(text=body, charset=charset, **words)
        elif isinstance(body, bytes):
            self.made = WebObResponse(body, **words)
        else:
            self.made = WebObResponse(app_iter=body, **words)
        for name, value in map(tuple, headers):
            if name.lower() == "content-type":
                self.made.headers[name] = value
            else:
                self.made.headers.add(name, value)
        if etag is not None:
            self.made.headers["ETag"] = etag
        self.made.last_modified = modified

    def set_cookie(self, name, value="", **attributes):
        self.made.set_cookie(name, value, **attributes)

    def delete_cookie(self, name, path="/", domain=None):
        self.made.delete_cookie(name, path, domain)

    def __call__(self, environ, start_response):
        return self.made(environ, start_response)


def precondition(request, etag, modified):
    seen = []
    made = Response(etag=etag, modified=modified)
    made(request.made.environ, lambda status, headers: seen.append(int(status[:3])))
    return 0 if seen == [200] else seen[0]


def json_response(value, status=200, headers=()):
    made = WebObResponse(json_body=value, status=status)
    made.headers.extend([tuple(pair) for pair in headers])
    return made


def redirect(location, status=303):
    return exc.status_map[status](location=location)


def file(path, content_type=None):
    found = FileApp(path)(WebObRequest.blank("/"))
    if isinstance(found, exc.HTTPError):
        raise HTTPError(found.code, str(found))
    return found
