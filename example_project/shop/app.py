"""The app: `flask --app example_project.shop.app run`. Everything about the server comes from the environment."""

from flask import Flask

from mailbridge_flask import recipients_refused

from . import customers
from .mail import deactivate, mail, remember
from .pages import pages
from .shipments import send_batch


def create_app() -> Flask:
    """Make the app; FLASK_MAIL_SERVER, FLASK_MAIL_PORT and their like are read here."""
    app = Flask(__name__, static_folder="../look")
    app.config.update(MAIL_PORT=587, MAIL_USE_TLS=True, MAIL_DEFAULT_SENDER=("Example Shop", "shop@example.com"))
    app.config.update(SECRET_KEY="only for the demo", DATABASE="shop.sqlite3")
    app.config.from_prefixed_env()
    mail.init_app(app)
    recipients_refused.connect(deactivate, app)
    recipients_refused.connect(remember, app)
    app.register_blueprint(pages)
    app.teardown_appcontext(customers.close)

    @app.post("/shipments")
    def ship() -> dict[str, list[str]]:
        receipts = [message.mailbridge_receipt for message in send_batch()]
        return {"refused": [recipient for receipt in receipts if receipt for recipient in receipt.refused]}

    return app
