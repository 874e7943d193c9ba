"""Ten seconds of `make soak`, with fewer hands and without Postfix. No time is asserted."""

from pathlib import Path

import pytest

from tests.soak.__main__ import Effort, soak
from tests.soak.grounds import Scripted
from tests.soak.ledger import compare


def test_receipts_and_record_agree_to_the_message(tmp_path: Path) -> None:
    """Whatever the server does at random: what is accepted was taken once, what is refused or not sent never."""
    [leg] = soak(Effort(seconds=10, threads=8, tasks=40), [Scripted(tmp_path, seed=1)], tmp_path)

    assert leg.failures == []
    assert leg.account.states["accepted"] > leg.account.states["rejected"] > 0


@pytest.mark.parametrize(
    ("told", "taken", "complaint"),
    [
        ("a@x=accepted", [], "accepted, and not taken"),
        ("a@x=accepted", ["1 a@x", "2 a@x"], "taken twice"),
        ("a@x=unknown", ["1 a@x", "2 a@x"], "taken twice"),
        ("a@x=deferred", ["1 a@x"], "deferred, and taken all the same"),
        ("a@x=rejected", ["1 a@x"], "rejected, and taken all the same"),
        ("b@x=accepted,a@x=not_sent", ["1 b@x,a@x"], "not_sent, and taken all the same"),
        (None, ["1 a@x"], "taken, and nobody was told"),
    ],
)
def test_a_disagreement_is_seen(tmp_path: Path, told: str | None, taken: list[str], complaint: str) -> None:
    """Each kind of it has its name."""
    (tmp_path / "told").write_text(f"m 00 {told}\n" if told else "")
    (tmp_path / "taken").write_text("".join(f"m 00 {each}\n" for each in taken))

    assert list(compare(tmp_path / "told", tmp_path / "taken").disagreements) == [complaint]


def test_what_agrees(tmp_path: Path) -> None:
    """Unknown may be either; a server may deliver one transaction twice all by itself."""
    (tmp_path / "told").write_text("m 00 a@x=accepted,b@x=unknown,c@x=not_sent\nn 01 a@x=unknown\n")
    (tmp_path / "taken").write_text("m 00 1 a@x\nm 00 1 a@x\nm 00 1 b@x\n")
    account = compare(tmp_path / "told", tmp_path / "taken")

    assert (account.lines(), account.unknown_taken, account.repeated) == ([], 1, 1)


def test_content_that_changed_is_seen(tmp_path: Path) -> None:
    """The sums differ."""
    (tmp_path / "told").write_text("m 00 a@x=accepted\n")
    (tmp_path / "taken").write_text("m 01 1 a@x\n")

    assert list(compare(tmp_path / "told", tmp_path / "taken").disagreements) == ["other content than was sent"]
