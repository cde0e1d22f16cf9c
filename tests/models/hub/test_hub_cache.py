"""What of a model is in the hub's cache, told by names and heads of files alone."""

import json
import shutil
from pathlib import Path

import pytest

from panic_hpc.errors import ModelError
from panic_hpc.models import builtin
from panic_hpc.models.folder_digest import folder_digest
from panic_hpc.models.hub import cache as hub_cache
from panic_hpc.models.hub.lock import LockedFile, LockedModel
from panic_hpc.models.hub.repository_files import files_read, weights_problem
from panic_hpc.models.weights import find_weights
from panic_hpc.types import ModelSpec

COMMIT = "0" * 40
TURBO = Path(builtin.__file__).with_name("microworld") / "MicroTurbo"
TERSE = Path(builtin.__file__).with_name("microworld") / "MicroTerse"


def spec(repository: str = "me/turbo", revision: str = COMMIT, **settings: object) -> ModelSpec:
    return ModelSpec("Turbo", "diffusers", "text", "image", repository, revision, "", 1, settings)


def filled(cache: Path, folder: Path = TURBO, repository: str = "me/turbo") -> Path:
    """Copy a folder into `cache` as a snapshot; return it."""
    snapshot = hub_cache.snapshot_folder(repository, COMMIT, cache)
    shutil.copytree(folder, snapshot)
    return snapshot


def recorded(cache: Path, snapshot: Path) -> None:
    """Write down the files of a snapshot, as a fetch does before it brings them."""
    paths = [path for path in snapshot.rglob("*") if path.is_file()]
    digest = "sha256:" + "0" * 64
    files = tuple(
        LockedFile(name=str(p.relative_to(snapshot)), size=p.stat().st_size, digest=digest)
        for p in paths
    )
    about = {"repository": "me/turbo", "ref": "", "revision": COMMIT, "date": "", "licence": ""}
    hub_cache.record(LockedModel(**about, gated=False, files=files), cache)


def test_the_cache_is_where_the_hub_looks_for_it() -> None:
    assert hub_cache.cache_directory({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}) == Path("/a")
    assert hub_cache.cache_directory({"HF_HOME": "/b", "XDG_CACHE_HOME": "/c"}) == Path("/b/hub")
    assert hub_cache.cache_directory({"XDG_CACHE_HOME": "/c"}) == Path("/c/huggingface/hub")
    assert hub_cache.cache_directory({"HUGGINGFACE_HUB_CACHE": "/d"}) == Path("/d")
    assert hub_cache.cache_directory({"HF_HOME": "~/e"}) == Path.home() / "e" / "hub"


def test_a_model_is_missing_unless_its_very_revision_is_there(tmp_path: Path) -> None:
    filled(tmp_path)
    other, unknown = spec(revision="1" * 40), spec(revision="")
    local = spec(repository="", revision="sha256:00")
    assert hub_cache.missing([spec(), other, unknown, local], tmp_path) == [other, unknown]


def test_a_configuration_alone_is_no_model(tmp_path: Path) -> None:
    """What an interrupted fetch leaves, and was once taken for the whole."""
    snapshot = hub_cache.snapshot_folder("me/turbo", COMMIT, tmp_path)
    (snapshot / "unet").mkdir(parents=True)
    (snapshot / "unet" / "config.json").write_text("{}")
    assert hub_cache.missing([spec()], tmp_path) == [spec()]


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("unet/diffusion_pytorch_model.safetensors", "unet/has no weights"),
        ("unet/config.json", "unet/ has no configuration"),
        ("scheduler/scheduler_config.json", "scheduler/ has no configuration"),
        ("model_index.json", "config.json is missing"),
    ],
)
def test_a_part_that_is_not_there_is_named_without_a_list_of_files(
    tmp_path: Path, file: str, problem: str
) -> None:
    (filled(tmp_path) / file).unlink()
    assert any(problem in line for line in hub_cache.problems(spec(), tmp_path))


def test_with_a_list_of_files_every_one_that_is_read_must_be_there(tmp_path: Path) -> None:
    snapshot = filled(tmp_path)
    (snapshot / "README.md").write_text("never read")
    (snapshot / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"never read")
    recorded(tmp_path, snapshot)
    (snapshot / "README.md").unlink()
    (snapshot / "unet" / "diffusion_pytorch_model.bin").unlink()
    assert hub_cache.is_cached(spec(), tmp_path)
    (snapshot / "tokenizer" / "tokenizer.json").unlink()
    assert hub_cache.problems(spec(), tmp_path) == ["tokenizer/tokenizer.json is missing"]
    (snapshot / "model_index.json").unlink()
    assert hub_cache.problems(spec(), tmp_path) == ["model_index.json is missing"]


