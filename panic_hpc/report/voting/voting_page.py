"""The page on which people vote: one file, which asks nobody for anything, or a server's."""

import base64
import io
from collections.abc import Sequence
from typing import Any

from panic_hpc.errors import AwayError, PanicError, ShardError
from panic_hpc.pictures.stored import pillow_module
from panic_hpc.report.contact_sheet import fitted
from panic_hpc.report.rendering import data_json, render
from panic_hpc.store.format.references import require_there
from panic_hpc.voting.questions import Question, ShownOutput
from panic_hpc.voting.votes import FORMAT, MOST_CHARACTERS, OutputId

PAGE = "vote.html"
TILE = 384
SHARP_TILE = 96
"""Pictures of at most that many pixels a side stay as they are, and are enlarged unsmoothed."""
MOST_TEXT = 4_000
ASKED = "Which is better?"


def voting_page(
    questions: Sequence[Question],
    content_key: str,
    *,
    title: str,
    asked: str = ASKED,
    is_served: bool = False,
) -> bytes:
    """Return the page as HTML: pictures are in it, arms and networks are not.

    Answers are sent to where the page came from where `is_served`; else the page gives them as a
    file. Outputs that cannot be read are left out with their questions; PanicError where none is
    left, ShardError where pictures that a dataset refers to are away.
    """
    outputs = [output for question in questions for output in question.outputs]
    for file in {id(one.dataset): one.dataset.file for one in outputs if one.is_picture}.values():
        require_there(file)
    shown = [told for question in questions if (told := _question(question))]
    if not shown:
        raise PanicError("None of the outputs could be read")
    about = {
        "format": FORMAT,
        "content_key": content_key,
        "questions": shown,
        "served": is_served,
        "most_characters": MOST_CHARACTERS,
    }
    return render(
        PAGE,
        "vote.css",
        ["vote.js"],
        connects=is_served,
        title=title,
        asked=asked,
        is_served=is_served,
        about=data_json(about),
    )


def _question(question: Question) -> dict[str, Any] | None:
    try:
        outputs = [_output(output) for output in question.outputs]
    except AwayError:
        raise
    except ShardError:
        return None
    return {"prompt": question.prompt, "outputs": outputs}


def _output(output: ShownOutput) -> dict[str, Any]:
    of: OutputId = output.of
    told: dict[str, Any] = {"of": of.model_dump()}
    if output.is_picture:
        pixels = output.dataset.image(output.row, of.step)
        is_sharp = max(pixels.shape[:2]) <= SHARP_TILE
        return {**told, "picture": _data_address(pixels, is_sharp), "sharp": is_sharp}
    text = output.dataset.texts(output.row)[of.step]
    return {**told, "text": text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "…"}


def _data_address(pixels: Any, is_sharp: bool) -> str:
    pillow_module()
    stream = io.BytesIO()
    picture = fitted(pixels, max(pixels.shape[:2]) if is_sharp else TILE)
    picture.save(stream, "WEBP", lossless=is_sharp, quality=60 if is_sharp else 85, method=3)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()
