"""A page of 1 KB in Flask."""
from flask import Flask

application = Flask(__name__)


@application.get("/bench")
def page():
    return "x" * 1024
