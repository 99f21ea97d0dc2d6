"""What all tests share: golden files, a cache of their own, and a short way to decoys."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spellward.locking.training import nearness


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


@dataclass
class FarHub:
    """A Hub out of reach: what stands for asking it, and what was logged."""

    said: list[logging.LogRecord]

    def ask(self, *_: object, **__: object) -> None:
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s [Retry 1/5].")
        raise OSError("no route to host")


@pytest.fixture
def far_hub(monkeypatch: pytest.MonkeyPatch) -> FarHub:
    hub, handler = FarHub([]), logging.Handler()
    monkeypatch.setattr(handler, "emit", hub.said.append)
    monkeypatch.setattr(logging.getLogger("huggingface_hub"), "handlers", [handler])
    return hub


@pytest.fixture(scope="session", autouse=True)
def _few_images_to_look_at() -> Iterator[None]:
    """Decoys are chosen by what wrong keys do to a few images, which takes longer than a tiny lock; fewer will do."""
    patch = pytest.MonkeyPatch()
    patch.setattr(nearness, "_IMAGES", 2)
    yield
    patch.undo()
