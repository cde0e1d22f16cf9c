"""Trajectories for torch: the store's door to it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset, Run


class Trajectories:
    """A map-style torch Dataset: item i is (trajectory (T, D) float32 tensor, row of the run).

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

    def __getitem__(self, item: int) -> tuple[Any, int]:
        import torch

        row = self.rows[item]
        # Shares its memory, which is safe: the array was read for this call.
        return torch.from_numpy(self.dataset.trajectory(row, self.model)), row

    @staticmethod
    def collate(items: Sequence[tuple[Any, int]]) -> tuple[Any, Any, Any]:
        """Return (B, T, D) trajectories padded with zeros, (B,) their lengths, (B,) their rows."""
        import torch

        trajectories = [trajectory for trajectory, _ in items]
        padded = torch.nn.utils.rnn.pad_sequence(trajectories, batch_first=True)
        lengths = torch.tensor([len(trajectory) for trajectory in trajectories])
        return padded, lengths, torch.tensor([row for _, row in items])
