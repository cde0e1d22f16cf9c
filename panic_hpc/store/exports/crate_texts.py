"""The texts of a crate: README, licence notice, citation, DataCite record."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.dataset.frames import network_names

if TYPE_CHECKING:
    from panic_hpc.store.exports.crate import Description

_LICENCE_PAGES = {
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
}

_README = """# {title}

{summary}

- runs: {n_runs}; networks: {n_networks}; prompts: {n_prompts}; invocations: {n_invocations}
- networks: {networks}
- embedding models: {embedding_models}
- content key: `{content_key}` (equal for equal results; recompute it with `panic-hpc verify`)
- files: {files}
- licence: {licence}

The data is HDF5, readable with any HDF5 library; it also reads as netCDF-4. A row of the group
`runs` is one run; `invocations`, `texts`, `images`, `embeddings/<model>` and `diagrams/<model>` are
ordered by run, then step, and `offsets` columns say where each run begins:

```python
import h5py

with h5py.File("{first}", "r") as f:
    first, last = f["runs/offsets"][0:2]
    print(f["invocations/step"][first:last])
```

Every array has the attributes `long_name` and, where there is one, `units`. Check the files with
`sha256sum -c SHA256SUMS`.
"""


def licence_url(licence: str) -> str:
    """Return the page of a licence given by its SPDX identifier."""
    return _LICENCE_PAGES.get(licence, f"https://spdx.org/licenses/{licence}.html")


def licence(name: str) -> str:
    """Return a notice that names the licence and its page."""
    return f"This dataset is licensed under {name}.\nSee {licence_url(name)}\n"


def summary(dataset: Dataset, about: "Description") -> str:
    """Return what the dataset is in a sentence or two."""
    own = (
        f"{dataset.n_runs} runs of recursive loops of generative models, with their outputs, "
        "embeddings and persistence diagrams."
    )
    return f"{about.text} {own}".strip()


def readme(dataset: Dataset, about: "Description", files: Sequence[str]) -> str:
    """Return the README."""
    networks = network_names(dataset)
    return _README.format(
        title=about.title,
        summary=summary(dataset, about),
        n_runs=dataset.n_runs,
        n_networks=len(networks),
        n_prompts=dataset.file.rows("prompts/group"),
        n_invocations=dataset.file.rows("invocations/step"),
        networks="; ".join(networks),
        embedding_models=", ".join(dataset.embedding_models) or "none",
        content_key=dataset.content_key,
        files=", ".join(f"`{name}`" for name in files),
        licence=about.licence,
        first=files[0],
    )


def _year(dataset: Dataset) -> int:
    return int(str(dataset.metadata["created"])[:4])


def parted(author: str) -> tuple[str, str, str]:
    """Return (family name, given names, ORCID)."""
    name, _, orcid = author.partition("<")
    family, _, given = name.partition(",")
    return family.strip(), given.strip(), orcid.rstrip("> ").strip()


def citation(dataset: Dataset, about: "Description") -> str:
    """Return a CITATION.cff; JSON strings are YAML strings."""
    lines = [
        "cff-version: 1.2.0",
        "message: If you use this dataset, please cite it as below.",
        "type: dataset",
        f"title: {json.dumps(about.title, ensure_ascii=False)}",
        f"license: {about.licence}",
        f"date-released: {str(dataset.metadata['created'])[:10]}",
        "identifiers:",
        "  - type: other",
        f"    value: {dataset.content_key}",
        "    description: content key",
        "authors:",
    ]
    for author in about.authors:
        family, given, orcid = parted(author)
        lines.append(f"  - family-names: {json.dumps(family, ensure_ascii=False)}")
        lines += [f"    given-names: {json.dumps(given, ensure_ascii=False)}"] if given else []
        lines += [f"    orcid: https://orcid.org/{orcid}"] if orcid else []
    return "\n".join(lines) + "\n"


def datacite(dataset: Dataset, about: "Description", files: Sequence[Path]) -> dict[str, Any]:
    """Return a DataCite 4.5 record without an identifier, which a repository gives."""
    return {
        "schemaVersion": "http://datacite.org/schema/kernel-4",
        "titles": [{"title": about.title}],
        "creators": [_creator(author) for author in about.authors],
        "publisher": {"name": about.publisher or "(to be filled in by the repository)"},
        "publicationYear": _year(dataset),
        "types": {"resourceType": "Dataset", "resourceTypeGeneral": "Dataset"},
        "descriptions": [{"description": summary(dataset, about), "descriptionType": "Abstract"}],
        "rightsList": [
            {"rightsIdentifier": about.licence, "rightsUri": licence_url(about.licence)}
        ],
        "formats": ["application/x-hdf5"],
        "sizes": [f"{path.stat().st_size} bytes" for path in files],
        "alternateIdentifiers": [
            {
                "alternateIdentifier": dataset.content_key,
                "alternateIdentifierType": "panic_hpc content key",
            }
        ],
    }


def _creator(author: str) -> dict[str, Any]:
    family, given, orcid = parted(author)
    creator: dict[str, Any] = {
        "name": f"{family}, {given}" if given else family,
        "nameType": "Personal",
    }
    if orcid:
        creator["nameIdentifiers"] = [
            {
                "nameIdentifier": f"https://orcid.org/{orcid}",
                "nameIdentifierScheme": "ORCID",
                "schemeUri": "https://orcid.org",
            }
        ]
    return creator
