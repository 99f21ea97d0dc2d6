"""What all tests share: golden files, and a cache of their own."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew instead of comparing")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of files that earlier versions wrote, which must still load."""
    return Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads the developer's passphrase or writes into the developer's cache."""
    monkeypatch.delenv("SPELLWARD_PASSPHRASE", raising=False)
    monkeypatch.setenv("SPELLWARD_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
