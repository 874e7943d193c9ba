"""Whatever a server does, legal or not: each recipient ends in one true state, and the client says nothing illegal."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.fuzz.fate import Fate
from tests.fuzz.letters import KINDS
from tests.fuzz.sessions import SERVERS, HostileSession, Session

FATES = st.binary(max_size=8) | st.binary(min_size=60, max_size=400)
LETTERS = st.integers(0, len(KINDS) - 1)
# A sample here, tens of thousands of sessions under the profile "fuzz" (see tests/conftest.py).
SOME = settings(max_examples=settings().max_examples // 4, stateful_step_count=8)


class LegalServers(RuleBasedStateMachine):
    """A client that keeps one connection, among legal servers.

    Each rule compares the receipts of its messages with the record of the servers. On the way every octet that the
    client writes goes through a reading of the RFCs of its own, every wait is for something that is due, and what
    the client holds is bounded.
    """

    @initialize(server=st.sampled_from(SERVERS))
    def begin(self, server):
        self.session = Session(server)

    @rule(fate=FATES, kind=LETTERS)
    def send(self, fate, kind):
        self.session.send(Fate(fate), kind)

    @rule(fate=FATES, kinds=st.lists(LETTERS, max_size=20))
    def batch(self, fate, kinds):
        self.session.batch(Fate(fate), kinds)

    @rule(fate=FATES)
    def wait(self, fate):
        self.session.idle(Fate(fate))

    @rule(fate=FATES)
    def quit(self, fate):
        self.session.quit(Fate(fate))

    def teardown(self):
        self.session.hang_up()


class HostileServers(LegalServers):
    """The same client among servers that say anything. Only what they said can be true."""

    @initialize(server=st.sampled_from(SERVERS))
    def begin(self, server):
        self.session = HostileSession(server)


TestLegalServers = LegalServers.TestCase
TestLegalServers.settings = SOME
TestHostileServers = HostileServers.TestCase
TestHostileServers.settings = SOME
