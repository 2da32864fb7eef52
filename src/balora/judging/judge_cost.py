"""Count what judging took: requests, tokens, and judgements that came from the cache or did not come at all."""

from pydantic import Field

from balora.settings import Settings


class JudgeCost(Settings):
    """What one round of judging took. Judgements from the cache cost nothing here."""

    requests: int = Field(default=0, ge=0)
    """Requests sent, failed ones included."""
    cached: int = Field(default=0, ge=0)
    """Judgements taken from the cache."""
    prompt_tokens: int = Field(default=0, ge=0)
    """Tokens read by the judge, as its server reports them."""
    completion_tokens: int = Field(default=0, ge=0)
    """Tokens written by the judge, as its server reports them."""
    unmetered: int = Field(default=0, ge=0)
    """Replies whose server reported no tokens: with any, the two counts of tokens are too low."""
    failures: int = Field(default=0, ge=0)
    """Judgements that are missing in the end."""

    def plus(self, other: "JudgeCost") -> "JudgeCost":
        """Return the sum of both."""
        return JudgeCost(**{name: count + getattr(other, name) for name, count in self.model_dump().items()})
