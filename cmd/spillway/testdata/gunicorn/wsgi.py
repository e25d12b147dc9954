"""A site in plain WSGI with the pages that the end-to-end tests ask for; gunicorn and uwsgi run it."""
import hashlib
import os
import time
from urllib.parse import parse_qs


def app(environ, start_response):
    page = PAGES.get(environ["PATH_INFO"])
    if page is None:
        return plain(start_response, "404 Not Found", "no such page\n")
    return page(environ, start_response)


def plain(start_response, status, text, fields=()):
    body = text.encode()
    start_response(status, [
        ("Content-Type", "text/plain"),
        ("Content-Length", str(len(body))),
        ("X-Pid", str(os.getpid())),
        *fields,
    ])
    return [body]


def stream(start_response, blocks, fields=()):
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("X-Pid", str(os.getpid())), *fields])
    return blocks


def hello(environ, start_response):
    return plain(start_response, "200 OK", "hello from wsgi\n")


def echo(environ, start_response):
    """What arrived of the request's body: its length and its SHA-1."""
    digest, length = hashlib.sha1(), 0
    body, left = environ["wsgi.input"], int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0:
        block = body.read(min(left, 65536))
        if not block:
            break
        digest.update(block)
        length += len(block)
        left -= len(block)
    return plain(start_response, "200 OK", f"{length} {digest.hexdigest()}\n")


def big(environ, start_response):
    """mb megabytes that the test computes too: lines of 64 bytes that count up."""
    lines = int(parse_qs(environ["QUERY_STRING"])["mb"][0]) << 14
    return stream(start_response, (counted(first) for first in range(0, lines, 1024)))


def counted(first):
    return b"".join(b"%063d\n" % line for line in range(first, first + 1024))


def slow(environ, start_response):
    """Five lines, one every 100 ms, each sent at once."""
    def lines():
        for i in range(5):
            yield b"line %d\n" % i
            time.sleep(0.1)
    return stream(start_response, lines())


def error(environ, start_response):
    return plain(start_response, "500 Internal Server Error", "the page fails\n")


def cut(environ, start_response):
    """Promises 1,000,000 bytes, sends 65,536 and ends the process."""
    def blocks():
        yield b"x" * 65536
        time.sleep(0.2)
        os._exit(1)
    return stream(start_response, blocks(), [("Content-Length", "1000000")])


PAGES = {"/hello": hello, "/echo": echo, "/big": big, "/slow": slow, "/error": error, "/cut": cut}
