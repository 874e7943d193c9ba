"""The two pages of the site."""

from django.core.mail import EmailMessage
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from example_project import mailroom
from mailbridge import SMTPException

from .forms import ComposeForm


def compose(request: HttpRequest) -> HttpResponse:
    """Send a mail and show what became of every recipient."""
    form = ComposeForm(request.POST or None)
    receipt = None
    if form.is_valid():
        message = EmailMessage(form.cleaned_data["subject"], form.cleaned_data["body"], to=form.cleaned_data["to"])
        try:
            message.send()
        except (SMTPException, ValueError) as error:
            # Django raises a ValueError of its own, such as for a subject with a line end.
            form.add_error(None, str(error))
        receipt = getattr(message, "mailbridge_receipt", None)
    return render(request, "compose.html", {"form": form, "receipt": receipt})


def inbox(request: HttpRequest) -> HttpResponse:
    """Show what the embedded server has received, and the refusals as they came."""
    messages = mailroom.inbox.messages if mailroom.inbox else []
    return render(request, "inbox.html", {"messages": messages, "refusals": mailroom.refusals})
