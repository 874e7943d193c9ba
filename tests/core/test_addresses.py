"""Addresses: read once, written from their parts, never guessed."""

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailbridge.addresses import (
    COMMENT_DEPTH,
    LIST_TEXT,
    Address,
    a_labels,
    needs_a_labels,
    parse,
    parse_list,
    with_a_labels,
)
from mailbridge.errors import SMTPInputError
from tests.core.given import CRAFTED, ODD_TEXT, complaint, raised

LOCALS = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=9)
DOMAINS = st.from_regex(r"[a-z0-9_]{1,9}(\.[a-z0-9_-]{1,9}){0,2}", fullmatch=True) | st.sampled_from(
    ["", "[192.0.2.1]", "[IPv6:2001:db8::1]", "[x400:c=de]", "faß.de", "bücher.example"]
)


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("ann@x.org", "ann", "x.org"),
        ("  ann@x.org\t", "ann", "x.org"),
        ("<ann@x.org>", "ann", "x.org"),
        ("Ann <ann@x.org>", "ann", "x.org"),
        ("Ann\tB. Lee <ann@x.org>", "ann", "x.org"),
        ('"Lee, Ann @ x <a>" <ann@x.org>', "ann", "x.org"),
        ("Änn <ann@x.org>", "ann", "x.org"),
        ("postmaster", "postmaster", ""),
        ("a.b+c_d{e}@x.org", "a.b+c_d{e}", "x.org"),
        ("jörg@x.org", "jörg", "x.org"),
        ('"a b"@x.org', "a b", "x.org"),
        ('"a\\"b\\\\c"@x.org', 'a"b\\c', "x.org"),
        ('"e@evil x"@ok.example', "e@evil x", "ok.example"),
        ("a@my_host.example", "a", "my_host.example"),
        ("a@EXAMPLE.Org", "a", "EXAMPLE.Org"),
        ("a@faß.de", "a", "xn--fa-hia.de"),
        ("a@日本。jp", "a", "xn--wgv71a.jp"),
        ("a@my_host.bücher.example", "a", "my_host.xn--bcher-kva.example"),
        ("a@[192.0.2.1]", "a", "[192.0.2.1]"),
        ("a@[ipv6:2001:DB8:0:0::1]", "a", "[IPv6:2001:db8::1]"),
        ("a@[X400:c=de]", "a", "[X400:c=de]"),
    ],
)
def test_an_address_is_taken_apart(text: str, local: str, domain: str) -> None:
    """Display name and quotes are gone, the domain is in A-labels by IDNA 2008."""
    assert parse(text) == Address(local, domain)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not of the form"),
        ("@x.org", "not of the form"),
        ("a@", "not of the form"),
        ("a@b@c", "not of the form"),
        (".a@x.org", "not of the form"),
        ("a..b@x.org", "not of the form"),
        ("a b@x.org", "not of the form"),
        ('"a@x.org', "not of the form"),
        ("Ann <a@x.org", "not of the form"),
        ("<@relay:a@x.org>", "not of the form"),
        ("a@x.org (Ann)", "not of the form"),
        ("ann@evil.example <a@x.org>", "not of the form"),
        ("a@[192.0.2.10", "not of the form"),
        ('""@x.org', "local part is empty"),
        ('"a\tb"@x.org', "control character"),
        ("a@x.org\n", "control character"),
        ('"x\r\nRCPT TO:<e@y>" <a@x.org>', "control character"),
        ("a\udcff@x.org", "control character"),
        ("a@x..org", "label"),
        ("a@x.org.", "label"),
        ("a@-x.org", "label"),
        ("a@x!y", "label"),
        ("a@" + "x" * 64, "label"),
        ("a@x＠y.org", "label"),
        ("a@\u0301x.org", "IDNA 2008"),
        ("a@[192.0.2.999]", "literal"),
        ("a@[IPv6:12345::]", "literal"),
        ("a@[IPv6:fe80::1%eth0]", "literal"),
        ("a@[IPv6:fe80::1%é]", "literal"),
        ("a@[nothing]", "literal"),
        ("x" * 65 + "@x.org", "64 octets"),
        ("ö" * 33 + "@x.org", "64 octets"),
        ('"' + "x " * 32 + '"@x.org', "64 octets"),
        ("a@" + ".".join(["x" * 60] * 5), "254 octets"),
        ("x" * 64 + "@" + ".".join(["x" * 47] * 4), "254 octets"),
        ("x" * 1001, "1001 characters"),
    ],
)
def test_what_is_no_address(text: str, why: str) -> None:
    """There is no guessing; the error says what is wrong with it."""
    assert why in str(raised(SMTPInputError, lambda: parse(text)))


