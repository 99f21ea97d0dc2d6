from __future__ import annotations

import pytest

import spellward


@pytest.mark.parametrize("name", spellward.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(spellward, name).__name__ == name
    assert name in dir(spellward)


def test_the_version_is_that_of_the_package() -> None:
    assert spellward.__version__.count(".") == 2


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'spell'"):
        _ = spellward.spell
