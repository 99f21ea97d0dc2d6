"""Pages from the templates of this folder."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def fill_in(template: str, **values: Any) -> str:
    """Fills in a template, such as "lock_report"; everything is escaped, and a value that is missing is an error."""
    loader = PackageLoader("spellward.reports", ".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template(f"{template}.html.j2").render(**values)
