"""The memory that the request path reads: identities, items, consents, histories, models. DuckDB is not asked."""

from visavis.live.state import Live

__all__ = ["Live"]
