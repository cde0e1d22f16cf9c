"""Pages of the site that lie at the root of the repository: a hook that mkdocs.yml names.

A link among the documents is one that GitHub follows too; on the site each page lies elsewhere.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "DESIGN.md": "design.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
LINK = re.compile(r"(\]\(|src=\")(?P<folder>\.\./|docs/)?(?P<page>[\w./-]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the root."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page with its links to other documents as the site has them."""
    return LINK.sub(_as_on_the_site, markdown)


def _as_on_the_site(link: re.Match[str]) -> str:
    page = link["page"]
    return f"{link[1]}{PAGES.get(page, page)}" if not page.startswith("http") else link[0]
