"""The demo: a Django site and a Flask app send real mail to an embedded server, and say what became of it.

`make demo` runs it; `make demo SERVE=1` leaves both running, to send mail from and to watch.
"""

import logging
import os
import signal
import sys
from contextlib import suppress
from itertools import chain

import django
from django.apps import apps
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from example_project import embedded, report, witness
from example_project.shop import customers, shipments
from example_project.shop.app import create_app
from example_project.site import invitations


def send_all() -> list[report.Row]:
    """Let the site and the shop send their batches."""
    django.setup()
    call_command("migrate", verbosity=0)
    members = apps.get_model("site", "Member").objects
    members.bulk_create(members.model(email=guest) for table in invitations.GUESTS for guest in table)
    rows = list(report.rows_of("Django", invitations.send_batch()))
    with create_app().app_context():
        for reader in chain(*shipments.PARCELS.values()):
            customers.enrol(reader)
        rows += report.rows_of("Flask", shipments.send_batch())
    return rows


def serve() -> None:
    """Run the Django site, with the shop below /shop, until somebody ends it."""
    # What ends a process politely ends the embedded server too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    both = DispatcherMiddleware(StaticFilesHandler(get_wsgi_application()), {"/shop": create_app()})
    server = make_server("127.0.0.1", 0, both, threaded=True)
    with suppress(KeyboardInterrupt):
        root = f"http://127.0.0.1:{server.port}/"
        print(f"\nThe Django site runs at {root} and the Flask shop at {root}shop/ (Ctrl-C ends both)", flush=True)
        server.serve_forever()
    server.server_close()


def main() -> int:
    """Run the demo.

    Returns:
        0 where everything was as expected, 1 where not.
    """
    with embedded.running() as inbox:
        with witness.listening() as heard:
            rows = send_all()
        print(report.written(rows, heard), flush=True)
        wrong = list(report.complaints(rows, heard, inbox))
        for complaint in wrong:
            print(f"NOT AS EXPECTED: {complaint}", file=sys.stderr)
        if os.environ.get("SERVE", "0") not in {"", "0"}:
            serve()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
