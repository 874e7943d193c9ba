"""Mail objects: what a caller may say."""

import pytest

from mailbridge.errors import SMTPInputError
from mailbridge.message import check_partial


def test_a_word_that_says_nothing_about_partial_refusals() -> None:
    """It is named, with what is allowed."""
    check_partial("abort")
    with pytest.raises(SMTPInputError, match="deliver, raise or abort, not 'perhaps'"):
        check_partial("perhaps")
