"""The machine that started the night, as far as the cluster sees it: it gives out what was made, from its memory.

It is a worker of the cluster itself, so that what it gave out can be asked for again when a host that had it is gone.
"""

from __future__ import annotations

from typing import Any

from harness.nightly.cluster import parcel
from harness.nightly.cluster.offer import HOME, Parcel
from harness.nightly.cluster.remote import remote

_store: dict[str, bytes] = {}


def give(name: str) -> bytes:
    """What was published under a name. Runs on the home worker alone, which is this process."""
    return _store[name]


class Home:
    """A worker in this process that takes nothing but requests for parcels. Closed with the night."""

    def __init__(self, client: Any, night: str) -> None:
        self._client = client
        self._night = night
        self._published: dict[str, Any] = {}
        self._worker = client.sync(self._begin)

    async def _begin(self) -> Any:
        from distributed import Worker

        return await Worker(
            self._client.scheduler.address, name=f"home-{self._night}", nthreads=1, resources={HOME: 1},
            memory_limit=0, dashboard=False, security=self._client.security,
        )  # fmt: skip

    @property
    def address(self) -> str:
        return str(self._worker.address)

    def publish(self, kind: str, key: str, data: bytes) -> Parcel:
        """Make an entry of the cache known to every host; again is the same."""
        name = f"lab-{self._night}-{kind}-{key}"
        if name not in self._published:
            _store[name] = data
            future = self._client.submit(remote(f"{__name__}.give"), name, resources={HOME: 1}, key=name)
            self._client.publish_dataset(future, name=name, override=True)
            self._published[name] = future
        return Parcel(kind, key, parcel.seal(data), name)

    def close(self) -> None:
        for name in self._published:
            self._client.unpublish_dataset(name)
            _store.pop(name, None)
        self._published.clear()
        self._client.sync(self._worker.close)
