"""Certificates made on the spot by `trustme`, good ones and bad ones."""

import datetime
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import trustme

CertificateKind = Literal["good", "self-signed", "expired", "wrong-name"]

NAMES = ("localhost", "127.0.0.1", "::1")


class Authority:
    """A certificate authority for one server.

    Args:
        kind: What the server's certificate is like. "self-signed" is not signed by
            the authority in `ca_pem`, the others are.
    """

    def __init__(self, kind: CertificateKind = "good") -> None:
        import trustme  # noqa: PLC0415  # an extra, and pytest loads our plugin in every run

        if kind not in get_args(CertificateKind):
            raise ValueError(f"a certificate is one of {', '.join(get_args(CertificateKind))}, not {kind!r}")
        self._ca = trustme.CA()
        self.kind = kind

    @property
    def ca_pem(self) -> bytes:
        """The authority's certificate, for clients that shall trust it."""
        return self._ca.cert_pem.bytes()

    def server_context(self) -> ssl.SSLContext:
        """A server's context; a client certificate is asked for, never demanded."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.kind == "self-signed":
            with self._self_signed().tempfile() as path:
                context.load_cert_chain(path)
        else:
            self._leaf().configure_cert(context)
        self._ca.configure_trust(context)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def client_certificate(self, name: str, folder: Path) -> Path:
        """Write a client certificate with its key, in PEM, for `name`."""
        path = folder / "client.pem"
        path.write_bytes(self._ca.issue_cert(name).private_key_and_cert_chain_pem.bytes())
        return path

    @staticmethod
    def _self_signed() -> "trustme.Blob":
        import trustme  # noqa: PLC0415  # as above

        stranger = trustme.CA()
        return trustme.Blob(stranger.private_key_pem.bytes() + stranger.cert_pem.bytes())

    def _leaf(self) -> "trustme.LeafCert":
        if self.kind == "wrong-name":
            return self._ca.issue_cert("wrong.example")
        if self.kind == "expired":
            now = datetime.datetime.now(datetime.UTC)
            day = datetime.timedelta(days=1)
            return self._ca.issue_cert(*NAMES, not_before=now - 2 * day, not_after=now - day)
        return self._ca.issue_cert(*NAMES)
