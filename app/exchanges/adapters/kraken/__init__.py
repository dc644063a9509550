"""Kraken, spot REST API: every signed call is a POST with a rising number; GetApiKeyInfo tells the rights in words.

Inferred, not documented: that a key used from an address it is not bound to, or past its last day, is answered like
an unknown one, and what Kraken answers where GetApiKeyInfo does not exist. Then what can be read is probed by reading.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

from app.exchanges.adapter import ExchangeAdapter
from app.exchanges.adapters.kraken.assets import place_asset
from app.exchanges.adapters.kraken.facts import (
    BALANCES,
    CALLS,
    CLOCK,
    HARMLESS_WORDS,
    KEY,
    KRAKEN,
    REFUSALS,
    WITHDRAW_METHODS,
    WORDS,
)
from app.exchanges.errors import BadSignature, ExchangeError, NumberRefused, PermissionMissing, UnexpectedReply
from app.exchanges.http import OutgoingRequest, Reply
from app.exchanges.proving import prove_read
from app.exchanges.reading import Json, parse_amount, parse_asset, parse_public_key
from app.exchanges.types import Answer, Balance, BalanceSheet, Call, Grant, KeyReport, Permission, Proof, add_exactly

_UNKNOWN_METHOD = "EGeneral:Unknown method"


class KrakenAdapter(ExchangeAdapter):
    exchange = KRAKEN
    calls = CALLS
    clock_call = CLOCK
    refusals = REFUSALS

    def sign(self, request: OutgoingRequest) -> OutgoingRequest:
        """Put the number first into the form, and sign path, number and form with the decoded private key."""
        key = parse_public_key(self.context.secrets["api_key"].reveal())
        secret = _decode_secret(self.context.secrets["secret_key"].reveal())
        nonce = str(self.context.turn.next_number(round(self.context.clock().timestamp() * 1000))).encode()
        content = b"nonce=" + nonce + (b"&" + request.content if request.content else b"")
        _, path, _ = self.split_signed(request)
        mac = hmac.new(secret, path.encode() + hashlib.sha256(nonce + content).digest(), hashlib.sha512).digest()
        headers = {"API-Key": key, "API-Sign": base64.b64encode(mac).decode()}
        form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        return replace(request, content=content, headers={**request.headers, **form, **headers})

    def find_refusal(self, status: int, body: Json) -> tuple[str, str] | None:
        """Errors come with HTTP 200 as {"error": ["EAPI:Invalid key"]}; an entry that starts with W is a warning only."""
        told = body.get("error") if isinstance(body, dict) else None
        said = [str(one).replace(": ", ":") for one in (told if isinstance(told, list) else [told]) if one]
        errors = [one for one in said if not one.startswith("W")]
        if not errors:
            return None
        code = next((row.code for row in REFUSALS if row.code and errors[0].startswith(row.code)), "")
        return code, ". ".join(errors)  # only a code of our own table leaves this place: the rest may repeat what was sent

    def parse_server_time(self, reply: Reply, body: Json) -> datetime | None:
        result = body.get("result") if isinstance(body, dict) else None
        told = result.get("unixtime") if isinstance(result, dict) else None
        if not isinstance(told, int) or isinstance(told, bool) or not 0 < told < 10**11:
            raise UnexpectedReply("a clock that tells no time", call=CLOCK.label)
        return datetime.fromtimestamp(told, UTC)

    def is_late_number(self, error: ExchangeError) -> bool:
        """A number that another program's call overtook is refused by its name."""
        return isinstance(error, NumberRefused)

    async def check(self) -> KeyReport:
        """Ask Kraken what the key may do; where it does not tell, prove what reading can prove."""
        told = await self._ask_key()
        if told is None:
            return await self._check_by_reading()
        words = told.get("permissions")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise UnexpectedReply("permissions that are none", call=KEY.label)
        grants = {right: self._read_grant(frozenset(words), right) for right in Permission}
        if grants[Permission.READ].answer is not Answer.YES:
            reads, _ = await prove_read(partial(self._ask_result, BALANCES), told=grants)
            grants[Permission.READ] = self.probed(reads, BALANCES)
        return KeyReport(
            grants,
            account_id=_read_account_id(told),
            allowed_ips=_read_addresses(told.get("ipAllowlist")),
            expires_at=self._read_end(told.get("validUntil")),
        )

    async def fetch_balances(self) -> BalanceSheet:
        """Read the one list of balances; suffixes say which of them are staked or earn rewards."""
        return await self._collect([("spot", self._fetch_all)])

    async def _ask_key(self) -> dict[str, Json] | None:
        """Return what Kraken tells of the key; None where it has no such call, or refuses it, which needs no right."""
        try:
            return await self._ask_result(KEY)
        except PermissionMissing:
            return None
        except UnexpectedReply as error:
            if error.told_code != _UNKNOWN_METHOD:
                raise
            return None

    async def _ask_result(self, call: Call) -> dict[str, Json]:
        body = await self._ask(call)
        result = body.get("result") if isinstance(body, dict) else None
        if not isinstance(result, dict):
            raise UnexpectedReply("an answer without a result", call=call.label)
        return result

    async def _check_by_reading(self) -> KeyReport:
        await self._ask_result(BALANCES)
        withdraw: bool | None = True
        try:
            parse_methods(await self._ask(WITHDRAW_METHODS))
        except ExchangeError as error:
            withdraw = False if isinstance(error, PermissionMissing) else None
        return KeyReport(
            {
                Permission.READ: self.probed(True, BALANCES),
                Permission.TRADE: Grant(),
                Permission.TRANSFER: Grant(),
                Permission.WITHDRAW: self.probed(withdraw, WITHDRAW_METHODS),
            }
        )

    def _read_grant(self, words: frozenset[str], right: Permission) -> Grant:
        """With a word we do not know, what is not named is unknown, never a no."""
        is_complete = words <= {*HARMLESS_WORDS, *(word for row in WORDS.values() for word in row)}
        if words & set(WORDS[right]):
            return Grant(Answer.YES, Proof.TOLD, self.context.clock(), KEY.label)
        return Grant(Answer.NO, Proof.TOLD, self.context.clock(), KEY.label) if is_complete else Grant()

    def _read_end(self, told: Json) -> datetime | None:
        """Return the key's last moment from a text of seconds; "0" or absent means never. A key that answers has not ended."""
        text = str(told)
        if not text.isascii() or not text.isdigit() or len(text) > 10:
            return None
        ends = datetime.fromtimestamp(int(text), UTC)
        return ends if ends > self.context.clock() else None

    async def _fetch_all(self) -> list[Balance]:
        merged: dict[tuple[str, str], Balance] = {}
        for code, row in (await self._ask_result(BALANCES)).items():
            place = place_asset(parse_asset(code, call=BALANCES.label))
            available, held = _read_row(row)
            other = merged.get(place, Balance(*place, Decimal(0), Decimal(0)))
            merged[place] = Balance(*place, add_exactly(other.available, available), add_exactly(other.held, held))
        return list(merged.values())


