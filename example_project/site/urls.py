"""The pages, and the parts of them that a script asks for again and again."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.sign_up, name="sign-up"),
    path("confirm/<str:token>/", views.confirm, name="confirm"),
    path("invite/", views.invite, name="invite"),
    path("inbox/", views.inbox, name="inbox"),
    path("inbox/live/", views.inbox, {"part": "live"}, name="inbox-live"),
    path("refusals/live/", views.refusals, name="refusals-live"),
    path("chart/", views.chart, name="chart"),
]
