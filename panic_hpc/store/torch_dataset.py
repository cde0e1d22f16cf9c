"""Trajectories as a torch Dataset: the store's door to torch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from panic_hpc.store.dataset import Dataset, Run


class Trajectories(torch.utils.data.Dataset):  # type: ignore[misc]
    """Item i is (trajectory (T, D) float32, row of the run) of the i-th run chosen.

    Trajectories differ in length; `collate` makes padded batches of them for a DataLoader.
    """

    def __init__(self, dataset: "Dataset", model: str, runs: "Sequence[Run] | None" = None) -> None:
        """Choose the model and, unless all are wanted, the runs."""
        self.dataset = dataset
        self.model = model
        chosen = range(dataset.n_runs) if runs is None else runs
        self.rows = [dataset.row(run) for run in chosen]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> tuple[torch.Tensor, int]:
        row = self.rows[item]
        return torch.from_numpy(self.dataset.trajectory(row, self.model)), row

    @staticmethod
    def collate(
        items: Sequence[tuple[torch.Tensor, int]],
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return (B, T, D) trajectories padded with zeros, (B,) their lengths, (B,) their rows."""
        trajectories = [trajectory for trajectory, _ in items]
        padded = torch.nn.utils.rnn.pad_sequence(trajectories, batch_first=True)
        lengths = torch.tensor([len(trajectory) for trajectory in trajectories])
        return padded, lengths, torch.tensor([row for _, row in items])
