"""Answers the orders of soak, as backend.go does, under uWSGI and gunicorn."""
import hashlib
import os
import time
from http import HTTPStatus
from urllib.parse import parse_qs


def pattern(name, size):
    blocks = (hashlib.sha256(b"%s:%d" % (name, i)).hexdigest() for i in range(size // 64 + 1))
    return "".join(blocks)[:size].encode()


def app(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    number = environ["PATH_INFO"].rsplit("/", 1)[1]
    status, size = int(query["status"][0]), int(query["size"][0])
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    time.sleep(int(query["wait"][0]) / 1000)
    # gunicorn's workers end with their parent, which is the process that spillway knows.
    pid = os.getppid() if "SOAK_PARENT" in os.environ else os.getpid()
    fields = [
        ("X-Soak-Id", number),
        ("X-Soak-Pid", str(pid)),
        ("X-Soak-Body", hashlib.sha256(body).hexdigest()),
        ("Content-Type", "text/plain"),
    ]
    empty = status == HTTPStatus.NO_CONTENT
    if not empty:
        fields.append(("Content-Length", str(size)))
    start_response(f"{status} {HTTPStatus(status).phrase}", fields)
    if empty or environ["REQUEST_METHOD"] == "HEAD":
        return []
    return [pattern(number.encode(), size)]
