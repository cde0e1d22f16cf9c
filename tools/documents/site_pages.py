"""Pages of the site that lie at the root of the repository or are made: a hook of mkdocs.yml.

`commands.md` is made from the command line itself, so that it cannot fall behind. A link among
the documents is one that GitHub follows too; on the site each page lies elsewhere.
"""

import re
from pathlib import Path
from typing import Any

import typer
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click

from panic_hpc import cli

ROOT = Path(__file__).parents[2]
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
    files.append(File.generated(config, "commands.md", content=commands()))
    return files


def commands() -> str:
    """Return every verb with its arguments and options, as `--help` shows them."""
    app = typer.Typer(name="panic-hpc", cls=cli.VerbsByPanel, help=cli.app.info.help)
    cli.register_verbs(app)
    group = typer.main.get_command(app)
    context = typer.Context(group, info_name="panic-hpc")
    return get_docs_for_click(obj=group, ctx=context, name="panic-hpc", title="Commands")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page with its links to other documents as the site has them."""
    return LINK.sub(_as_on_the_site, markdown)


def _as_on_the_site(link: re.Match[str]) -> str:
    page = link["page"]
    return f"{link[1]}{PAGES.get(page, page)}" if not page.startswith("http") else link[0]
