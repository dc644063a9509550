"""Finds the adapters at start-up, loudly: file name equals slug, exactly one adapter class per file."""

import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from datetime import datetime
from types import ModuleType

from app.exchanges import adapters
from app.exchanges.adapter import AdapterContext, ExchangeAdapter
from app.exchanges.clock_offset import ClockOffset
from app.exchanges.health import RestingSite, SiteHealth, describe_rest, describe_site
from app.exchanges.http import ExchangeHttp, find_origin
from app.exchanges.traffic import Lane
from app.exchanges.turns import KeyTurn, KeyTurns, Sleep
from app.exchanges.types import Environment, Exchange, ProbePolicy, Secrets, Site


class RegistryError(Exception):
    """An adapter file that does not keep the rules; Keydeck refuses to start."""


def find_adapters(package: ModuleType = adapters) -> dict[str, type[ExchangeAdapter]]:
    """Return every adapter by slug, sorted by slug. Raises RegistryError with the file's name."""
    found: dict[str, type[ExchangeAdapter]] = {}
    for module_info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        try:
            module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        except Exception as error:
            raise RegistryError(f"{module_info.name}: cannot be imported ({type(error).__name__}: {error})") from error
        kinds = _list_kinds(module)
        if len(kinds) != 1:
            raise RegistryError(f"{module_info.name}: expected one adapter class, found {len(kinds)}")
        if kinds[0].exchange.slug != module_info.name:
            raise RegistryError(f"{module_info.name}: the adapter's slug is {kinds[0].exchange.slug}")
        found[module_info.name] = kinds[0]
    _refuse_shared_names(found)
    return found


def _list_kinds(module: ModuleType) -> list[type[ExchangeAdapter]]:
    return [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, ExchangeAdapter)
        and f"{kind.__module__}.".startswith(f"{module.__name__}.")
        and not inspect.isabstract(kind)
    ]


def _refuse_shared_names(found: Mapping[str, type[ExchangeAdapter]]) -> None:
    owners = dict.fromkeys(found, "")
    for slug, kind in found.items():
        for alias in kind.exchange.aliases:
            if alias in owners:
                raise RegistryError(f"{slug}: the alias {alias} belongs to {owners[alias] or alias} already")
            owners[alias] = slug


