"""Who asks for a call, and where its records stand.

Ids of DAGs and runs are almost any text, and become names of folders here. So each is quoted: an id can't leave its
folder, and two ids never share one.
"""

from __future__ import annotations

import hashlib
import string

from pydantic import BaseModel, ConfigDict, Field

_LONGEST = 120
"""Characters of a folder's name; file systems allow 255 bytes."""
_DIGEST = 32
_PLAIN = frozenset((string.ascii_letters + string.digits + "_-.").encode())


class CallIdentity(BaseModel):
    """Who asks: one try of one task, or of one item of a mapped task, in one DAG run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dag_id: str = Field(min_length=1, description="Airflow's DAG, which is the workflow's id.")
    run_id: str = Field(min_length=1, description="Airflow's id of the run.")
    clear_number: int = Field(
        ge=0, description="How often a person has cleared the task; a kept answer belongs to one of them."
    )
    task_id: str = Field(min_length=1, description="Airflow's id of the task.")
    item: str | None = Field(
        None, description="The item of a mapped task; None for a task that isn't mapped."
    )
    map_index: int = Field(-1, description="Airflow's map index, for people; the item is what counts.")
    try_number: int = Field(1, ge=0, description="Airflow's number of the try, for people.")

    @property
    def task_key(self) -> tuple[str, str | None]:
        """Whose spending a call is: limits of a task hold for this."""
        return self.task_id, self.item


def run_folder(dag_id: str, run_id: str) -> str:
    """The folder of a run's records, below the root: a relative path of two parts that no id can leave."""
    return f"{quoted(dag_id)}/{quoted(run_id)}"


def quoted(name: str) -> str:
    """A text as the name of a folder or file: other texts have other names.

    Letters, digits, ``_``, ``-`` and ``.`` stay, but for a dot in front; everything else becomes ``%XX``. A name
    that would be too long is cut and ends with ``~`` and a digest; ``~`` stands in no other name.
    """
    raw = name.encode("utf-8", "surrogatepass")
    whole = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in raw) or "%"
    if whole.startswith("."):
        whole = f"%2E{whole[1:]}"
    if len(whole) <= _LONGEST:
        return whole
    digest = hashlib.sha256(raw).hexdigest()[:_DIGEST]
    return f"{whole[: _LONGEST - _DIGEST - 1]}~{digest}"
