"""A Django project in one file with the pages that the end-to-end tests ask for: `uwsgi ... --module project:application`."""
import hashlib
import os
import time

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

settings.configure(
    DEBUG=False,
    SECRET_KEY="for tests only",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    # As in every new project; it adds Content-Length, without which the end of an answer is the end of its request.
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", "project.add_pid"],
    LOGGING_CONFIG=None,
)


def add_pid(get_response):
    """Middleware that says which process made the answer."""
    def answer(request):
        response = get_response(request)
        response["X-Pid"] = str(os.getpid())
        return response
    return answer


def hello(request):
    return HttpResponse("hello from django\n", content_type="text/plain")


@csrf_exempt
def echo(request):
    """What arrived of the request's body: its length and its SHA-1."""
    digest, length = hashlib.sha1(), 0
    while block := request.read(65536):
        digest.update(block)
        length += len(block)
    return HttpResponse(f"{length} {digest.hexdigest()}\n", content_type="text/plain")


def big(request):
    """mb megabytes that the test computes too: lines of 64 bytes that count up."""
    lines = int(request.GET["mb"]) << 14
    return StreamingHttpResponse(
        (counted(first) for first in range(0, lines, 1024)), content_type="application/octet-stream")


def counted(first):
    return b"".join(b"%063d\n" % line for line in range(first, first + 1024))


def slow(request):
    """Five lines, one every 100 ms, each sent at once."""
    def lines():
        for i in range(5):
            yield b"line %d\n" % i
            time.sleep(0.1)
    return StreamingHttpResponse(lines(), content_type="text/plain")


def error(request):
    return HttpResponse("the page fails\n", content_type="text/plain", status=500)


def cut(request):
    """Promises 1,000,000 bytes, sends 65,536 and ends the process."""
    def blocks():
        yield b"x" * 65536
        time.sleep(0.2)
        os._exit(1)
    response = StreamingHttpResponse(blocks(), content_type="application/octet-stream")
    response["Content-Length"] = "1000000"
    return response


urlpatterns = [
    path("hello", hello),
    path("echo", echo),
    path("big", big),
    path("slow", slow),
    path("error", error),
    path("cut", cut),
]

application = get_wsgi_application()
