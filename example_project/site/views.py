"""The pages of the site."""

from django.core.mail import EmailMessage
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from example_project import mailroom
from mailbridge import SMTPException
from mailbridge_django.log import counts
from mailbridge_django.log.models import Delivery

from . import confirmations
from .forms import InviteForm, SignUpForm
from .models import Member

EXAMPLE = {
    "to": f"ann@example.org\nbob@example.org\n{mailroom.GONE}\n{mailroom.FULL}",
    "subject": "You are invited",
    "body": "Please come on Friday.",
}
DAYS = 7
LATEST = 8


def sign_up(request: HttpRequest) -> HttpResponse:
    """Enrol a member. The mail leaves when the database has the member, and not at all where it does not."""
    form, receipt = SignUpForm(request.POST or None), None
    if form.is_valid():
        with transaction.atomic():
            message = confirmations.confirmation(form.save(), request)
            message.send()
        form, receipt = SignUpForm(), getattr(message, "mailbridge_receipt", None)
    members = Member.objects.order_by("-pk")
    return render(request, "sign_up.html", {"form": form, "receipt": receipt, "members": members})


def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Take the link of the mail."""
    if not confirmations.confirm(token):
        return HttpResponse("This link is wrong or too old.", status=404, content_type="text/plain")
    return redirect("sign-up")


def invite(request: HttpRequest) -> HttpResponse:
    """Send one mail to many, none of whom sees the others, and show what became of each."""
    form, receipt = InviteForm(request.POST or None, initial=EXAMPLE), None
    if form.is_valid():
        message = EmailMessage(form.cleaned_data["subject"], form.cleaned_data["body"], bcc=form.cleaned_data["to"])
        try:
            message.send()
        except (SMTPException, ValueError) as error:
            # Django raises a ValueError of its own, such as for a subject with a line end.
            form.add_error(None, str(error))
        receipt = getattr(message, "mailbridge_receipt", None)
    return render(request, "invite.html", {"form": form, "receipt": receipt})


def inbox(request: HttpRequest, part: str = "") -> HttpResponse:
    """Show what the embedded server has received; with `part`, what a script puts into the page."""
    received = mailroom.inbox.messages[::-1] if mailroom.inbox else []
    messages = [(one, one.message.get_content()) for one in received]
    return render(request, "messages.html" if part else "inbox.html", {"messages": messages})


def refusals(request: HttpRequest) -> HttpResponse:
    """Show the latest refusals as they came, for a script to put into every page."""
    return render(request, "refusals.html", {"refusals": mailroom.refusals[: -LATEST - 1 : -1]})


def chart(request: HttpRequest) -> HttpResponse:
    """Count recipients by day and by domain."""
    rows = Delivery.objects.all()
    bars = {"by_day": counts.per_day(rows, DAYS), "by_domain": counts.per_domain(counts.recent(rows, DAYS))}
    return render(request, "chart.html", bars)
