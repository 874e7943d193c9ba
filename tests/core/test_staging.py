"""Staging: whom a copy of a site may send to."""

import pytest

from mailbridge import SMTPInputError, Staging, State

BOTH = ("ann@example.com", "Bob <bob@Elsewhere.ORG>")


def test_without_staging_everybody_gets_mail() -> None:
    """Nothing is set, so nobody is changed and no header is asked for."""
    staged = Staging().apply(BOTH)

    assert (staged.recipients, staged.withheld, staged.original) == (BOTH, {}, None)
    assert not Staging()


def test_redirect_to_takes_everything() -> None:
    """One address gets what several would have got, once; the header says for whom it was."""
    staged = Staging(redirect_to=["dev@example.net"]).apply(BOTH)

    assert staged.recipients == ("dev@example.net",)
    assert staged.original == "ann@example.com, Bob <bob@Elsewhere.ORG>"


def test_allow_domains_withholds_the_others() -> None:
    """Who is not allowed is not sent to, and the result says why; that is nothing to try again."""
    staged = Staging(allow_domains=["EXAMPLE.com"]).apply(BOTH)
    result = staged.withheld[BOTH[1]]

    assert staged.recipients == BOTH[:1]
    assert (result.state, result.temporary) == (State.NOT_SENT, False)
    assert str(result.error) == "'Bob <bob@Elsewhere.ORG>' is not in allow_domains (example.com)"


def test_both_redirect_only_who_is_not_allowed() -> None:
    """Our own people get their mail themselves."""
    staged = Staging(["dev@example.net"], ["example.com"]).apply(BOTH)

    assert staged.recipients == ("ann@example.com", "dev@example.net")


def test_a_subdomain_is_another_domain() -> None:
    """Nobody is let through by a name that only ends alike."""
    staged = Staging(allow_domains=["example.com"]).apply(["eve@evil.example.com", "eve@evilexample.com"])

    assert staged.recipients == ()


def test_a_domain_beyond_ascii_is_compared_by_its_a_labels() -> None:
    """Either spelling of an internationalised domain means the same."""
    staged = Staging(allow_domains=["faß.de"]).apply(["ann@xn--fa-hia.de"])

    assert staged.original is None


@pytest.mark.parametrize(
    "wrong", [{"redirect_to": "dev@example.net"}, {"allow_domains": "x.org"}, {"redirect_to": ["dev@"]}]
)
def test_a_wrong_value_is_refused(wrong: dict[str, object]) -> None:
    """One string where a list belongs would be taken for its letters."""
    with pytest.raises(SMTPInputError):
        Staging(**wrong)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("domain", ["@example.org", "ann@example.org", ""])
def test_what_is_no_domain_is_named_as_it_was_written(domain: str) -> None:
    """Not as part of an address that nobody wrote."""
    with pytest.raises(SMTPInputError) as caught:
        Staging(allow_domains=[domain])

    assert str(caught.value) == f"{domain!r} is not a domain, such as 'example.com'"
