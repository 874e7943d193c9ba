"""A sample of `make faults`, and that its judge sees what it is there to see."""

from collections.abc import Iterator

import pytest

from mailbridge import State
from tests.faults.network import Network
from tests.faults.report import Tally
from tests.faults.running import Stage
from tests.faults.sessions import PROTECTIONS, Protection, combinations
from tests.faults.tls import full, swift

SESSIONS, CUTS = 7, 37  # of so many one is tried; prime, so that no axis is left out


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    network = Network()
    stage = Stage(network, full(), swift())
    with network.installed():
        yield stage
    stage.close()


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_a_sample_of_all_cuts(stage: Stage, protection: Protection) -> None:
    """Wherever it is cut, the client says what the server has, nothing twice, and the next send works."""
    total = Tally()
    for combination in list(combinations(protection))[::SESSIONS]:
        total.add(stage.cut_everywhere(combination, step=CUTS))

    assert total.runs > 300
    assert {state for _, state in total.outcomes} == set(State), "a state that no cut leads to"
    assert total.wrongs == []
