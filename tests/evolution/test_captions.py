"""Founders out of captions: whole words of the vocabulary, and nobody out of nothing."""

from panic_hpc.evolution.captions import founders_of
from panic_hpc.evolution.genome import Chromosome

THINGS = Chromosome(name="things", loci=("red_fox", "fox", "cat", "on a hill"))
SIZE = Chromosome(name="size", loci=("cat",), settings={"none": {"M.s": 1}, "cat": {"M.s": 2}})


def test_a_locus_is_on_where_its_words_stand_in_the_text() -> None:
    texts = ["A Red fox, on a hill.", "foxes and category", "a cat", "a cat", "red  fox"]
    found = founders_of(texts, [THINGS, SIZE])
    assert [one.copies["things"] for one in found] == [
        (("red_fox", "fox", "on a hill"),), (("cat",),), (("red_fox", "fox"),),
    ]  # fmt: skip
    assert all(one.copies["size"] == ((),) for one in found)
    assert [one.id for one in found] == ["founder-000", "founder-001", "founder-002"]


def test_texts_without_a_word_of_it_make_nobody() -> None:
    assert founders_of(["", "nothing"], [THINGS]) == ()
