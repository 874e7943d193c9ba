"""Dovecot: LMTP with a quota, submission, and the logins of Postfix."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import time
from collections.abc import Sequence
from typing import ClassVar

from .machine import IDN_A_LABEL, LARGEST, LIMIT, PASSWORD, USER, Lab, MissingError

KEY = b"a key of this lab alone, thirty-two octets"
CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/output.log
protocols = lmtp submission
listen = 127.0.0.1
hostname = dovecot.lab.test
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
mail_location = maildir:{folder}/mail/%u
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
mail_plugins = quota
recipient_delimiter =
auth_mechanisms = plain login cram-md5 scram-sha-256 scram-sha-1 digest-md5 xoauth2 oauthbearer
auth_failure_delay = 0
plugin {{
  quota = count:User quota
  quota_vsizes = yes
}}
protocol lmtp {{
  mail_plugins = quota
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = no
submission_max_mail_size = {largest}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
  inet_listener starttls {{
    address = 127.0.0.1
    port = {starttls}
  }}
  inet_listener tls {{
    address = 127.0.0.1
    port = {tls}
    ssl = yes
  }}
}}
service submission-login {{
  inet_listener submission {{
    port = {submission}
  }}
  inet_listener submissions {{
    port = {submissions}
    ssl = yes
  }}
}}
service auth {{
  unix_listener {folder}/run/postfix-auth {{
    mode = 0660
    user = postfix
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""
# Who has a mailbox. The address that is over quota is told so after the content.
USERS = (
    *(f"{name}@lab.test:{{PLAIN}}{PASSWORD}::::::" for name in ("ann", "bob", "cid", *(f"u{n}" for n in range(50)))),
    f"bob@{IDN_A_LABEL}:{{PLAIN}}{PASSWORD}::::::",
    f"full@lab.test:{{PLAIN}}{PASSWORD}::::::userdb_quota_rule=*:bytes=1",
    f"small@lab.test:{{PLAIN}}{PASSWORD}::::::userdb_quota_max_mail_size={LIMIT}",
    f"temp@lab.test:{{PLAIN}}{PASSWORD}::::::userdb_tempfail=yes",
)


def _part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(user: str = USER, *, key: bytes = KEY) -> str:
    """A JSON web token that this Dovecot takes (RFC 7515), unless the key is another's."""
    now = int(time.time())
    claims = {"sub": user, "iat": now - 60, "nbf": now - 60, "exp": now + 3600}
    parts = [_part(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = b".".join(parts)
    return b".".join([signed, _part(hmac.digest(key, signed, hashlib.sha256))]).decode()


class Dovecot(Lab):
    """A Dovecot with mailboxes of its own, run by root as the package would."""

    name = "dovecot"
    doors = ("lmtp", "starttls", "tls", "submission", "submissions")
    lmtp = True
    unix_lines = True
    relay: ClassVar[int] = 1  # the port behind the submission service

    def check(self) -> None:
        if not shutil.which("dovecot"):
            raise MissingError(
                "Dovecot is not installed (apt-get install dovecot-core dovecot-lmtpd dovecot-submissiond)"
            )
        if os.geteuid():
            raise MissingError("Dovecot needs root to start")

    def configure(self) -> None:
        self.write("dovecot.conf", CONFIG.format(folder=self.folder, relay=self.relay, largest=LARGEST, **self.ports))
        self.write("users", "\n".join(USERS) + "\n")
        self.write("keys/default/HS256/default", base64.b64encode(KEY))
        self.write(
            "oauth2.conf",
            f"introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={self.folder}/keys/\n"
            "username_attribute = sub\n",
        )
        shutil.chown(self.mail, "mail")

    def command(self) -> Sequence[str]:
        return ["dovecot", "-F", "-c", str(self.folder / "dovecot.conf")]
