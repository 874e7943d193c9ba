"""Nodemailer's smtp-server, from npm; what runs is nodemailer.js."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from .machine import LARGEST, LIMIT, PASSWORD, RECIPIENTS, USER, Lab, MissingError

HERE = Path(__file__).parent
# Where `make servers` puts the package.
MODULES = HERE.parents[2] / ".servers" / "node_modules"


class Nodemailer(Lab):
    """smtp-server with a handler that keeps what it gets."""

    name = "smtp-server"
    doors = ("smtp", "starttls", "tls", "small", "unsized", "idle")
    once = True

    def check(self) -> None:
        if not shutil.which("node"):
            raise MissingError("node is not installed (apt-get install nodejs npm)")
        if not (MODULES / "smtp-server").is_dir():
            raise MissingError("smtp-server is not installed (make servers does it, by npm)")

    def configure(self) -> None:
        values = {"modules": str(MODULES), "ports": self.ports, "mail": str(self.mail), "folder": str(self.folder)}
        limits = {"limit": LIMIT, "largest": LARGEST, "recipients": RECIPIENTS, "user": USER, "password": PASSWORD}
        self.write("config.json", json.dumps(values | limits))

    def command(self) -> Sequence[str]:
        return ["node", str(HERE / "nodemailer.js"), str(self.folder / "config.json")]
