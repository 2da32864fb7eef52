"""Write a comparison into a folder: compare.md, compare.json and the page compare.html, each in one atomic step."""

from pathlib import Path

from balora.comparing.compared import Compared
from balora.comparing.comparison_page import draw_markdown, draw_page
from balora.errors import OutputError
from balora.folders import write_atomic

FILES = ("compare.md", "compare.json", "compare.html")
"""What the folder of a comparison holds."""


def save_comparison(compared: Compared, document: str, folder: Path) -> list[Path]:
    """Write the files into ``folder``, which is made if need be, and return them.

    Args:
        compared: what is drawn.
        document: the text of compare.json.
        folder: where to write.

    Raises:
        OutputError: a file cannot be written.
    """
    texts = (draw_markdown(compared), document + "\n", draw_page(compared))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in zip(FILES, texts, strict=True):
            write_atomic(folder / name, text)
    except OSError as error:
        place, reason = error.filename or folder, error.strerror or error
        raise OutputError(f"{place}: cannot be written ({reason}): choose another --output") from None
    return [folder / name for name in FILES]
