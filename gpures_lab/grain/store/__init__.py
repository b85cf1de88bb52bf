"""Checkpoints: contents as content-addressed blobs, manifests in a database.

=================  ======================================================================
``store.py``       `StateStore`: save, load, list, remove, prune
``saving.py``      one save on its way: leases, blobs, one transaction
``manifest.py``    what a checkpoint says about its grain, and its form as text
``leftovers.py``   blobs that nobody needs, and their removal
``report.py``      what ``gpures-lab storage`` prints
``blobs.py``       arrays as safetensors files, named by the digest of their bytes
``hashing.py``     digests computed while the disk works
``pace.py``        rests, where a save takes its cores from those who serve messages
``database.py``    tables, schema version, migrations, transactions
``urls.py``        what can be said of them before anything is opened
``places.py``      where both lie unless a URL says otherwise; private files
``failures.py``    what went wrong below, as one of our exceptions with a cure
=================  ======================================================================
"""

from __future__ import annotations

from gpures_lab.grain.store.manifest import ArrayRecord, Json, Manifest
from gpures_lab.grain.store.store import Pruned, StateStore, Usage

__all__ = ["ArrayRecord", "Json", "Manifest", "Pruned", "StateStore", "Usage"]
