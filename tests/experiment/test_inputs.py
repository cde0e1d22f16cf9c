"""`inputs = "DIR"`: pictures of people become prompts, and what is wrong with them is told."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from PIL import Image

from panic_hpc.errors import ConfigError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.inputs import read_inputs
from panic_hpc.paths import ExperimentPaths
from panic_hpc.pictures.given import given_picture, read_kept
from panic_hpc.planning import manifest
from panic_hpc.planning.plan import Plan, plan_file

NETWORK = 'networks = [["DummyI2T", "DummyT2I"]]'


def pixels(seed: int, mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def folder(root: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels(seed).save(root / name)
    return root


def planned(root: Path, network: str = NETWORK, more: str = "") -> Plan:
    file = root / "experiment.toml"
    file.write_text(f'inputs = "in"\n{network}\nseeds = [1]\nmax_length = 2\n{more}')
    return plan_file(file, catalogue.load())


def problems(root: Path, **options: str) -> str:
    with pytest.raises(ConfigError) as caught:
        planned(root, **options)
    return "\n".join(caught.value.problems)


def test_a_folder_of_pictures_is_a_prompt_each_in_order_of_names(tmp_path: Path) -> None:
    folder(tmp_path / "in", "b.png", "a.png")
    plan = planned(tmp_path)
    assert [prompt.text for prompt in plan.prompts] == ["", ""]
    digests = [given_picture((tmp_path / "in" / n).read_bytes()).digest for n in ("a.png", "b.png")]
    assert [prompt.pictures for prompt in plan.prompts] == [(("image", d),) for d in digests]


def test_roles_are_folders_and_texts_are_beside_them(tmp_path: Path) -> None:
    folder(tmp_path / "in", "Object/a.png", "Object/b.png", "Mask/a.webp", "Mask/b.png")
    (tmp_path / "in" / "prompts.csv").write_text("name,text,group\nb,a bee,x\na,an ant,x\n")
    prompts = read_inputs(tmp_path / "in")
    assert [(prompt.text, prompt.group) for prompt in prompts] == [("an ant", "x"), ("a bee", "x")]
    assert [[role for role, _ in prompt.pictures] for prompt in prompts] == [["Mask", "Object"]] * 2


def test_a_run_is_known_by_its_pixels_and_not_by_its_file(tmp_path: Path) -> None:
    for place, suffix in ("one", "png"), ("other", "webp"):
        (tmp_path / place / "in").mkdir(parents=True)
        pixels(0).save(tmp_path / place / "in" / f"{place}.{suffix}", lossless=True)
    one, other = (planned(tmp_path / place) for place in ("one", "other"))
    assert one.run(0).key == other.run(0).key
    pixels(1).save(tmp_path / "one" / "in" / "one.png")
    assert planned(tmp_path / "one").run(0).key != other.run(0).key


def test_a_picture_is_stored_upright_and_with_nothing_but_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "where Ada lives"
    stream = io.BytesIO()
    pixels(0).save(stream, "PNG", exif=exif)
    stored = given_picture(stream.getvalue())
    assert (stored.height, stored.width) == (8, 6)
    assert b"Ada" not in stored.content
    turned = np.asarray(pixels(0).transpose(Image.Transpose.ROTATE_270))
    (tmp_path / "x").write_bytes(stored.content)
    assert np.array_equal(read_kept(tmp_path / "x", stored.digest).pixels, turned)


def test_the_plan_keeps_each_picture_once_and_reads_back(tmp_path: Path) -> None:
    folder(tmp_path / "in", "a.png", "b.png")
    plan = planned(tmp_path)
    paths = ExperimentPaths(tmp_path / "EXP")
    written = manifest.write(plan, paths)
    assert len(list(paths.inputs.iterdir())) == 2
    read = manifest.read(paths.root)
    assert read.key == written.key
    assert read.prompts == plan.prompts
    assert [run.key for run in read.runs()] == [run.key for run in plan.runs()]
    assert manifest.write(plan, paths).key == written.key


def test_a_plan_that_was_cut_short_is_written_again(tmp_path: Path) -> None:
    folder(tmp_path / "in", "a.png")
    plan, paths = planned(tmp_path), ExperimentPaths(tmp_path / "EXP")
    manifest.write(plan, paths)
    paths.manifest.unlink()
    manifest.write(plan, paths)
    assert manifest.read(paths.root).prompts == plan.prompts


def _no_picture(root: Path) -> None:
    (root / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnot at all")


def _transparent(root: Path) -> None:
    pixels(0, "RGBA").save(root / "a.png")


def _of_16_bits(root: Path) -> None:
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(root / "a.png")


def _of_16_bits_in_colour(root: Path) -> None:
    rows = b"".join(b"\0" + bytes(range(24)) for _ in range(4))
    head = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    (root / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def _of_a_camera(root: Path) -> None:
    pixels(0).save(root / "a.jpg", "MPO", save_all=True, append_images=[pixels(1)])


def _vast(root: Path) -> None:
    Image.new("RGB", (16_000, 5_000)).save(root / "a.webp", lossless=True, quality=0, method=0)


def _animated(root: Path) -> None:
    pixels(0).save(root / "a.webp", save_all=True, append_images=[pixels(1)])


def _lacking(root: Path) -> None:
    folder(root, "Object/a.png", "Object/b.png", "Mask/a.png")


def _mixed(root: Path) -> None:
    folder(root, "a.png", "Mask/a.png")


def _other(root: Path) -> None:
    folder(root, "a.png")
    (root / "a.txt").write_text("an apple")


def _twice(root: Path) -> None:
    folder(root, "a.png", "a.webp")


def _same(root: Path) -> None:
    for name in ("a.png", "b.png"):
        pixels(0).save(root / name)


def _silent(root: Path) -> None:
    folder(root, "a.png", "b.png")
    (root / "prompts.csv").write_text("name,text\na,an apple\nc,a cherry\n")


def _empty(root: Path) -> None:
    """Leave the folder as it is."""


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_no_picture, "a.png: it is no PNG, JPEG, WebP or AVIF"),
        (_transparent, "a.png: its pixels are RGBA"),
        (_of_16_bits, "a.png: its colours have more than 8 bits"),
        (_of_16_bits_in_colour, "a.png: its colours have more than 8 bits"),
        (_of_a_camera, "a.jpg: it holds several pictures; save the first alone"),
        (_vast, "a.webp: 16000 by 5000 pixels"),
        (_animated, "a.webp: it is animated"),
        (_lacking, "role Mask has no picture of b"),
        (_mixed, "a.png lies beside folders of roles (Mask)"),
        (_other, "a.txt: no picture"),
        (_twice, "a.png and a.webp: two files of one name"),
        (_same, "'' with the same pictures"),
        (_silent, "no picture of c"),
        (_silent, "no text of b"),
        (_empty, "no picture in it"),
    ],
)
def test_what_is_wrong_with_a_folder_is_told(tmp_path: Path, spoil: Any, told: str) -> None:
    (tmp_path / "in").mkdir()
    spoil(tmp_path / "in")
    assert told in problems(tmp_path)


@pytest.mark.parametrize(("pixels_as", "is_deep"), [("yuv420p", False), ("yuv420p10le", True)])
def test_an_avif_of_ten_bits_is_refused_and_one_of_eight_is_not(
    tmp_path: Path, pixels_as: str, is_deep: bool
) -> None:
    av = needs.library("av", "video")
    path = tmp_path / "a.avif"
    with av.open(str(path), "w", format="avif") as container:
        stream = container.add_stream("libsvtav1", rate=1)
        stream.width = stream.height = 64
        stream.pix_fmt = pixels_as
        frame = av.VideoFrame.from_image(pixels(0).resize((64, 64))).reformat(format=pixels_as)
        container.mux([*stream.encode(frame), *stream.encode()])
    content = path.read_bytes()
    if is_deep:
        with pytest.raises(ValueError, match="more than 8 bits"):
            given_picture(content)
    else:
        assert given_picture(content).height == 64


def test_a_folder_that_is_not_there_and_two_sources_of_prompts_are_told(tmp_path: Path) -> None:
    assert problems(tmp_path) == "inputs = 'in': does not exist"
    folder(tmp_path / "in", "a.png")
    assert "inputs and prompts: only one" in problems(tmp_path, more='prompts = ["a"]')


def test_a_network_is_refused_where_prompts_lack_what_it_begins_with(tmp_path: Path) -> None:
    folder(tmp_path / "in", "Object/a.png", "Mask/a.png")
    told = problems(tmp_path)
    assert "prompts have pictures of Mask and Object" in told
    told = problems(tmp_path, network='networks = [["DummyT2I", "DummyI2T"]]')
    assert "DummyT2I reads the text of prompts, and 1 of 1 have none" in told
    edit = '[models.E]\nbase = "MicroEdit"\nimage = "Objekt"\n'
    told = problems(tmp_path, network='networks = [["E"]]', more=edit)
    assert 'image = "Objekt": no such role; inputs has Mask and Object' in told
    judged = 'metrics = ["SSIM"]\n[models.SSIM]\nagainst = "role:Maks"\n'
    told = problems(tmp_path, network='networks = [["Given"]]', more=judged)
    assert 'against = "role:Maks": no such role; inputs has Mask and Object' in told


def test_every_name_that_a_role_lacks_is_told(tmp_path: Path) -> None:
    objects = [f"Object/{k}.png" for k in range(10)]
    masks = [f"Mask/{k}.png" for k in range(10) if k not in (7, 9)]
    folder(tmp_path / "in", *objects, *masks)
    assert "role Mask has no picture of 7, 9, which other roles have" in problems(tmp_path)


def test_pictures_need_inputs(tmp_path: Path) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text(f'prompts = ["a"]\n{NETWORK}\nseeds = [1]\nmax_length = 2\n')
    with pytest.raises(ConfigError, match='pictures come by inputs = "FOLDER"'):
        plan_file(file, catalogue.load())
