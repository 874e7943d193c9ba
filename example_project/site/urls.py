"""Two pages: one to send mail from, one to see what arrived."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.compose, name="compose"),
    path("inbox/", views.inbox, name="inbox"),
]
