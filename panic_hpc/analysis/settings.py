"""Settings of analyses: checked, and read from a command line."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from panic_hpc.analysis.base import Analysis, AnalysisSettings
from panic_hpc.errors import ConfigError, PanicError
from panic_hpc.validation.problems import explained


def settings_of(analysis: Analysis, given: Mapping[str, Any]) -> AnalysisSettings:
    """Return an analysis' settings with some changed; ConfigError with all that is wrong."""
    try:
        return analysis.settings.model_validate(dict(given))
    except ValidationError as error:
        known = ", ".join(analysis.settings.model_fields)
        raise ConfigError(
            f"The settings of {analysis.name}",
            explained(error, (analysis.name,)),
            hint=f"It has {known}",
        ) from None


def parse_settings(words: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return settings by analysis of words such as `loops.draws=199`; PanicError for others."""
    found: dict[str, dict[str, Any]] = {}
    for word in words:
        place, equals, text = word.partition("=")
        analysis, dot, name = place.partition(".")
        if not (equals and dot and analysis and name):
            raise PanicError(f"{word!r} is no setting", hint="Write --set ANALYSIS.SETTING=VALUE")
        found.setdefault(analysis, {})[name] = _value(text)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
