"""A site in Flask with the pages that the end-to-end tests ask for: `python3 -m flask --app pages run --port PORT`."""
import hashlib
import os

from flask import Flask, Response, request

app = Flask(__name__)


@app.after_request
def add_pid(response):
    response.headers["X-Pid"] = str(os.getpid())
    return response


@app.get("/hello")
def hello():
    return "hello from flask\n"


@app.post("/echo")
def echo():
    """What arrived of the request's body: its length and its SHA-1."""
    body = request.get_data()
    return f"{len(body)} {hashlib.sha1(body).hexdigest()}\n"


@app.get("/big")
def big():
    """mb megabytes that the test computes too: lines of 64 bytes that count up."""
    lines = int(request.args["mb"]) << 14
    return Response(b"".join(b"%063d\n" % line for line in range(first, first + 1024)) for first in range(0, lines, 1024))
