"""Whether networks differ: p uniform where they do not, though prompts do, and small where so."""

import numpy as np
import pytest
from scipy.stats import kstest

from panic_hpc.analysis import AnalysisSettings
from panic_hpc.analysis.compared_networks import ComparedNetworks
from panic_hpc.analysis.findings import Findings


def told(rng: np.random.Generator, by: float, networks: int = 3, draws: int = 99) -> Findings:
    """Return what is said of numbers that differ between prompts, and `by` between networks."""
    compared, gathered = ComparedNetworks(), Findings()
    prompts = [f"p{n}" for n in range(8) for _ in range(2)]
    of_prompt = np.repeat(rng.normal(size=8) * 5, 2)
    for network in range(networks):
        values = of_prompt + by * network + rng.normal(size=16)
        compared.add(f"n{network}", values.tolist(), prompts)
    settings = AnalysisSettings(draws=draws, seed=int(rng.integers(2**31)))
    compared.tell("From {least:.1f} to {most:.1f}", "numbers", "1", settings, gathered)
    return gathered


def test_networks_that_differ_are_told_from_those_that_do_not() -> None:
    rng = np.random.default_rng(0)
    differ = told(rng, 3.0)
    assert differ.tests[0].p == 0.01
    assert "which differ (p 0.01" in differ.statements[0].sentence
    alike = told(rng, 0.0)
    assert "do not differ beyond chance" in alike.statements[0].sentence
    assert not told(rng, 0.0, networks=1).statements
    assert not told(rng, 0.0, networks=0).statements


@pytest.mark.long
def test_p_is_uniform_where_networks_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    p = [told(rng, 0.0).tests[0].p - rng.uniform(0, 0.01) for _ in range(150)]
    assert kstest(p, "uniform").pvalue > 0.01
