"""Votes as a measure of runs: planted outcomes come out of `compare`; what lacks is said."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from little_experiment import run_command

from panic_hpc.analysis.comparing.arms import arms_of
from panic_hpc.analysis.comparing.comparison import compare
from panic_hpc.errors import PanicError
from panic_hpc.store.dataset.dataset import open_dataset
from panic_hpc.voting.folder import import_votes, votes_folder
from panic_hpc.voting.run_votes import measured_votes
from panic_hpc.voting.votes import Like, OutputId, Preference, Vote, VotesFile


@pytest.fixture
def path(voted_path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(voted_path, tmp_path / "D.h5"))


def vote_on(path: Path) -> None:
    """Prefer the second network on the first six of eight prompts of seed 1, say neither on two."""
    with open_dataset(path) as dataset:
        one, other = arms_of([dataset])
        keys = [bytes(key).decode() for key in dataset.file.array("runs/key")]
    votes: list[Vote] = []
    pairs = [pair for pair in one.rows if pair.seed == 1]
    for number, pair in enumerate(pairs):
        a, b = (OutputId(run=keys[arm.rows[pair]], step=0) for arm in (one, other))
        better = "other" if number < 6 else "neither"
        votes.append(
            Preference.model_validate(
                {"voter": "Ada", "at": float(number), "one": a, "other": b, "better": better}
            )
        )
        votes.append(Like(voter="Ada", at=float(number), of=a, likes=number < 2))
    sent = VotesFile(format="panic_hpc votes 1", content_key="c" * 32, votes=tuple(votes))
    import_votes(votes_folder(path), sent)


def test_planted_preferences_are_the_difference(path: Path) -> None:
    vote_on(path)
    with open_dataset(path) as dataset:
        arms = arms_of([dataset])
        found = compare(arms, arms[0], "votes", more=measured_votes)
        first, second = found.arms
        assert (first.mean, second.mean) == (0.125, 0.875)
        assert second.difference is not None
        assert second.difference.mean == 0.75
        assert second.difference.n_units == 8
        # Six prompts of eight, all one way: 2 of 2 ** 6 flips are as far.
        assert second.difference.p == pytest.approx(2 / 2**6, abs=0.01)
        assert second.n_without == 8
        likes = measured_votes(dataset, "votes.likes")
        assert likes is not None
        assert np.nansum(likes.values) == 2
        assert measured_votes(dataset, "steps") is None
    told = run_command("compare", path, "-m", "votes")
    assert "8 of 16 runs have no value" in told
    assert "intervals over voters too" in told
    assert "votes.likes" in run_command("compare", path)


def test_without_votes_it_says_how_to_ask(path: Path) -> None:
    with open_dataset(path) as dataset, pytest.raises(PanicError, match="no votes on") as raised:
        measured_votes(dataset, "votes")
    assert "panic-hpc vote" in raised.value.hint
