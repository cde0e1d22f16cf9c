"""Do networks differ in a number of their runs, or is the most extreme one extreme by chance?"""

from collections.abc import Sequence

import numpy as np

from panic_hpc.analysis.base import AnalysisSettings
from panic_hpc.analysis.estimators.variance.permutations import compare_groups
from panic_hpc.analysis.findings import Findings
from panic_hpc.analysis.results import HypothesisTest, Statement
from panic_hpc.errors import AnalysisError


class ComparedNetworks:
    """A number of each run, with its network and prompt, gathered network by network."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._networks: list[str] = []
        self._prompts: list[str] = []

    def add(self, network: str, values: Sequence[float], prompts: Sequence[str]) -> None:
        """Take note of a network's runs."""
        self._values += values
        self._networks += [network] * len(values)
        self._prompts += prompts

    def tell(
        self, sentence: str, family: str, unit: str, settings: AnalysisSettings, gathered: Findings
    ) -> None:
        """Say how far means of networks reach, and whether they differ; nothing of one network.

        `sentence` has fields `least` and `most`. Runs are exchanged among networks within prompts,
        where they could be if networks did not matter.
        """
        if len(set(self._networks)) < 2:
            return
        codes = np.unique(self._networks, return_inverse=True)[1]
        means = np.bincount(codes, self._values) / np.bincount(codes)
        said = sentence.format(least=min(means), most=max(means))
        differ = ""
        with gathered.part(f"whether networks differ in {family}"):
            differ = self._tested(family, settings, gathered)
        gathered.statements.insert(
            0,
            Statement(
                "", f"{said}, in the mean of {len(means)} networks{differ}",
                float(np.mean(means)), unit=unit, n=len(set(self._prompts)), replication="prompts",
            ),
        )  # fmt: skip

    def _tested(self, family: str, settings: AnalysisSettings, gathered: Findings) -> str:
        if np.ptp(self._values) == 0:
            raise AnalysisError("all runs have the same")
        found = compare_groups(
            self._values, self._networks, strata=self._prompts,
            permutations=settings.draws, seed=settings.seed,
        ).f2  # fmt: skip
        null = "runs of a prompt could be exchanged among networks"
        gathered.tests.append(
            HypothesisTest(
                family, "networks", null, found.statistic, found.p, found.n_units, "runs",
                found.permutations,
            )
        )  # fmt: skip
        verb = "differ" if found.p < 1 - settings.level else "do not differ beyond chance"
        return f", which {verb} (p {found.p:.3g}, runs exchanged within prompts)"
