"""Postfix: SMTP, submission by STARTTLS and by implicit TLS with logins that Dovecot checks."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from .machine import IDN, IDN_A_LABEL, LARGEST, LIMIT, RECIPIENTS, Lab, MissingError, eventually

MASTER = Path("/usr/lib/postfix/sbin/master")

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/output.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.lab.test
mydestination =
mynetworks =
local_header_rewrite_clients =
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
virtual_mailbox_domains = lab.test, {idn}, {a_label}
virtual_mailbox_base = {folder}
virtual_mailbox_maps = regexp:{folder}/conf/boxes
virtual_minimum_uid = 1
virtual_uid_maps = static:8
virtual_gid_maps = static:8
default_transport = discard
smtpd_delay_reject = no
smtpd_recipient_limit = {recipients}
message_size_limit = {largest}
smtpd_sender_restrictions = check_sender_access regexp:{folder}/conf/senders
smtpd_recipient_restrictions = check_recipient_access regexp:{folder}/conf/recipients, reject_unauth_destination
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_end_of_data_restrictions = check_sender_access regexp:{folder}/conf/ends
smtpd_client_connection_count_limit = 0
minimal_backoff_time = 2s
maximal_backoff_time = 2s
queue_run_delay = 2s
transport_retry_time = 2s
smtpd_tls_security_level = may
smtpd_tls_cert_file = {folder}/cert.pem
smtpd_tls_key_file = {folder}/key.pem
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
"""
SUBMIT = "-o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=yes"
OPTIONS = {
    "smtp": "",
    "relay": "",
    "starttls": f"-o smtpd_tls_security_level=encrypt {SUBMIT}",
    "tls": f"-o smtpd_tls_wrappermode=yes {SUBMIT}",
    "small": f"-o message_size_limit={LIMIT}",
    "unsized": f"-o message_size_limit={LIMIT} -o smtpd_discard_ehlo_keywords=size",
    "idle": "-o smtpd_timeout=1s",
}
MASTER_CF = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


def _waits(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return path.is_file() and bool(path.stat().st_mode & 0o100)
    return False


class Postfix(Lab):
    """A Postfix with a queue of its own, run by root as the package would."""

    name = "postfix"
    doors = ("smtp", "starttls", "tls", "small", "unsized", "idle")
    unix_lines = True
    queues = True
    # The socket of whoever checks passwords; without it the doors with logins refuse everybody.
    sasl: ClassVar[Path] = Path("/nonexistent")
    # One more port, for whoever relays through it and was started before.
    relay: ClassVar[int] = 0

    def check(self) -> None:
        if not MASTER.exists():
            raise MissingError("Postfix is not installed (apt-get install postfix)")
        if os.geteuid():
            raise MissingError("Postfix needs root to start")

    def configure(self) -> None:
        if self.relay:
            self.ports["relay"] = self.relay
        values = {"idn": IDN, "a_label": IDN_A_LABEL, "recipients": RECIPIENTS, "largest": LARGEST}
        self.write("conf/main.cf", MAIN.format(folder=self.folder, sasl=self.sasl, **values))
        ports = [f"127.0.0.1:{port} inet n - n - - smtpd {OPTIONS[door]}\n" for door, port in self.ports.items()]
        self.write("conf/master.cf", "".join(ports) + MASTER_CF)
        self.write("conf/boxes", "/./ mail/\n")
        self.write("conf/senders", "/^blocked@/ 550 5.7.1 not you\n/^tempsender@/ 451 4.7.1 not now\n")
        self.write("conf/recipients", "/^nobody@/ 550 5.1.1 unknown\n/^temp@/ 450 4.2.1 later\n")
        self.write("conf/ends", "/^rejecteod@/ 554 5.7.1 no\n/^tempeod@/ 451 4.7.1 later\n")
        for name, owner in (("queue", "root"), ("data", "postfix"), ("mail", "mail")):
            (self.folder / name).mkdir(exist_ok=True)
            shutil.chown(self.folder / name, owner)
        subprocess.run(["postfix", "-c", self.folder / "conf", "check"], check=True, capture_output=True)

    def settle(self) -> None:
        eventually(f"the queue is empty: {self.output()}", self.idle, 60)

    def idle(self) -> bool:
        """Nothing is in its queue."""
        # A message goes from left to right, and back to the end where it could not be delivered.
        queues = [self.folder / "queue" / name for name in ("deferred", "incoming", "active", "deferred")]
        found = [path for queue in queues for path in queue.rglob("*")]
        # What cleanup was killed over never becomes executable: nobody was told that it is there.
        return not any(_waits(path) for path in found)

    def command(self) -> Sequence[str]:
        return [str(MASTER), "-d", "-c", str(self.folder / "conf")]
