"""Bundles changed, and engines opened, as a test wants them."""

from dataclasses import replace
from hashlib import sha256

from canthus.bundle import write_bundle
from canthus.engine import Engine
from canthus.network import open_network


def written(manifest, members, path):
    """Write a bundle whose manifest agrees with its members, contents by name."""
    hashes = {name: sha256(content).hexdigest() for name, content in members.items()}
    write_bundle(path, replace(manifest, sha256=hashes), members)
    return path


def engine_of(bundle, runtime, threads=2):
    return Engine(bundle.manifest, open_network(runtime, bundle.graphs(), threads))
