"""What to try next: optuna asked, and told, anew for each round.

The study is made of what rounds before gave and lives as long as a question: no file of optuna's
has to survive, and a round that is asked for again is the same one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from panic_hpc.keys import hash_seed
from panic_hpc.search.rounds import Settings
from panic_hpc.search.search_file import Search, SearchAxis

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

FEWEST_BEFORE = 8
"""Trials that are drawn at random before the estimator is believed."""

Told = Sequence[tuple[Settings, float | None]]


def next_trials(search: Search, number: int, before: Told) -> list[dict[str, Any]]:
    """Return the settings that round `number` tries, from trials before and their values."""
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {name: _distribution(axis) for name, axis in search.space.items()}
    study = optuna.create_study(
        direction="maximize" if search.maximise else "minimize", sampler=_sampler(search, number)
    )
    for settings, value in before:
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        study.add_trial(
            optuna.trial.create_trial(
                state=state, params=dict(settings), distributions=space, value=value
            )
        )
    # Asked together, and so without knowing of each other but for the places that are taken.
    return [dict(study.ask(space).params) for _ in range(search.trials)]


def _sampler(search: Search, number: int) -> "BaseSampler":
    from optuna.samplers import RandomSampler, TPESampler

    seed = hash_seed("search", search.seed, number)
    if search.sampler == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=FEWEST_BEFORE)


def _distribution(axis: SearchAxis) -> "BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if axis.choices:
        return CategoricalDistribution(axis.choices)
    low, high = axis.low or 0, axis.high or 0
    if axis.is_whole:
        return IntDistribution(int(low), int(high), log=axis.log, step=int(axis.step) or 1)
    return FloatDistribution(float(low), float(high), log=axis.log, step=axis.step or None)
