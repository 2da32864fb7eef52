"""Hook of MkDocs: links that lead out of docs/, which the site does not hold, become plain text.

So do links to the text of a study's report, beside which its page lies.
"""

import re
from pathlib import PurePosixPath
from typing import Any

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the page without links to files outside of docs/."""
    folder = PurePosixPath(page.file.src_uri).parent

    def kept(found: re.Match[str]) -> str:
        text, target = found.groups()
        return text if leads_out(folder, target) else found.group(0)

    return LINK.sub(kept, markdown)


def leads_out(folder: PurePosixPath, target: str) -> bool:
    """Return whether a relative link from a page in ``folder`` leaves docs/."""
    if target.endswith("/report.md"):
        return True
    if "://" in target or target.startswith(("#", "mailto:")):
        return False
    depth = len(folder.parts)
    for part in PurePosixPath(target.partition("#")[0]).parts:
        depth += -1 if part == ".." else part != "."
        if depth < 0:
            return True
    return False
