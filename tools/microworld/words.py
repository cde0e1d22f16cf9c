"""The tokenizers: every word of the controlled English is one token, anything else is spelled."""

from __future__ import annotations

import json

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import BertTokenizer, CLIPTokenizer

from panic_hpc.models.scene.captions import PLURALS
from panic_hpc.models.scene.scenes import BACKGROUNDS, COLOURS, COUNTS, PLACES, SHAPES, SIZES

GLUE = ("there", "is", "are", "at", "in", "on", "the", "a", "and", "background", "of", "picture")
WORDS = tuple(
    sorted({*BACKGROUNDS, *COLOURS, *COUNTS, *PLACES, *SHAPES, *SIZES, *PLURALS.values(), *GLUE})
)
# Of the words, in the order in which the shipped models number them.
LAST_LETTERS = "enadfklmopstwy"
LENGTH = 32
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def merges_of(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return byte-pair merges, in order, after which every word is one piece; always the same.

    The trainer settles ties by the pieces' numbers, and numbers last letters as its hash map yields
    the words, which differs by process; special tokens it numbers in the order given.
    """
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.pre_tokenizer = pre_tokenizers.Whitespace()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=5000,
        min_frequency=1,
        end_of_word_suffix="</w>",
        special_tokens=[*alphabet, *(f"{letter}</w>" for letter in LAST_LETTERS)],
        show_progress=False,
    )
    bpe.train_from_iterator(words, trainer)
    return [tuple(m) for m in json.loads(bpe.to_str())["model"]["merges"]]


def clip_tokenizer() -> CLIPTokenizer:
    """Return a CLIP tokenizer of 32 tokens' length with a complete byte alphabet."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = merges_of(WORDS)
    pieces = [*alphabet, *(a + "</w>" for a in alphabet), *("".join(m) for m in merges), BEGIN, END]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    return CLIPTokenizer(
        vocab=vocabulary,
        merges=merges,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=END,
        unk_token=END,
        model_max_length=LENGTH,
    )


def bert_tokenizer() -> BertTokenizer:
    """Return a word-piece tokenizer of 32 tokens' length that can spell ASCII."""
    letters = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    pieces = [*BERT_SPECIAL, *WORDS, *letters, *("##" + a for a in letters)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    return BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=LENGTH)
