"""A pool of connections, many threads, real servers: each message arrives, none twice."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from mailbridge import MailObject, Pool
from tests.servers.lab import Lab
from tests.servers.lab.machine import added

COUNT = 200


def test_two_hundred_messages_over_a_pool(lab: Lab, token: str, letter: Callable[..., MailObject]) -> None:
    """Eight threads share four connections."""
    messages = [letter(body=b"number %d\r\n" % number) for number in range(COUNT)]

    with Pool(lab.server(), max_connections=4) as pool, ThreadPoolExecutor(8) as threads:
        receipts = list(threads.map(pool.send, messages))

    assert all(receipt.accepted for receipt in receipts)
    stored = lab.arrived(token, COUNT)
    assert len(stored) == COUNT
    expected = {message.content for message in messages}
    for each in stored:
        content = next(content for content in expected if each.endswith(content))
        expected.remove(content)
        added(each, content)
