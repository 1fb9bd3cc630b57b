"""`visavis.open()`: opens a store, wires the rooms, closes. Nothing more."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from visavis.admin import Admin
from visavis.config import Settings, load_settings
from visavis.customize import Customize
from visavis.customize.refreshing import Refreshing
from visavis.differentiate import Differentiate
from visavis.errors import FieldViolation, InvalidInput
from visavis.history import KindTable
from visavis.identify import Identify
from visavis.interact import Interact
from visavis.live import Live
from visavis.plugin import Registry
from visavis.store import Store


class Engine:
    """An open store and its rooms. One process has a store open at a time; close it, or use `with`."""

    def __init__(self, store: Store, settings: Settings, registry: Registry) -> None:
        self.settings = settings
        self.registry = registry
        self.store = store
        self.live = Live(store, registry, KindTable(settings.kinds))
        self.identify = Identify(store, self.live, settings, registry)
        self.differentiate = Differentiate(self.live)
        self.customize = Customize(store, self.live, settings, registry)
        self.interact = Interact(store, self.live, self.customize, registry)
        self.refreshing = Refreshing(store, self.live, settings["refresh_ms"] / 1000)
        self.admin = Admin(store, self.live, registry, self.customize, self.refreshing, settings["keep_generations"])
        # The few everyday verbs, without naming the room.
        self.recommend = self.customize.recommend
        self.similar = self.customize.similar
        self.profile = self.differentiate.profile
        self.fit = self.admin.fit

    def warm_up(self) -> None:
        """Load what the first request would otherwise wait for: compiled kernels, the set of known ids."""
        self.live.warm_up()
        self.identify.warm_up()
        self.customize.warm_up()

    def keep_fresh(self) -> None:
        """From now on, let what was learned follow what is recorded, within moments and in the background.

        A server does so. Each customer's own past counts at once in any case.
        """
        self.refreshing.start()

    def announce(self, address: str, token: str) -> None:
        """Publish where this process serves, so that commands on this machine go through it."""
        self.store.owner.announce(address, token)

    def close(self, *, keep_empty: bool = True) -> None:
        """Write what is queued, checkpoint, give the store free. Idempotent.

        Without `keep_empty`, a store that this opening made, and that nothing was ever written to, is removed.
        """
        self.customize.close()
        self.refreshing.close()
        self.live.close()
        self.store.close(keep_empty=keep_empty)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_engine(
    path: str | Path | None = None,
    *,
    settings: Settings | None = None,
    create: bool = True,
    purpose: str = "python",
    **overrides: Any,
) -> Engine:
    """Open the store at `path` (default: the setting `data`). `overrides` are settings by name.

    `settings` are taken as they are, without file, environment and `overrides`; `path` is stronger. `create` makes a
    store where there is none. Raises a `StoreError` that says what is wrong and what to do.
    """
    if settings is None:
        settings = load_settings({**overrides, "data": str(path) if path is not None else None})
    elif overrides:
        raise InvalidInput(
            [FieldViolation(name, "is given beside `settings`; put it into them") for name in sorted(overrides)]
        )
    registry = Registry.load(
        plugins_dir=Path(settings["plugins_dir"]) if settings["plugins_dir"] else None,
        disabled=settings.disabled_plugins,
        options=settings.plugins,
    )
    store = Store.open(settings.data if path is None else Path(path), settings, purpose=purpose, create=create)
    try:
        return Engine(store, settings, registry)
    except BaseException:
        store.close()
        raise


__all__ = ["Engine", "open_engine"]