def test_a_dangling_link_of_a_purged_cache_is_missing(tmp_path: Path) -> None:
    weights = filled(tmp_path) / "vae" / "diffusion_pytorch_model.safetensors"
    weights.unlink()
    weights.symlink_to(tmp_path / "purged")
    assert hub_cache.missing([spec()], tmp_path) == [spec()]


def test_pieces_that_an_index_names_must_all_be_there(tmp_path: Path) -> None:
    snapshot = filled(tmp_path, TERSE)
    whole = snapshot / "model.safetensors"
    for piece in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        shutil.copy(whole, snapshot / piece)
    whole.unlink()
    pieces = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps({"weight_map": pieces}))
    assert hub_cache.is_cached(spec(), tmp_path)
    (snapshot / "model-00002-of-00002.safetensors").unlink()
    (problem,) = hub_cache.problems(spec(), tmp_path)
    assert problem == "model-00002-of-00002.safetensors is missing"


def test_weights_that_are_none_are_told_from_the_head_of_the_file(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    whole = (TERSE / "model.safetensors").read_bytes()
    for content, problem in (
        (whole, ""),
        (whole[:-1], "is cut off"),
        (whole[:100], "cut off in its head"),
        (whole + b"x", "has a tail"),
        (b"", "no file of safetensors"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "git-lfs"),
        (b"\xff" * 64, "no file of safetensors"),
        ((16).to_bytes(8, "little") + b'{"a": [1, 2, 3]}', "no file of safetensors"),
    ):
        weights.write_bytes(content)
        assert problem in weights_problem(weights)
        assert bool(problem) == bool(weights_problem(weights))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "is a pointer of git-lfs"),
        ((TURBO / "vae" / "diffusion_pytorch_model.safetensors").read_bytes()[:-9], "is cut off"),
    ],
    ids=["pointer", "truncated"],
)
def test_a_folder_with_spoilt_weights_is_refused_by_the_name_of_the_file(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    shutil.copytree(TURBO, tmp_path / "mine")
    (tmp_path / "mine" / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(content)
    digest, path = folder_digest(tmp_path / "mine"), str(tmp_path / "mine")
    mine = ModelSpec("Mine", "diffusers", "text", "image", "", digest, path, 1, {})
    with pytest.raises(ModelError, match=r"vae/diffusion_pytorch_model\.safetensors") as caught:
        find_weights(mine)
    assert problem in str(caught.value)


def test_only_what_a_loader_reads_is_brought() -> None:
    index = {"_class_name": "P", "unet": ["d", "U"], "vae": ["d", "V"], "safety": [None, None]}
    names = [
        *("model_index.json", "README.md", "sd_xl.safetensors", "v1-5.ckpt", "config.json"),
        *("unet/config.json", "unet/diffusion_pytorch_model.safetensors"),
        *("unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.bin"),
        *("vae/config.json", "vae/diffusion_pytorch_model.safetensors", "safety/config.json"),
        *("unet/model.onnx", "flax/config.json", "unet/diffusion_pytorch_model.ema.safetensors"),
    ]
    assert set(files_read(names, index, "fp16", code=False)) == {
        *("model_index.json", "unet/config.json", "vae/config.json"),
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    }
    assert "unet/diffusion_pytorch_model.safetensors" in files_read(names, index, "", code=False)


def test_pieces_come_with_their_own_index_and_not_beside_the_whole() -> None:
    pieces = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    others = ["model.safetensors.index.json", "consolidated.safetensors", "modeling.py", "x/a.json"]
    names = [*pieces, *others, "config.json", "chat_template.jinja", "tokenizer.model"]
    read = files_read(names, None, "", code=False)
    assert set(read) == set(names) - {"consolidated.safetensors", "modeling.py", "x/a.json"}
    assert "modeling.py" in files_read(names, None, "", code=True)
    whole = files_read([*names, "model.safetensors"], None, "", code=False)
    assert "model.safetensors" in whole
    assert not set(pieces) & set(whole)


def test_the_modules_of_an_embedding_model_are_read_and_its_other_formats_are_not() -> None:
    index = [{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Dense"}]
    names = [
        *("modules.json", "config.json", "model.safetensors", "1_Pooling/config.json"),
        *("2_Dense/config.json", "2_Dense/model.safetensors", "onnx/model.onnx"),
        *("onnx/config.json", "openvino/openvino_model.xml", "pytorch_model.bin"),
    ]
    assert set(files_read(names, index, "", code=False)) == set(names[:6])
