"""What happens on a host of the cluster. Called by dask; bytes in, bytes out: values of the lab are never unpickled."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import msgspec

from harness import process
from harness.cache import Cache
from harness.catalogue.load import load
from harness.errors import InfraError, LabError
from harness.kernel import build as kernels
from harness.kernel.request import compose
from harness.nightly.cluster import parcel
from harness.nightly.cluster.offer import Host, Kernel, Offer, Parcel, own_code
from harness.nightly.errand import carry_out, cell_of, failed
from harness.nightly.estimate import requests_of
from harness.nightly.schedule import cores_for_build
from harness.nightly.work import Errand, Report
from harness.paths import Workspace, cache_root
from harness.progress import silent
from harness.results import facts
from harness.results.run import Terminated
from harness.runner.prepare import Made, Place

_stopping = threading.Event()


def host() -> bytes:
    """What this host is, as ``Host``."""
    tools = facts.tools()
    cores = len(os.sched_getaffinity(0))
    said = Host(tools.host, cores, own_code(), tools.qemu, tools.compiler, tools.python)
    return msgspec.json.encode(said)


def stop() -> None:
    """End what goes on here: the night was stopped. The next one may begin at once."""
    global _stopping
    _stopping.set()
    process.kill_all()
    _stopping = threading.Event()


def carry(errand: bytes, offer: bytes) -> tuple[bytes, bytes]:
    """Run an errand; its ``Report``, and the run's folder as a parcel (empty when there is none)."""
    asked, offered = msgspec.json.decode(errand, type=Errand), msgspec.json.decode(offer, type=Offer)
    try:
        place = _place(offered, asked)
    except LabError as exc:
        return msgspec.json.encode(failed(asked.name, exc, asked)), b""
    try:
        report = carry_out(place, asked, silent, _stopping)
    except Terminated as exc:  # dask takes a KeyboardInterrupt as the worker's own end
        raise InfraError(f"{asked.name} was stopped") from exc
    folder = place.workspace.runs / report.run if report.run else None
    return msgspec.json.encode(report), parcel.pack(folder, leave=(".lock",)) if folder else b""


def build(kernel: bytes, offer: bytes) -> tuple[bytes, bytes]:
    """Build a kernel; its ``Report`` (``run`` is the key) and the cache's entry as a parcel (empty when it failed)."""
    asked, offered = msgspec.json.decode(kernel, type=Kernel), msgspec.json.decode(offer, type=Offer)
    try:
        place = _place(offered, None)
        request = compose(place.catalogue, asked.base, asked.stack, fragments=asked.fragments, options=asked.options)
        jobs = cores_for_build(len(os.sched_getaffinity(0)), others_ready=True)
        built = kernels.build(request, place.cache, jobs=jobs)
    except LabError as exc:
        return msgspec.json.encode(failed(asked.identity, exc)), b""
    report = Report(name=asked.identity, run=built.key, host=facts.tools().host, seconds=built.seconds)
    return msgspec.json.encode(report), parcel.pack(built.folder)


def _place(offer: Offer, errand: Errand | None) -> Place:
    """The workspace and what was made for it, fetched as far as this host does not have it."""
    cache = Cache(cache_root())
    workspace = Workspace(fetch(offer.workspace, cache))
    place = Place(workspace, load(workspace), cache)
    if errand is None:
        return place
    requests = requests_of(place, cell_of(errand))
    found = {}
    for identity, request in requests.items():
        sent = offer.kernels.get(identity)
        if sent is not None:
            fetch(sent, cache)
            kernel = kernels.stored(sent.key, request, cache)
            assert kernel is not None
            found[identity] = kernel
    return replace(place, made=Made(found, fetch(offer.selftests, cache)))


def fetch(sent: Parcel, cache: Cache) -> Path:
    """The entry in this host's cache; of several jobs that lack it one fetches it.

    Raises InfraError when it cannot be had or arrives damaged.
    """

    def arrive(scratch: Path) -> None:
        parcel.unpack(_published(sent.name), scratch, sent.seal)

    return cache.make(sent.kind, sent.key, arrive)


def _published(name: str) -> bytes:
    from distributed import get_client

    try:
        data = get_client().get_dataset(name).result(timeout=600)
    except KeyError as exc:
        raise InfraError(f"{name} is not published any more") from exc
    if not isinstance(data, bytes):
        raise InfraError(f"{name} is no parcel")
    return data
