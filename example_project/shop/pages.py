"""The pages of the shop."""

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from mailbridge import SMTPException, SMTPInputError, parse_address
from mailbridge_flask import Message

from . import customers
from .mail import mail

DAY = 86_400  # seconds

pages = Blueprint("pages", __name__)


def _tokens() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.secret_key or "", salt="confirm")


def _sent(message: Message) -> Message:
    """The message with its receipt: a failure is shown, and neither customer nor request is lost for it."""
    try:
        mail.send(message)
    except SMTPException as error:
        current_app.logger.warning("%s", error)
    return message


@pages.get("/")
def shop(message: Message | None = None, wrong: str = "") -> str:
    """Show the forms, the customers, and what became of a mail."""
    receipt = message.mailbridge_receipt if message else None
    return render_template("shop.html", customers=customers.everybody(), receipt=receipt, wrong=wrong)


@pages.post("/")
def sign_up() -> str:
    """Enrol a customer. The mail leaves when the database has the customer."""
    email = request.form["email"].strip()
    try:
        parse_address(email)
    except SMTPInputError as error:
        return shop(wrong=str(error))
    customers.enrol(email)
    link = url_for(".confirm", token=_tokens().dumps(email), _external=True)
    return shop(_sent(Message("Please confirm your address", [email], f"Follow this link within a day:\n{link}\n")))


@pages.get("/confirm/<token>")
def confirm(token: str) -> Response:
    """Take the link of the mail."""
    try:
        customers.confirm(_tokens().loads(token, max_age=DAY))
    except BadSignature:
        abort(404)
    return redirect(url_for(".shop"))


@pages.post("/news")
def news() -> str:
    """Write to all who get mail, none of whom sees the others; some may be refused."""
    readers = [customer["email"] for customer in customers.everybody() if customer["active"]]
    return shop(_sent(Message("News from the shop", bcc=readers, body="New teapots!")) if readers else None)
