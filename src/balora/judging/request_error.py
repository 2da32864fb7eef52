"""Say why one request to a judge brought no usable reply."""

from typing import Literal

FaultKind = Literal["unreachable", "late", "status", "reply"]


class RequestError(Exception):
    """One request brought no usable reply; the message says why, and never holds the key."""

    def __init__(
        self,
        reason: str,
        kind: FaultKind,
        *,
        status: int = 0,
        final: bool = False,
        wait: float | None = None,
        text: str = "",
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.status = status
        """The HTTP status, where that is what failed."""
        self.final = final
        """Whether asking again is useless."""
        self.wait = wait
        """The seconds that the server asks to wait."""
        self.text = text
        """What the judge wrote, where that is what cannot be used."""
