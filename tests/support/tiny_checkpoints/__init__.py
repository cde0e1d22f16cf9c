"""Tiny checkpoints of the real classes with random weights, saved in the standard layouts.

`basic` has one of each generic family and what makes descriptions of models that use them. The
other modules have one builder a class that people run, in `classes.CLASSES` by name: pipelines of
diffusers, captioners, text and image embedding models. Nothing is downloaded; all of them are
built in about a minute. What differs from real checkpoints: a letter is a token (vocabularies
without merges), so templates weigh more; random captioners repeat themselves and hardly look.
"""

from tiny_checkpoints.basic import (
    SIDE,
    TOKENS,
    Checkpoints,
    git,
    llava,
    sentence_bert,
    stable_diffusion,
    vision_encoder_decoder,
    vit,
)

__all__ = [
    "SIDE",
    "TOKENS",
    "Checkpoints",
    "git",
    "llava",
    "sentence_bert",
    "stable_diffusion",
    "vision_encoder_decoder",
    "vit",
]
