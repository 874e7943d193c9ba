"""Pools of connections at real servers, threads and tasks: each message arrives, none twice."""

from collections.abc import Callable

import pytest

from mailbridge import MailObject
from tests.servers.lab import Lab
from tests.servers.lab.faces import Pooled
from tests.servers.lab.machine import added
from tests.servers.test_contents_driver import BODIES

Letter = Callable[..., MailObject]
COUNT = 200


@pytest.mark.parametrize("way", ["send_at_once", "send_many"])
def test_two_hundred_messages_over_a_pool(lab: Lab, pooled: type[Pooled], token: str, letter: Letter, way: str) -> None:
    """Four connections, each message by a send of its own or all of them as a batch."""
    messages = [letter(body=b"number %d\r\n" % number) for number in range(COUNT)]

    with pooled(lab.server()) as pool:
        receipts = getattr(pool, way)(messages)

    assert all(receipt.complete for receipt in receipts)
    stored = lab.arrived(token, COUNT)
    assert len(stored) == COUNT
    expected = {message.content for message in messages}
    for each in stored:
        content = next(content for content in expected if each.endswith(content))
        expected.remove(content)
        added(each, content)


@pytest.mark.parametrize("chunking", [True, False], ids=["bdat", "data"])
def test_every_kind_of_content_in_one_batch(
    lab: Lab, pooled: type[Pooled], token: str, letter: Letter, chunking: bool
) -> None:
    """What is small shares a flight with what is large, and all of it arrives as it was sent."""
    messages = [letter(body=b"%d\r\n" % number + body) for number, body in enumerate(BODIES.values())]

    with pooled(lab.server(chunking=chunking), 1) as pool:
        receipts = pool.send_many(messages)

    assert all(receipt.complete for receipt in receipts)
    stored = lab.arrived(token, len(messages))
    for message in messages:
        [mine] = [each for each in stored if each.endswith(message.content)]
        added(mine, message.content)


@pytest.mark.parametrize("chunking", [True, False], ids=["bdat", "data"])
def test_refusals_of_every_kind_inside_a_batch(
    lab: Lab, pooled: type[Pooled], token: str, letter: Letter, chunking: bool
) -> None:
    """Each refusal is its own message's; those beside it in the flight arrive, with their own sender."""
    wanted: list[tuple[MailObject, str]] = []

    def add(state: str, *to: str, sender: str = "ann@lab.test") -> None:
        wanted.append((letter(*to, body=b"%d\r\n" % len(wanted), sender=sender), state))

    for number in range(4):
        add("accepted", sender=f"u{number}@lab.test")
        add("rejected", "nobody@lab.test", sender="first@lab.test")
        add("accepted", sender=f"u{number}@lab.test")
        add("deferred", "temp@lab.test", sender="second@lab.test")
        if not lab.lmtp:
            add("rejected", sender="blocked@lab.test")
            add("accepted", sender=f"u{number}@lab.test")
            add("deferred", sender="tempsender@lab.test")
            add("rejected", sender="rejecteod@lab.test")
            add("accepted", sender=f"u{number}@lab.test")
            add("deferred", sender="tempeod@lab.test")
        add("accepted", sender=f"u{number}@lab.test")

    with pooled(lab.server(chunking=chunking), 1) as pool:
        receipts = pool.send_many([message for message, _ in wanted])

    states = [str(result.state) for receipt in receipts for result in receipt.results.values()]
    assert states == [state for _, state in wanted]
    good = [message for message, state in wanted if state == "accepted"]
    stored = lab.arrived(token, len(good))
    assert len(stored) == len(good)
    for message in good:
        [mine] = [each for each in stored if each.endswith(message.content)]
        front = added(mine, message.content)
        assert not lab.unix_lines or f"Return-Path: <{message.sender}>".encode() in front
