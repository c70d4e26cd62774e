"""Taking answers apart: odd texts, odd documents, and everything that must not be believed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.alipay.responses import Unreadable, parse_strict, take_apart
from tests.plugins.alipay.samples import sample

METHOD = "alipay.trade.query"
ROOT = "alipay_trade_query_response"
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(content=st.dictionaries(st.text(), values, max_size=5), before=st.booleans(), escaped=st.booleans())
def test_the_signed_characters_are_found_whatever_they_are(
    content: dict[str, object], before: bool, escaped: bool
) -> None:
    text = json.dumps(content, ensure_ascii=escaped)
    members = [f'"{ROOT}": {text}', '"sign" :"c2lnbg=="', '"alipay_cert_sn":"ab"']
    body = "{ " + ",\n".join(reversed(members) if before else members) + " } "
    raw = take_apart(body.encode("utf-8", "surrogatepass" if escaped else "replace"), METHOD)
    assert raw.content.text.encode("utf-8", "replace") == text.encode("utf-8", "replace")
    assert (raw.sign, raw.certificate_sn) == ("c2lnbg==", "ab")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(Unreadable):
        take_apart(body, METHOD)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        f'{{"{ROOT}"}}',
        f'{{"{ROOT}":}}',
        f'{{"{ROOT}":{{}}',
        f'{{"{ROOT}":{{}},}}',
        f'{{"{ROOT}":{{}}}} trailing',
        f'{{"{ROOT}":{{}},"sign":"a","sign":"b"}}',
        f'{{"{ROOT}":{{}},"{ROOT}":{{}}}}',
        f'{{"{ROOT}":{{"code":"1","code":"10000"}}}}',
        f'{{"{ROOT}":{{}},"error_response":{{}}}}',
        f'{{"{ROOT}":{{}},"sign":1}}',
        f'{{"{ROOT}":{{"a":NaN}}}}',
        f'{{"{ROOT}":' + "[" * 100_000,
        f'{{"{ROOT}":' + "9" * 5_000 + "}",
        '{"alipay_trade_refund_response":{"code":"10000"},"sign":"a"}',
        "<html><body>502</body></html>",
        "\ufeff{}",
    ],
)
def test_what_is_no_answer_is_unreadable(body: str) -> None:
    with pytest.raises(Unreadable):
        take_apart(body.encode(), METHOD)


def test_a_body_in_another_charset_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        take_apart(f'{{"{ROOT}":{{"subject":"金币"}}}}'.encode("gbk"), METHOD)


def test_no_float_is_ever_made() -> None:
    assert parse_strict('{"amount":0.30000000000000004,"n":1e400}') == {"amount": "0.30000000000000004", "n": "1e400"}


def test_the_tricky_sample_has_all_its_traps() -> None:
    """A change of the sample cannot make the test of it hollow."""
    text = sample("sync_query_tricky_strings")["content"]
    assert all(trap in text for trap in ("a } b {", '\\"sign\\"', "\\/", "\\u91d1", ROOT))
