"""A dataset with its tables as Parquet, and a Croissant 1.0 description that loaders read.

Croissant (https://mlcommons.org/croissant/1.0) is JSON-LD of schema.org: files with their
checksums, and record sets whose fields say from which column of which file they come.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panic_hpc.disk.files import replace_file
from panic_hpc.disk.overwriting import admit
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.exports.crate import (
    Description,
    copy_file,
    file_sha256,
    require_described,
    require_empty,
)
from panic_hpc.store.exports.crate_texts import licence_url, parted, summary
from panic_hpc.store.exports.kind_tables import default_exports
from panic_hpc.store.exports.parquet import export_parquet
from panic_hpc.store.format.column import Column
from panic_hpc.store.format.references import require_whole
from panic_hpc.store.results.runs import INVOCATION_COLUMNS, RUN_COLUMNS
from panic_hpc.store.results.section import dataset_sections

if TYPE_CHECKING:
    import pyarrow as pa

METADATA = "croissant.json"
_HDF5 = "application/x-hdf5"
_PARQUET = "application/x-parquet"
# What a field of the standard means in RDF; loaders ask for it word for word.
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
} | {
    name: f"cr:{name}"
    for name in (
        "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty",
        "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField",
        "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate",
        "separator", "source", "subField", "transform",
    )
}  # fmt: skip
_OWN_FIELDS = {
    "run": "row of the run, as in the table of runs",
    "model": "name of the model",
    "network_name": "models of its network, joined by arrows",
    "prompt_text": "text of its prompt",
    "text": "the text that was put out, null for other outputs",
    "dimension": "homology dimension",
    "reason": "why there is no result, or empty",
}
_KEYS = {"runs": "runs/run"}
_TABLES = {
    "runs": "A row a run: one prompt and seed followed through a network of models",
    "invocations": "A row a model call: what was put out at each step of each run",
    "embeddings": "A row an embedded output: its vector, by run, model and step",
    "diagrams": "A row a bar of a persistence diagram: birth and death, by run and model",
    "diagram_runs": "A row a persistence diagram: its entropy, and how it was computed",
}


def export_croissant(data: Path, directory: Path, about: Description, url: str = "") -> list[Path]:
    """Put a dataset, its tables as Parquet and `croissant.json` into `directory`; return the files.

    `url` is the page where they will be published. Raises PanicError where pyarrow is missing,
    nobody is named as author, or the directory is not empty.
    """
    require_described(about)
    require_empty(directory, [data])
    with Dataset(data) as dataset:
        # It is for those who do not have the shards.
        require_whole(dataset.file)
        tables = export_parquet(dataset, directory)
        copy = copy_file(data, directory / data.name)
        described = croissant(dataset, about, copy, tables, url)
    target = directory / METADATA
    admit(target, [data])
    replace_file(target, json.dumps(described, indent=2, ensure_ascii=False).encode())
    return sorted(directory.iterdir())


def croissant(
    dataset: Dataset, about: Description, data: Path, tables: Sequence[Path], url: str = ""
) -> dict[str, Any]:
    """Return the description of a dataset's file and of its Parquet tables beside it."""
    created = str(dataset.metadata["created"])
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": about.title,
        "description": summary(dataset, about),
        "license": licence_url(about.licence),
        "creator": [_person(author) for author in about.authors],
        **({"publisher": _named("Organization", about.publisher)} if about.publisher else {}),
        **({"url": url} if url else {}),
        "datePublished": created[:10],
        "version": "1.0.0",
        "citeAs": _citation(about, created, dataset.content_key),
        "distribution": [
            _file(data, _HDF5, f"All of the dataset, content key {dataset.content_key}"),
            *(_file(path, _PARQUET, f"The table {path.stem}") for path in tables),
        ],
        "recordSet": [_record_set(dataset, path) for path in tables],
    }


def _named(kind: str, name: str) -> dict[str, str]:
    return {"@type": f"sc:{kind}", "name": name}


def _person(author: str) -> dict[str, str]:
    family, given, orcid = parted(author)
    person = _named("Person", f"{given} {family}".strip())
    return {**person, "url": f"https://orcid.org/{orcid}"} if orcid else person


def _citation(about: Description, created: str, key: str) -> str:
    authors = "; ".join(", ".join(filter(None, parted(one)[:2])) for one in about.authors)
    return f"{authors} ({created[:4]}): {about.title}. Content key {key}"


def _file(path: Path, encoding: str, description: str) -> dict[str, str]:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "description": description,
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": encoding,
        "sha256": file_sha256(path),
    }


def _record_set(dataset: Dataset, path: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    table, columns = path.stem, dict(_columns(dataset, path.stem))
    record: dict[str, Any] = {
        "@type": "cr:RecordSet",
        "@id": table,
        "name": table,
        "description": _TABLES.get(table, f"The table {table}"),
        "field": [_field(table, field, columns) for field in pq.read_schema(path)],
    }
    return {**record, "key": {"@id": _KEYS[table]}} if table in _KEYS else record


def _columns(dataset: Dataset, table: str) -> Iterator[tuple[str, Column]]:
    """Yield (name of a Parquet column, with {} for a number or word, the array it is made of)."""
    own = {"runs": RUN_COLUMNS, "invocations": INVOCATION_COLUMNS}.get(table, ())
    yield from ((column.name.partition("/")[2], column) for column in own)
    for section in dataset_sections(dataset.file):
        for export in section.kind.exports or default_exports(section.kind):
            if export.name == table and not section.kind.defines_runs:
                for name in export.columns:
                    column = section.kind.by_name[name]
                    for spread in export.spread.get(name, (name.partition("/")[2],)):
                        yield spread, column


def _field(table: str, field: "pa.Field", columns: Mapping[str, Column]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{table}/{field.name}",
        "name": f"{table}/{field.name}",
        "description": _described(field.name, columns),
        "dataType": _data_type(field.type),
        "source": {
            "fileObject": {"@id": f"{table}.parquet"},
            "extract": {"column": field.name},
        },
    }
    if field.name == "run" and table not in _KEYS:
        found["references"] = {"field": {"@id": _KEYS["runs"]}}
    return {**found, "repeated": True} if _is_list(field.type) else found


def _described(name: str, columns: Mapping[str, Column]) -> str:
    fitting = (
        column
        for pattern, column in columns.items()
        if re.fullmatch(re.escape(pattern).replace(r"\{\}", ".+"), name)
    )
    column = next(fitting, None)
    if column is None or (name in _OWN_FIELDS and column.index):
        return _OWN_FIELDS.get(name, name)
    unit = f", in {column.unit}" if column.unit else ""
    codes = "; ".join(
        word if column.dtype == "|u1" else f"{code}: {word}" for word, code in column.codes.items()
    )
    return f"{column.meaning}{unit}" + (f" ({codes})" if codes else "")


def _is_list(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _data_type(kind: "pa.DataType") -> str:
    import pyarrow as pa

    while _is_list(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
