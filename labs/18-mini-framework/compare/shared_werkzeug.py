"""What Flask's adapter and Quart's share: both speak in werkzeug's words."""

from shared_framework import rewritten
from werkzeug.exceptions import HTTPException as WerkzeugHTTPException


class HTTPException(WerkzeugHTTPException):
    def __init__(self, status_code, detail=None, headers=None):
        super().__init__(detail)
        self.code = self.status_code = status_code
        self.detail, self.own = detail, headers or {}

    def get_headers(self, *words):
        return [*super().get_headers(*words), *self.own.items()]


class WebSocketDisconnect(Exception):
    """Neither raises such a thing."""

    code = None


def rule_of(path, handler):
    return rewritten(path, handler, "<kind:name>", "string")


def words_for(content, status_code, headers, media_type):
    """A response's arguments as werkzeug has them; a Content-Type of one's own counts."""
    own = any(name.lower() == "content-type" for name in headers or {})
    return {"response": content, "status": status_code, "headers": headers} | (
        {} if own else {"mimetype": media_type}
    )