@pytest.mark.parametrize("value", [None, b"a@x.org", 5, ["a@x.org"]])
def test_an_address_is_a_string(value: object) -> None:
    """Anything else is named by its type."""
    error = raised(SMTPInputError, lambda: parse(value))

    assert type(value).__name__ in str(error)


def test_the_longest_address_fits() -> None:
    """RFC 5321 section 4.5.3.1: 64 octets of local part, 256 of path with its brackets."""
    longest = "x" * 64 + "@" + ".".join(["x" * 63, "x" * 62, "x" * 62])

    assert len(parse(longest).path) == 256
    raised(SMTPInputError, lambda: parse(longest + "x"))


@given(LOCALS, DOMAINS)
@example('a"b\\c <>@,;:()', "x.org")
@example("ä b", "[IPv6:::1]")
def test_an_address_survives_being_written(local: str, domain: str) -> None:
    """What `str` gives is read as the same address."""
    try:
        address = Address(local, a_labels(domain))
    except SMTPInputError:
        return

    assert parse(str(address)) == address
    assert parse(f'"Some, body" <{address}>') == address


@given(ODD_TEXT)
def test_any_text_is_an_address_or_an_input_error(text: str) -> None:
    """Nothing else is raised, its sentence can be printed, and an address that comes out is what it says."""
    assert complaint(lambda: parse(text)).isprintable()
    try:
        address = parse(text)
    except SMTPInputError:
        return

    assert parse(str(address)) == address
    assert address.path.startswith(b"<")
    assert address.domain.isascii()
    assert not re.search(rb"[\0-\x1f\x7f]", address.path)


@pytest.mark.parametrize(
    ("local", "domain"),
    [
        ("", "x.org"),
        ("a\r\nb", "x.org"),
        ("a", "x> NOTIFY=NEVER"),
        ("a", "faß.de"),
        ("a", "[::1"),
        ("x" * 65, "x"),
    ],
)
def test_s6_no_other_way_to_an_address(local: str, domain: str) -> None:
    """One that was built from parts is held to the same rules."""
    raised(SMTPInputError, lambda: Address(local, domain))


def test_what_makes_two_mailboxes_the_same() -> None:
    """The local part to the letter, the domain in any case."""
    assert parse("Ann@X.org").key == parse("Ann@x.ORG").key
    assert parse("ann@x.org").key != parse("Ann@x.org").key


@pytest.mark.parametrize(("text", "needs"), [("jörg@x.org", True), ("a@faß.de", False), ("a@x.org", False)])
def test_who_needs_smtputf8(text: str, needs: bool) -> None:
    """RFC 6531: the local part alone; a domain has its A-labels."""
    assert parse(text).needs_utf8 is needs


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("", []),
        (" , ,", []),
        ("a@x", ["a@x"]),
        ('a@x, B <b@y>,\r\n\t"C, D" <c@z>', ["a@x", "b@y", "c@z"]),
        ("Ann\r\n Lee\n\tJr. <a@x>", ["a@x"]),
        ("Team: a@x, b@y;, c@z", ["a@x", "b@y", "c@z"]),
        ("undisclosed-recipients:;", []),
        ("A: a@x; B: b@y;", ["a@x", "b@y"]),
        ("a@x (home), (a (nested) \\) one) b@y", ["a@x", "b@y"]),
        ('(5" wide) a@x, (5" long) b@y', ["a@x", "b@y"]),
        ("(a [ in it) a@x, b@y", ["a@x", "b@y"]),
        ('"e@evil x"@ok.example', ['"e@evil x"@ok.example']),
        ('"a\\"b, c@d" <e@f>', ["e@f"]),
        ("a@[IPv6:::1], b@y", ["a@[IPv6:::1]", "b@y"]),
        ("=?utf-8?q?J=C3=B6rg?= <j@x>", ["j@x"]),
        ("a@faß.de, jörg@x", ["a@xn--fa-hia.de", "jörg@x"]),
    ],
)
def test_s10_an_address_list(text: str, addresses: list[str]) -> None:
    """RFC 5322 section 3.4: names, groups, comments, folding; what is quoted is no address."""
    assert [str(address) for address in parse_list(text)] == addresses


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("alice@ok)Roger(<bob@evil>", "without its '('"),
        ("a@x (open", "without its ')'"),
        ("(" * (COMMENT_DEPTH + 1) + "a@x", "nested"),
        ("Team: a@x", "without its ';'"),
        ("a@x;", "never began"),
        ("A: B: a@x;;", "inside a group"),
        ("c@d: a@x;", "is no name"),
        ("<c@d>: a@x;", "is no name"),
        ("<a@x, b@y>", "not of the form"),
        ("a@x b@y", "not of the form"),
        ('"a@x', "not of the form"),
        ("a@x\r\nb@y", "control character"),
        ("root", "needs a domain"),
        ("," * 1001, "commas and comments"),
        ("<a@x," + "," * 1001, "more than 1000 characters"),
        ("(a)," * 600 + "a@x", "commas and comments"),
        ("a" * (LIST_TEXT + 1), "allowed in a header"),
    ],
)
def test_s10_a_malformed_list_is_refused(text: str, why: str) -> None:
    """A guess would send mail to strangers."""
    assert why in str(raised(SMTPInputError, lambda: parse_list(text)))