class Exchanges:
    """The exchanges this instance offers, and the door to their adapters.

    `sandbox_url` is the base under which the sandbox plays each exchange (`{sandbox_url}/{slug}`), None when it is
    off; `urls` overrides the live base URL per slug; `allowed` limits the slugs or aliases on offer (None: all).
    `ways` are the further ways out by name, for credentials that are pinned to one; `http` is the default way.
    """

    def __init__(
        self,
        *,
        http: ExchangeHttp,
        clock: Callable[[], datetime],
        probes: ProbePolicy,
        sandbox_url: str | None = None,
        urls: Mapping[str, str] | None = None,
        allowed: frozenset[str] | None = None,
        kinds: Mapping[str, type[ExchangeAdapter]] | None = None,
        sleep: Sleep = asyncio.sleep,
        ways: Mapping[str, ExchangeHttp] | None = None,
    ) -> None:
        self._http = http
        self._ways = {http.way: http, **(ways or {})}
        self._clock = clock
        self._probes = probes
        self._sandbox_url = sandbox_url
        self._urls = dict(urls or {})
        every = find_adapters() if kinds is None else dict(kinds)
        self._kinds = {slug: kind for slug, kind in every.items() if allowed is None or allowed & {slug, *kind.exchange.aliases}}
        self._turns = KeyTurns(sleep=sleep)
        self._offsets: dict[str, ClockOffset] = {}

    @property
    def ways(self) -> tuple[str, ...]:
        """The names of the ways out, the default one first."""
        return tuple(self._ways)

    def list_all(self) -> list[Exchange]:
        """Return the exchanges on offer, sorted by name."""
        return sorted((kind.exchange for kind in self._kinds.values()), key=lambda exchange: exchange.name.lower())

    def get(self, slug: str) -> Exchange | None:
        """Return the exchange for a slug or alias; None when it is not on offer."""
        for kind in self._kinds.values():
            if slug == kind.exchange.slug or slug in kind.exchange.aliases:
                return kind.exchange
        return None

    def list_environments(self, slug: str) -> list[Environment]:
        """Return the environments a key of this exchange may belong to, live first."""
        exchange = self.get(slug)
        if exchange is None:
            return []
        own = [site.environment for site in exchange.sites]
        return own + ([Environment.SANDBOX] if self._sandbox_url else [])

    def site(self, slug: str, environment: Environment) -> Site | None:
        """Return the site to talk to: the sandbox's, the operator's override, or the exchange's own."""
        exchange = self.get(slug)
        if exchange is None or environment not in self.list_environments(slug):
            return None
        if environment is Environment.SANDBOX:
            return Site(environment, f"{self._sandbox_url}/{exchange.slug}", "", "Keydeck sandbox")
        site = exchange.site(environment)
        override = self._urls.get(exchange.slug)
        if site is not None and override and environment is Environment.LIVE:
            return Site(environment, override.rstrip("/"), site.keys_url, site.name)
        return site

    def open(
        self, slug: str, environment: Environment, secrets: Secrets, *, key_id: str, way: str | None = None
    ) -> ExchangeAdapter:
        """Return an adapter for one credential. `key_id` (a fingerprint) names the turn of one-at-a-time exchanges.

        Calls leave by `way`, or by the default way where it is None or not known. Raises KeyError when the exchange or
        environment is not on offer.
        """
        site = self.site(slug, environment)
        exchange = self.get(slug)
        if site is None or exchange is None:
            raise KeyError(slug)
        http = self._http if way is None else self._ways.get(way, self._http)
        kind = self._kinds[exchange.slug]
        keeper = None if http.is_in_process(find_origin(site.api_url)) else http.traffic
        is_kept = exchange.one_call_at_a_time or (keeper is not None and any(call.calls_per_second for call in kind.calls))
        turn = self._turns.get(f"{exchange.slug}/{key_id}", keeper=keeper) if is_kept else KeyTurn()
        offset = self._get_offset(site)
        return kind(AdapterContext(secrets, environment, site.api_url, http, self._clock, self._probes, turn, offset))

    def describe_health(self) -> list[SiteHealth]:
        """Return how each site does that is reached over the network, by exchange name, live first, one for each way out.

        It is what this process knows; `list_resting` asks all of them.
        """
        now = self._clock()
        found = []
        for exchange, site in self._list_sites():
            for http in self._ways.values():
                health = {origin.origin: origin for origin in http.describe_health()}.get(find_origin(site.api_url))
                if health is not None:
                    ahead = self._get_offset(site).ahead_seconds
                    found.append(describe_site(health, slug=exchange.slug, site=site, way=http.way, now=now, ahead_seconds=ahead))
        return found

    async def list_resting(self) -> list[RestingSite]:
        """Return the sites that do not answer and therefore rest, over all processes."""
        rests = await self._http.traffic.list_rests()
        now = self._clock()
        return [
            resting
            for exchange, site in self._list_sites()
            for way in self._ways
            if (reading := rests.get(Lane(way, find_origin(site.api_url)))) is not None
            and (resting := describe_rest(reading, slug=exchange.slug, environment=site.environment, way=way, now=now))
            is not None
        ]

    def _list_sites(self) -> list[tuple[Exchange, Site]]:
        return [
            (exchange, site)
            for exchange in self.list_all()
            for environment in self.list_environments(exchange.slug)
            if (site := self.site(exchange.slug, environment)) is not None
        ]

    def _get_offset(self, site: Site) -> ClockOffset:
        return self._offsets.setdefault(site.api_url, ClockOffset(monotonic=self._http.monotonic))


def list_origins(
    kinds: Mapping[str, type[ExchangeAdapter]], *, urls: Mapping[str, str] | None = None, sandbox_url: str | None = None
) -> frozenset[str]:
    """Return every origin (scheme://host[:port]) that adapters may call: code constants and the operator's overrides."""
    every = [site.api_url for kind in kinds.values() for site in kind.exchange.sites]
    every += list((urls or {}).values())
    if sandbox_url:
        every.append(sandbox_url)
    return frozenset(find_origin(url) for url in every)
