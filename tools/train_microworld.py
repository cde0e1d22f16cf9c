"""Train the models of the built-in micro-world, and publish them into the package.

    python tools/train_microworld.py train --out DIR [PART ...]    all parts, or those named
    python tools/train_microworld.py publish --out DIR             copies in half precision

Every part resumes from its checkpoint in DIR. Parts in order: autoencoder, MicroVerbose,
MicroTerse, towers, MicroDiffusion, MicroTurbo, MicroScale; captioners need none of the others,
MicroScale a published MicroDiffusion, the rest the autoencoder only (towers not before two thirds
of their steps), so they may train side by side.
`tools/measure_microworld.py` says how good the results are.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch
from microworld import autoencoder, captioners, diffusion, pictures, publishing, scales, towers

PARTS = (
    "autoencoder",
    "MicroVerbose",
    "MicroTerse",
    "towers",
    "MicroDiffusion",
    "MicroTurbo",
    "MicroScale",
)
CAPTIONERS = {recipe.name: recipe for recipe in (captioners.TERSE, captioners.VERBOSE)}
PAINTERS = {recipe.name: recipe for recipe in (diffusion.DIFFUSION, diffusion.TURBO)}


def train(part: str, out: Path) -> None:
    """Train one part, or finish training it."""
    checkpoints, weights = out / "checkpoints", out / "weights"
    if part in CAPTIONERS:
        captioners.train(CAPTIONERS[part], checkpoints, weights)
    elif part == scales.NAME:
        scales.train(checkpoints, weights)
    elif part == "towers":
        bank = pictures.Bank(lambda: autoencoder.train(checkpoints), checkpoints)
        towers.train(bank, checkpoints, weights)
    else:
        vae = autoencoder.train(checkpoints)
        if part in PAINTERS:
            diffusion.train(PAINTERS[part], vae, checkpoints, weights)


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("train", "publish"):
        command = verbs.add_parser(verb)
        command.add_argument(
            "--out", type=Path, required=True, help="where checkpoints and weights lie"
        )
    verbs.choices["train"].add_argument("parts", nargs="*", metavar="PART")
    verbs.choices["train"].add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    if unknown := set(getattr(chosen, "parts", ())) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    return chosen


if __name__ == "__main__":
    chosen = arguments()
    if chosen.verb == "publish":
        publishing.publish(chosen.out / "weights")
    else:
        torch.set_num_threads(chosen.threads)
        for name in chosen.parts or PARTS:
            train(name, chosen.out)
