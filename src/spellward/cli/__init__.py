"""The command `spellward`: one file per command or group, and a command is one call of the Python API."""
