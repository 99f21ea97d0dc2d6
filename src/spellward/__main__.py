"""`python -m spellward`, which is the command `spellward`."""

from __future__ import annotations

from spellward.cli.main import main

if __name__ == "__main__":
    main()