def parse_methods(body: Json) -> list[Json]:
    """Return the methods of withdrawing. Raises UnexpectedReply for any other answer."""
    methods = body.get("result") if isinstance(body, dict) else None
    if not isinstance(methods, list):
        raise UnexpectedReply("methods that are none", call=WITHDRAW_METHODS.label)
    return methods


def _decode_secret(text: str) -> bytes:
    """Return the bytes of a private key. Raises BadSignature for a text that is no base64: it cannot be Kraken's."""
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not secret:
        raise BadSignature
    return secret


def _read_row(row: Json) -> tuple[Decimal, Decimal]:
    """Return (available, held) of the owner's own funds; credit lines are not counted, and held is never above the whole."""
    if not isinstance(row, dict):
        raise UnexpectedReply("a balance that is none", call=BALANCES.label)
    whole = parse_amount(row.get("balance"), call=BALANCES.label)
    held = min(parse_amount(row.get("hold_trade", "0"), call=BALANCES.label), whole)
    return add_exactly(whole, held.copy_negate()), held


def _read_account_id(told: dict[str, Json]) -> str | None:
    """Return Kraken's number of the account (its internal IBAN) without blanks."""
    iban = told.get("iban")
    text = "".join(iban.split()) if isinstance(iban, str) else ""
    return text if text.isascii() and text.isalnum() and len(text) <= 64 else None


def _read_addresses(told: Json) -> tuple[str, ...] | None:
    if not isinstance(told, list) or not all(isinstance(address, str) for address in told):
        return None
    return tuple(told)
