"""A server in the place of an edge's API, which writes down what it is asked."""

from http.server import BaseHTTPRequestHandler, HTTPServer


class Recorder(HTTPServer):
    """An API that writes down what it is asked."""

    status = 200

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = []


class _Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.end_headers()

    do_POST = do_BAN = do_PURGE = answer  # noqa: N815

    def log_message(self, *arguments):
        pass
