"""A sample of `make faults`, and that its judge sees what it is there to see."""

from mailbridge import State
from tests.faults import real
from tests.faults.report import Tally
from tests.faults.running import Stage
from tests.faults.sessions import PROTECTIONS, combinations
from tests.faults.tls import full, over_sockets, swift

# Of so many one is tried; prime, so that no axis is left out.
SESSIONS, CUTS, SESSIONS_OVER_SOCKETS = 13, 53, 11


def test_a_sample_of_all_cuts() -> None:
    """Wherever it is cut, the client says what the server has, nothing twice, and the next send works."""
    total = Tally()
    with Stage(full(), swift()) as stage:
        for combination in list(combinations(*PROTECTIONS))[::SESSIONS]:
            total.add(stage.cut_everywhere(combination, step=CUTS))

    assert {state for _, state in total.outcomes} == set(State), "a state that no cut leads to"
    assert total.wrongs == []


def test_a_sample_over_real_sockets() -> None:
    """The same where the kernel carries the octets."""
    contexts, total = over_sockets(), Tally()
    chosen = list(filter(real.takes, combinations(*PROTECTIONS)))[::SESSIONS_OVER_SOCKETS]
    with Stage(full(), swift()) as stage:
        measures = [stage.measure(combination) for combination in chosen]
    for combination, measure in zip(chosen, measures, strict=True):
        total.add(real.cut_at_borders(combination, measure, contexts, step=CUTS))

    assert total.runs > len(chosen)
    assert total.wrongs == []
