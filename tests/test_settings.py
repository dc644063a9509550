"""Settings: unknown names stop the start, files carry secrets, and every setting is documented."""

from pathlib import Path

import pytest

from app.masking import Secret
from app.settings import PREFIX, Settings, SettingsError, load_settings

ROOT = Path(__file__).resolve().parent.parent


def test_an_unknown_setting_stops_the_start_by_name() -> None:
    with pytest.raises(SettingsError, match="KEYDECK_SANBOX"):
        load_settings({"KEYDECK_SANBOX": "on"})
    assert load_settings({"KEYDECK_SANDBOX": "on"}).sandbox == "on"


def test_a_setting_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://keydeck:canary-password@db/keydeck\n")
    settings = load_settings({"KEYDECK_DATABASE_URL_FILE": str(file)})
    assert settings.database_url_text.reveal() == "postgresql+psycopg://keydeck:canary-password@db/keydeck"
    assert "canary-password" not in repr(settings)


@pytest.mark.parametrize("everybody", ["*", "0.0.0.0/0", "::/0", "10.0.0.2,0.0.0.0/0", "proxy", "10.0.0.5/8"])
def test_not_everybody_is_a_proxy(everybody: str) -> None:
    """Whoever is believed about addresses escapes the limits that count by address, and signs the activity of others."""
    with pytest.raises(SettingsError, match="KEYDECK_TRUSTED_PROXIES: Value error, must "):
        load_settings({"KEYDECK_TRUSTED_PROXIES": everybody})
    mended = load_settings({"KEYDECK_TRUSTED_PROXIES": "10.0.0.2, 172.16.0.0/12,::1"})
    assert mended.trusted_proxies == ("10.0.0.2", "172.16.0.0/12", "::1")


def test_a_missing_file_is_named_by_its_setting() -> None:
    with pytest.raises(SettingsError, match="KEYDECK_METRICS_TOKEN_FILE: the file cannot be read"):
        load_settings({"KEYDECK_METRICS_TOKEN_FILE": "/nowhere/at/all"})


def test_an_empty_value_counts_as_not_set() -> None:
    """A compose file hands on `${NAME:-}` as an empty text."""
    assert load_settings({"KEYDECK_DATABASE_URL": "", "KEYDECK_EGRESS": "", "KEYDECK_PORT": ""}) == load_settings({})
    with pytest.raises(SettingsError, match="KEYDECK_SANBOX"):
        load_settings({"KEYDECK_SANBOX": ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROBES", "canary-value"),
        ("CHECK_INTERVAL_SECONDS", "canary-value"),
        ("PUBLIC_URL", "ftp://canary-value/x"),
        ("PORT", "99999"),
    ],
)
def test_a_bad_value_is_refused_without_being_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({f"{PREFIX}{name}": value})
    assert name in str(caught.value)
    assert value not in str(caught.value)


def test_an_exchange_url_must_be_https_beyond_loopback() -> None:
    with pytest.raises(SettingsError, match="https"):
        load_settings({"KEYDECK_EXCHANGE_HTX_URL": "http://htx.example"})
    settings = load_settings({"KEYDECK_EXCHANGE_HTX_URL": "http://127.0.0.1:8100/htx"})
    assert settings.exchange_urls == {"htx": "http://127.0.0.1:8100/htx"}


def test_lists_are_comma_separated() -> None:
    assert load_settings({"KEYDECK_EXCHANGES": " hitbtc, htx "}).exchanges == ("hitbtc", "htx")
    assert load_settings({"KEYDECK_EGRESS": " 203.0.113.10, 2001:db8::10 "}).egress_addresses == ("203.0.113.10", "2001:db8::10")
    assert load_settings({}).egress_addresses == ()


def test_egress_entries_may_name_their_way_and_never_show_its_password(tmp_path: Path) -> None:
    entries = "203.0.113.10,203.0.113.11=10.0.0.11, 203.0.113.12=http://keydeck:hun%2Cter2@proxy:3128"
    (tmp_path / "egress").write_text(entries)
    settings = load_settings({"KEYDECK_EGRESS_FILE": str(tmp_path / "egress")})
    assert [way.name for way in settings.ways] == ["direct", "203.0.113.11", "203.0.113.12"]
    assert settings.ways[2].proxy is not None
    assert settings.ways[2].proxy.password == Secret("hun,ter2")
    assert "ter2" not in f"{settings!r} {settings.model_dump()}"
    with pytest.raises(SettingsError, match="SOCKS is not supported") as refused:
        load_settings({"KEYDECK_EGRESS": "203.0.113.12=socks5://keydeck:hunter2@proxy:1080"})
    assert "hunter2" not in str(refused.value)
    assert [way.name for way in load_settings({}).ways] == ["direct"]


def test_every_setting_is_documented() -> None:
    """docs/operators/settings.md lists each name with its default and the description in the code."""
    page = (ROOT / "docs/operators/settings.md").read_text()
    for name, field in Settings.model_fields.items():
        shown = "EXCHANGE_<SLUG>_URL" if name == "exchange_urls" else name.upper()
        assert f"`{PREFIX}{shown}`" in page, name
        assert field.description
        assert field.description in page, name
