"""Put files of the repository that lie outside docs/ on the site, and turn links between files into links of the site.

Every page links to files as they lie in the repository, so the same text works there and here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]

PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "RELIABILITY.md": "reliability.md",
    "experiments/README.md": "experiments.md",
}
"""Pages that are written elsewhere, and their names on the site."""

INSTEAD = {"README.md": "index.md", "data/README.md": "data.md"}
"""Files that have a longer counterpart on the site."""

COPIED = ("LICENSE", "experiments/*.yaml", "experiments/pictures/*.png", "experiments/pictures/*.jpg")
"""Files that pages show or link to."""

LINK = re.compile(r"(?<=\]\()(?P<target>[^)#:\s]+)(?=[)#])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files to those of docs/."""
    copied = {path: path for pattern in COPIED for path in _found(pattern)}
    for source, name in {**PAGES, **copied}.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with its links to existing files turned into links of the site."""
    folder = Path(page.file.abs_src_path or "").parent
    here = PurePosixPath(page.file.src_uri).parent

    def on_the_site(link: re.Match[str]) -> str:
        target = (folder / link["target"]).resolve()
        if not target.is_relative_to(ROOT) or not target.exists():
            return link["target"]  # mkdocs reports it
        name = target.relative_to(ROOT).as_posix()
        name = PAGES.get(name) or INSTEAD.get(name) or name.removeprefix("docs/")
        return os.path.relpath(name, here).replace(os.sep, "/")

    return LINK.sub(on_the_site, markdown)


def _found(pattern: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))