@given(st.lists(st.tuples(LOCALS, st.sampled_from(["x.org", "faß.de"])), max_size=5), st.booleans())
def test_a_list_of_addresses_survives_being_written(parts: list[tuple[str, str]], grouped: bool) -> None:
    """Joined with commas, in a group or not, they come back in order."""
    addresses = [Address(local, a_labels(domain)) for local, domain in parts]
    text = ", ".join(f'"N, ({n}" <{address}> (a comment)' for n, address in enumerate(addresses))

    assert parse_list(f"Team: {text};" if grouped else text) == addresses


@given(ODD_TEXT)
def test_any_text_is_a_list_or_an_input_error(text: str) -> None:
    """Nothing else is raised; and to write domains in A-labels changes no address."""
    try:
        addresses = parse_list(text)
    except SMTPInputError:
        return

    assert parse_list(with_a_labels(text)) == addresses


@pytest.mark.parametrize(
    "junk", ["(", ")", ",", "a:;,", "a: b:", '"', '"\\"', "\\", "<", "[", "a@[", "@", "@é", "((a))"]
)
@pytest.mark.parametrize("read", [parse, parse_list])
def test_s11_a_megabyte_of_junk_costs_nothing(read: Callable[[str], object], junk: str) -> None:
    """Lengths are capped before anything is parsed."""
    text = (junk * 1_000_000)[:1_000_000]
    began = time.process_time()
    raised(SMTPInputError, lambda: read(text))

    assert time.process_time() - began < 0.05


@pytest.mark.parametrize(
    "junk", ["<", "a,", ",", '"', '""', '"@",', "(@),", "(@)", "\\a", "(\\a", "a:;", "((a))", "[", "[]", "a@["]
)
def test_s11_a_list_of_junk_below_the_cap_is_given_up_early(junk: str) -> None:
    """Neither its places nor its characters are all looked at before the error."""
    text = (junk * LIST_TEXT)[:LIST_TEXT]
    began = time.process_time()
    raised(SMTPInputError, lambda: parse_list(text))

    assert time.process_time() - began < 0.05


@pytest.mark.parametrize(
    ("start", "junk"),
    [
        ('é"', '\\"'),
        *(("", junk) for junk in ("(a)", ",", "a:;,", '"', '"\\"', "<", "[", "a@[", "@", "@é", "a@x,", "é@")),
    ],
)
@pytest.mark.parametrize("read", [parse_list, needs_a_labels, with_a_labels])
def test_s11_time_is_linear(read: Callable[[str], object], start: str, junk: str) -> None:
    """Four times the text costs about four times the time: nothing is scanned again and again."""

    def cost(size: int) -> float:
        text, began = (start + junk * size)[:size], time.process_time()
        complaint(lambda: read(text))
        return time.process_time() - began

    assert min(cost(20_000) for _ in range(2)) < 12 * min(cost(5_000) for _ in range(2)) + 0.02


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a@faß.de", "a@xn--fa-hia.de"),
        ("Jörg <jörg@bücher.example>, b@x", "Jörg <jörg@xn--bcher-kva.example>, b@x"),
        ('"x@faß.de" <a@x>', '"x@faß.de" <a@x>'),
        ("é <a@x>", "é <a@x>"),
        ("a@x", "a@x"),
        ("a@x (not b@½) (c@(d@é)) , e@é", "a@x (not b@½) (c@(d@é)) , e@xn--9ca"),
    ],
)
def test_domains_in_a_header_become_a_labels(text: str, written: str) -> None:
    """By IDNA 2008, in addresses only; what is quoted, comments and local parts stay."""
    assert with_a_labels(text) == written
    assert needs_a_labels(text) is (text != written)


@pytest.mark.parametrize("domain", ["a..b", "ö..b", "xn--ö", "[1.2]"])
def test_a_domain_is_called_a_domain(domain: str) -> None:
    """A host has no local part: the error speaks of what was given."""
    assert "is not a domain that can be used" in str(raised(SMTPInputError, lambda: a_labels(domain)))


@given(CRAFTED)
def test_a_labels_are_final(text: str) -> None:
    """What is in A-labels once stays as it is."""
    try:
        domain = a_labels(text)
    except SMTPInputError:
        return

    assert a_labels(domain) == domain
