"""How the bundled editor was made; nothing here is needed to use it (extra `editor`)."""
