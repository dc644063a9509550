"""The workbench of credential tests."""

from typing import Any

import pytest

from tests.credentials.bench import Bench


@pytest.fixture
async def bench(app: Any) -> Bench:
    return await Bench.open(app)
