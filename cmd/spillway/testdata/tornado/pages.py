"""A site in tornado with the pages that the end-to-end tests ask for: `python3 pages.py PORT`."""
import hashlib
import os
import sys

from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler


class Page(RequestHandler):
    def set_default_headers(self):
        self.set_header("X-Pid", str(os.getpid()))


class Hello(Page):
    def get(self):
        self.write("hello from tornado\n")


class Echo(Page):
    """What arrived of the request's body: its length and its SHA-1."""
    def post(self):
        body = self.request.body
        self.write(f"{len(body)} {hashlib.sha1(body).hexdigest()}\n")


class Big(Page):
    """mb megabytes that the test computes too: lines of 64 bytes that count up."""
    async def get(self):
        lines = int(self.get_argument("mb")) << 14
        for first in range(0, lines, 1024):
            self.write(b"".join(b"%063d\n" % line for line in range(first, first + 1024)))
            await self.flush()


Application([("/hello", Hello), ("/echo", Echo), ("/big", Big)]).listen(int(sys.argv[1]), "127.0.0.1")
IOLoop.current().start()
