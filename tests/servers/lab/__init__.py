"""Real mail servers on loopback: each from scratch configuration in a temporary folder, on high ports, stopped by pid.

The refusals are a contract that each server keeps as far as it can: `nobody@` 550, `temp@` 4yz, the sender `blocked@`
5yz and `tempsender@` 4yz at MAIL, the sender `rejecteod@` 554 and `tempeod@` 451 after the content, more than `LIMIT`
octets at the door `small`, more than `RECIPIENTS` recipients.
"""

from .dovecot import Dovecot
from .machine import Lab, MissingError
from .nodemailer import Nodemailer
from .postfix import Postfix
from .python import Aiosmtpd
from .submission import Submission

LABS: tuple[type[Lab], ...] = (Postfix, Dovecot, Submission, Aiosmtpd, Nodemailer)

__all__ = ["LABS", "Aiosmtpd", "Dovecot", "Lab", "MissingError", "Nodemailer", "Postfix", "Submission"]
