"""A client in memory: it says lines to a `Session` and looks at what comes back."""

from mailbridge.testing import Action, Record, Script, Session, Settings, Write

GREETING = b"220 scripted.test ESMTP\r\n"


class Talk:
    """One session; `script`, `record` and `actions` are there to be looked at."""

    def __init__(
        self,
        *,
        script: Script | None = None,
        settings: Settings | None = None,
        record: Record | None = None,
        tls: bool = False,
    ) -> None:
        self.script = script or Script(settings)
        self.record = record or Record()
        self.actions: list[Action] = []
        self.session = Session(self.script, self.record)
        self.tls = tls

    def open(self) -> bytes:
        """Connect; the greeting."""
        return self._said(self.session.open(tls=self.tls))

    def say(self, data: bytes) -> bytes:
        """Send octets; the octets that come back."""
        return self._said(self.session.receive(data))

    def hello(self) -> "Talk":
        """Connect and introduce oneself."""
        self.open()
        self.say(b"LHLO me\r\n" if self.script.settings.lmtp else b"EHLO me\r\n")
        return self

    def envelope(self, *recipients: str) -> "Talk":
        """Introduce oneself, and open a transaction."""
        self.hello().say(b"MAIL FROM:<a@x>\r\n")
        for recipient in recipients or ("b@y",):
            self.say(f"RCPT TO:<{recipient}>\r\n".encode())
        return self

    def follow(self, *turns: tuple[bytes, bytes]) -> None:
        """Assert that each thing said gets its answer."""
        for said, answer in turns:
            assert self.say(said) == answer, said

    def _said(self, actions: list[Action]) -> bytes:
        self.actions = actions
        return b"".join(action.data for action in actions if isinstance(action, Write))
