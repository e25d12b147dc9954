"""A page of 1 KB in Django."""
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["localhost"],
    SECRET_KEY="for this page only",
    ROOT_URLCONF=__name__,
    # It adds the Content-Length.
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)


def page(request):
    return HttpResponse("x" * 1024)


urlpatterns = [path("bench", page)]
application = get_wsgi_application()
