"""Readers of hostile answers: exact where the answer is good, refusing where it is not, and quick on large ones."""

import json
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exchanges.errors import InvalidKey, UnexpectedReply
from app.exchanges.http import Reply
from app.exchanges.reading import (
    max_depth,
    parse_amount,
    parse_asset,
    parse_json,
    parse_public_key,
    parse_retry_after,
    parse_rows,
)
from app.exchanges.types import Balance, add_exactly


def test_numbers_keep_every_digit() -> None:
    assert parse_json(b'{"a": 0.123456789012345678901234567890123456}')["a"] == Decimal("0.123456789012345678901234567890123456")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b"\xff\xfe",
        b"[" * 41 + b"]" * 41,
        b"[" * 2_000_000,
        b'{"a": 1e9999999999999999999}',
        b"<html>",
    ],
)
def test_odd_content_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(content)


def test_brackets_inside_texts_are_no_depth() -> None:
    note = "[{" * 50 + '\\"'
    assert parse_json(json.dumps({"note": note}).encode()) == {"note": note}
    assert parse_json(b"[" * 40 + b"]" * 40) is not None


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
    )
)
def test_what_json_writes_is_read_back(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value


def test_depth_of_a_large_answer_is_found_quickly() -> None:
    rows = [{"currency": f"c{n}", "type": "trade", "balance": "0", "debt": "invalid", "seq-num": "0"} for n in range(2000)]
    content = json.dumps({"status": "ok", "data": {"list": rows}}).encode()
    started = time.process_time()
    assert max_depth(content) == 4
    assert len(content) > 150_000
    assert time.process_time() - started < 0.1


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0.000000000000000000", "0"),
        ("1840.557310000000", "1840.55731"),
        (7, "7"),
        (Decimal("0.1"), "0.1"),
        ("1e-8", "0.00000001"),
    ],
)
def test_amounts(value: Any, amount: str) -> None:
    read = parse_amount(value, call="c")
    assert read == Decimal(amount)
    assert not read.is_signed()


def test_amounts_are_not_rounded() -> None:
    assert str(parse_amount("91234567890123.850043797676510303", call="c")) == "91234567890123.850043797676510303"
    balance = Balance("spot", "USDT", Decimal("91234567890123.850043797676510303"), Decimal("0.000000000000000001"))
    assert str(balance.total) == "91234567890123.850043797676510304"
    assert str(add_exactly(Decimal("1e20"), Decimal("1e-20"))) == "100000000000000000000.00000000000000000001"


@pytest.mark.parametrize(
    "value",
    [None, True, "", "abc", "-1", "NaN", "Infinity", "1e50", "1e-50", [], {}, "1_000x", "9" * 5000, Decimal("-0.1"), "0x10"],
)
def test_what_is_no_amount_is_refused(value: Any) -> None:
    with pytest.raises(UnexpectedReply):
        parse_amount(value, call="c")


def test_assets_and_rows() -> None:
    assert parse_asset(" usdt ", call="c") == "USDT"
    for odd in (None, "", "  ", 7, "A" * 41, "A\x00B", "A\nB"):
        with pytest.raises(UnexpectedReply):
            parse_asset(odd, call="c")
    assert parse_rows([{}], call="c") == [{}]
    for shape in (None, {}, [1], "[]"):
        with pytest.raises(UnexpectedReply):
            parse_rows(shape, call="c")


def test_public_keys() -> None:
    assert parse_public_key("aB-_1:") == "aB-_1:"
    for odd in ("", "a b", "a\n", "ä"):
        with pytest.raises(InvalidKey):
            parse_public_key(odd)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2", 2.0), ("999999", 3600.0), ("", None), ("-1", None), ("soon", None), ("²", None), ("9" * 400, 3600.0)],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert parse_retry_after(Reply(429, {"retry-after": text}, b"", 1)) == seconds
