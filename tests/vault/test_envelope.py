"""Sealing and opening a credential: bound to its place, one error for every forgery, nothing shown by accident."""

import copy
import json
import pickle
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.masking import Secret
from app.vault import records, rootkey
from app.vault.envelope import KeyUnavailable, SealedSecrets, SealingContext, Vault, VaultError
from app.vault.keyring import KeyState
from tests.vault.samples import INSTANCE, SAMPLE_B, make_context, make_root, make_vault

SECRETS = {"api_key": Secret("public-part"), "secret_key": Secret("hunter2-hunter2")}


def make_other_contexts(context: SealingContext) -> list[SealingContext]:
    """Every single change of a context, and values moved between neighbouring parts."""
    return [
        replace(context, instance_id="vlt_other"),
        replace(context, credential_id="crd_other"),
        replace(context, user_id="usr_2"),
        replace(context, exchange="hitbtc"),
        replace(context, environment="sandbox"),
        replace(context, secret_version=2),
        replace(context, exchange="htxlive", environment=""),
        replace(context, exchange="htx\x00live", environment=""),
        replace(context, user_id=context.exchange, exchange=context.user_id),
    ]


def test_what_is_sealed_opens_with_the_same_context() -> None:
    vault = make_vault()
    values = {"api_key": Secret(""), "secret_key": Secret("ключ 🔑\n\x00"), "passphrase": Secret("x" * 8192)}
    opened = vault.open(vault.seal(values, context=make_context()), context=make_context())
    assert opened == values
    assert list(opened) == list(values)


def test_a_row_survives_its_way_through_the_database() -> None:
    vault = make_vault()
    sealed = vault.seal(SECRETS, context=make_context())
    stored = json.loads(json.dumps(sealed.fields_text))
    again = SealedSecrets.from_row(sealed.kid, wrapped_key=sealed.wrapped_key, fields=stored)
    assert again == sealed
    assert vault.open(again, context=make_context()) == SECRETS


@pytest.mark.parametrize(
    "fields", [None, [], "text", 7, {"api_key": 7}, {"api_key": None}, {"api_key": "é"}, {"api_key": "a"}, {"api_key": "!!!!"}]
)
def test_a_damaged_row_is_a_vault_error(fields: object) -> None:
    with pytest.raises(VaultError, match="malformed"):
        SealedSecrets.from_row("k2026a", wrapped_key=b"", fields=fields)


def test_sealing_twice_shares_nothing() -> None:
    vault = make_vault()
    first, second = (vault.seal(SECRETS, context=make_context()) for _ in range(2))
    assert first.wrapped_key != second.wrapped_key
    assert not set(first.fields.values()) & set(second.fields.values())
    mixed = replace(first, wrapped_key=second.wrapped_key)
    with pytest.raises(VaultError):
        vault.open(mixed, context=make_context())


def test_values_of_similar_length_are_stored_at_one_length() -> None:
    sealed = make_vault().seal({"api_key": Secret("a"), "secret_key": Secret("b" * 60)}, context=make_context())
    assert len({len(record) for record in sealed.fields.values()}) == 1


def test_no_forgery_out_of_fifty_credentials_opens() -> None:
    """All ordered pairs: wrapped key, one field, or all of it from another row; and every row under another context."""
    vault = make_vault()
    rows = [(context, vault.seal(SECRETS, context=context)) for context in map(make_context, range(50))]
    forged = []
    for context, sealed in rows:
        crossed = {"api_key": sealed.fields["secret_key"], "secret_key": sealed.fields["api_key"]}
        forged += [
            (context, replace(sealed, fields=crossed)),
            (context, replace(sealed, fields={"passphrase": sealed.fields["api_key"]})),
        ]
        forged += [(changed, sealed) for changed in make_other_contexts(context)]
        for other_context, other in rows:
            if other_context != context:
                forged += [
                    (context, other),
                    (context, replace(sealed, wrapped_key=other.wrapped_key)),
                    (context, replace(sealed, fields=other.fields)),
                    (context, replace(sealed, fields={**sealed.fields, "secret_key": other.fields["secret_key"]})),
                ]
    accepted = [attempt for attempt in forged if opens(vault, *attempt)]
    assert len(forged) == 50 * (2 + 9 + 49 * 4)
    assert accepted == []
    assert all(opens(vault, *row) for row in rows)


def opens(vault: Vault, context: SealingContext, sealed: SealedSecrets) -> bool:
    try:
        vault.open(sealed, context=context)
    except VaultError:
        return False
    return True


def test_the_rows_kid_must_be_the_records() -> None:
    vault = make_vault([make_root("k2026a"), make_root("k2026b", key=SAMPLE_B, state=KeyState.DECRYPT)])
    sealed = vault.seal(SECRETS, context=make_context())
    with pytest.raises(VaultError, match="another root key"):
        vault.open(replace(sealed, kid="k2026b"), context=make_context())


