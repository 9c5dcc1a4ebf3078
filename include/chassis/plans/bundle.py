"""A versioned DAG bundle over the plan store: a run stays pinned to the plans it started with.

A version is the hash of the set of newest plans; its manifest is in the store. Each machine has, in Airflow's folder
for the bundle, ``current`` (loader files that the dag-processor parses, replaced in place), ``versions/<version>``
(loader files of one version, never changed) and ``copies`` (plans read from S3).

Invariants that must not be relaxed:

1. A version's manifest is in the store before anybody can name the version, so that any worker can make the version's
   folder, even for a run that is cleared a year later.
2. A loader file of a shard whose workflows didn't change keeps its content and its time: Airflow parses what changed.
3. If the store can't be read, or has lost every workflow, nothing changes here. Emptied loader files would remove all
   DAGs, and Airflow doesn't continue the runs of removed DAGs. So plans are fetched from S3 before a loader file names
   them: parsing depends on no network.

Airflow imports this module in every component and at every task start. So it imports only what is loaded there already,
and the store only when needed.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.dag_processing.bundles.base import BaseDagBundle, BundleVersion

from chassis.crashpoints import VERSION_RECORDED, reached
from chassis.errors import PlanNotFoundError, StoreError
from chassis.files import write_atomically
from chassis.plans.parse_interval import keep_parse_interval
from chassis.plans.refs import PlanRef, is_version, manifest_of, version_of
from chassis.plans.shards import loader_files, remove_other_loader_files, write_loader_files

if TYPE_CHECKING:
    from pathlib import Path

    from chassis.plans.store import PlanStore
    from chassis.settings import Settings


class PlanBundle(BaseDagBundle):
    """The plan store's workflows as DAG files. Settings give the store's location and the number of files.

    Without a version, an instance follows the newest plans (the dag-processor); with one, it has the plans of that
    version.
    """

    supports_versioning = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._heads: dict[str, PlanRef] = {}
        self._current: str | None = None
        self._failed = False

    @property
    def path(self) -> Path:
        """Folder of the loader files."""
        return self.versions_dir / self.version if self.version else self.base_dir / "current"

    @property
    def copies(self) -> Path:
        """Folder for copies of plans from a store on S3."""
        return self.base_dir / "copies"

    def initialize(self) -> None:
        """Make the loader files. With a version, this reads one file of the store, once per machine.

        :raises PlanNotFoundError: the store has no such version
        :raises PlanError: the version's manifest was edited by hand
        :raises StoreError: the store can't be read
        """
        if self.version:
            self._make_version(self.version)
        else:
            self.refresh()
        super().initialize()

    def refresh(self) -> None:
        """Update the loader files to the newest plans.

        :raises StoreError: the store can't be read, or has lost all its workflows; then nothing changes
        """
        if self.version:
            raise ValueError(f"Bundle '{self.name}' is at version {self.version}, which is fixed.")
        keep_parse_interval()
        with self.lock():
            # A parse while plans can't be read stores DAGs that only report that, and it lasts for 30 s.
            failed_before, self._failed = self._failed, True
            heads = self._store.heads()
            if self._heads and not heads:
                raise StoreError(
                    f"The plan store has lost all its {len(self._heads)} workflows; their DAGs stay.",
                    hint="Is a disk not mounted? If it was emptied on purpose, restart the dag-processor.",
                )
            self._store.fetch(heads.values())
            version = version_of(manifest_of(heads))
            if version != self._current:
                self._store.record_version(heads)
                reached(VERSION_RECORDED)
            texts = loader_files(heads, self._settings.shards, self.copies)
            write_loader_files(self.path, texts, again=failed_before)
            remove_other_loader_files(self.path, texts)
            self._heads, self._current, self._failed = heads, version, False

    def get_current_version(self) -> BundleVersion | None:
        """The version of the loader files; None before they are made."""
        version = self.version or self._current
        return BundleVersion(version) if version else None

    def _make_version(self, version: str) -> None:
        """Make a version's folder unless it is complete; the list of its files is written last.

        Airflow gives a worker the loader file's current name, so a folder gets the files of the current number of
        shards, even if it was made with another. Airflow prunes these folders, and may be killed while it does.
        """
        if not is_version(version):
            raise PlanNotFoundError(f"There is no version {version!r} of the plans.")
        made = self.path / f"loader_files_{self._settings.shards:03d}.txt"
        if made.exists() and all((self.path / name).exists() for name in made.read_text().split()):
            return
        with self.lock():
            heads = self._store.version_heads(version)
            texts = loader_files(heads, self._settings.shards, self.copies)
            write_loader_files(self.path, texts)
            write_atomically(made, "\n".join(texts).encode())

    @cached_property
    def _settings(self) -> Settings:
        from chassis.settings import Settings

        return Settings.load()

    @cached_property
    def _store(self) -> PlanStore:
        from chassis.plans.store import PlanStore

        return PlanStore(self._settings.plans_root, self._settings.storage_conn_id, cache=self.copies)
