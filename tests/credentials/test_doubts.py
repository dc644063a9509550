"""Where an exchange gives one answer for several reasons, the words name them all instead of blaming one."""

import pytest

from app.credentials.problem_words import DOUBTS
from app.credentials.problems import Circumstances, advise, support_reply
from app.exchanges.registry import find_adapters

DOUBTFUL = [(slug, code) for slug, kind in find_adapters().items() for code in sorted(kind.exchange.doubtful_codes)]


@pytest.mark.parametrize(("slug", "code"), DOUBTFUL)
def test_every_reason_is_named(slug: str, code: str) -> None:
    exchange = find_adapters()[slug].exchange
    advice = advise(code, exchange=exchange, about=Circumstances(egress=("203.0.113.10",)))
    assert code in DOUBTS
    for reason in ("switched off", "no right to read", "203.0.113.10"):
        assert reason in advice.remedy
    assert "switched off" in support_reply(code, exchange=exchange)


def test_an_exchange_that_tells_is_believed() -> None:
    advice = advise("ip_not_allowed", exchange=find_adapters()["htx"].exchange, about=Circumstances(seen_ip="203.0.113.10"))
    assert "three reasons" not in advice.remedy
    assert advice.copy == "203.0.113.10"