def test_a_context_of_another_database_is_refused_both_ways() -> None:
    vault = make_vault()
    other = make_context(instance_id="vlt_other")
    with pytest.raises(VaultError, match="another database"):
        vault.seal(SECRETS, context=other)
    with pytest.raises(VaultError, match="another database"):
        vault.open(vault.seal(SECRETS, context=make_context()), context=other)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"": Secret("v")},
        {"Api": Secret("v")},
        {"a" * 33: Secret("v")},
        {"api_key": Secret("v" * 65_533)},
        {"api_key": Secret("v\ud800")},
    ],
)
def test_what_cannot_be_stored_is_refused_without_showing_it(values: dict[str, Secret]) -> None:
    with pytest.raises(VaultError) as caught:
        make_vault().seal(values, context=make_context())
    assert "v" * 100 not in str(caught.value)
    assert caught.value.__context__ is None


def test_rewrapping_moves_to_the_active_key_and_leaves_the_fields_alone() -> None:
    old = make_vault()
    sealed = old.seal(SECRETS, context=make_context())
    both = make_vault([make_root("k2026a", state=KeyState.DECRYPT), make_root("k2026b", key=SAMPLE_B)])
    renewed = both.rewrap(sealed, context=make_context())
    assert renewed.kid == "k2026b"
    assert renewed.fields == sealed.fields
    only_new = make_vault([make_root("k2026a", state=KeyState.RETIRED), make_root("k2026b", key=SAMPLE_B)])
    assert only_new.open(renewed, context=make_context()) == SECRETS
    with pytest.raises(KeyUnavailable):
        only_new.open(sealed, context=make_context())
    with pytest.raises(VaultError):
        both.rewrap(sealed, context=make_context(2))


def test_a_pending_key_opens_but_never_writes() -> None:
    writer = make_vault([make_root("k2026b", key=SAMPLE_B)])
    sealed = writer.seal(SECRETS, context=make_context())
    vault = make_vault([make_root("k2026a"), make_root("k2026b", key=SAMPLE_B, state=KeyState.PENDING)])
    assert vault.open(sealed, context=make_context()) == SECRETS
    assert vault.seal(SECRETS, context=make_context()).kid == vault.active_kid == "k2026a"


def test_fingerprints_tell_keys_apart_and_nothing_else() -> None:
    vault = make_vault()
    first = vault.fingerprint(exchange="htx", environment="live", api_key=Secret("abc"))
    assert len(first) == 32
    assert first == vault.fingerprint(exchange="htx", environment="live", api_key=Secret("abc"))
    others = [
        ("htx", "sandbox", "abc"),
        ("hitbtc", "live", "abc"),
        ("htx", "live", "abd"),
        ("htxl", "ive", "abc"),
        ("htx", "livea", "bc"),
    ]
    prints = {vault.fingerprint(exchange=e, environment=n, api_key=Secret(k)) for e, n, k in others}
    assert len(prints | {first}) == 6


def test_neither_vault_nor_sealed_secrets_show_bytes() -> None:
    vault = make_vault()
    sealed = vault.seal(SECRETS, context=make_context())
    assert repr(sealed) == "SealedSecrets(kid='k2026a')"
    assert repr(vault) == f"Vault(instance_id='{INSTANCE}', ring=KeyRing(k2026a (active, check {vault.list_keys()[0].check})))"
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            attempt(vault)
    assert not hasattr(vault, "__dict__")


def test_every_buffer_of_keys_and_plain_text_is_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    buffers: list[bytearray] = []

    def keep(function: Callable[..., bytearray]) -> Callable[..., bytearray]:
        def keeping(*arguments: Any, **options: Any) -> bytearray:
            buffers.append(function(*arguments, **options))
            return buffers[-1]

        return keeping

    monkeypatch.setattr(records, "decrypt", keep(records.decrypt))
    monkeypatch.setattr(records, "pad", keep(records.pad))
    monkeypatch.setattr(rootkey, "derive", keep(rootkey.derive))
    vault = make_vault()
    sealed = vault.seal(SECRETS, context=make_context())
    vault.open(sealed, context=make_context())
    vault.rewrap(sealed, context=make_context())
    with pytest.raises(VaultError):
        vault.open(replace(sealed, fields={**sealed.fields, "secret_key": b"KD"}), context=make_context())
    assert len(buffers) == 3 + 4 + 5 + 3  # seal, open, rewrap, and an open that fails half way
    assert not any(any(buffer) for buffer in buffers)


def test_opening_costs_far_less_than_a_millisecond() -> None:
    vault = make_vault()
    sealed = vault.seal(SECRETS, context=make_context())
    best = min(measure_open_seconds(vault, sealed) for _ in range(5))
    assert best < 0.001


def measure_open_seconds(vault: Vault, sealed: SealedSecrets) -> float:
    started = time.perf_counter()
    for _ in range(100):
        vault.open(sealed, context=make_context())
    return (time.perf_counter() - started) / 100
