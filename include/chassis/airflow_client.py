"""The part of Airflow's REST API (v2) that the command line needs, over httpx.

Not over ``apache-airflow-client``: importing it takes 1.3 s, httpx 0.3 s, and a command line pays that each
time. Answers are Airflow's own JSON objects. Every call raises :class:`AirflowUnreachableError` when no
answer comes and :class:`AirflowRefusedError` with Airflow's own words when the answer is no.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

import httpx

from chassis.contract.addresses import URL_PREFIX, Links
from chassis.contract.run_view import NEWEST_RUN, NO_SUCH_RUN, RunView
from chassis.contract.workflow_rows import WorkflowList
from chassis.errors.client import (
    AirflowRefusedError,
    AirflowUnreachableError,
    PluginMissingError,
    SignInError,
    UsageError,
)
from chassis.workflow.names import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from chassis.rerun_scope import Instance

Json = dict[str, Any]

_API = "/api/v2"
_PAGES = Links()
_PAGE = 100  # Airflow's own upper limit ([api] maximum_page_limit)
_NO_CONTENT = 204
_LONGEST_ID = 512  # of an XCom's key; Airflow's other ids have 250 characters at most
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class SignIn:
    """Where Airflow is and who asks: a token, or else a user name and a password."""

    url: str
    token: str = ""
    username: str = ""
    password: str = ""


class Airflow:
    """A client of one Airflow. It signs in at its first call, and again when the token has expired."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in
        self.url = sign_in.url.rstrip("/")
        self.links = Links(self.url)
        self._token = sign_in.token
        # A proxy set for the world outside can't reach this machine's loopback address.
        local = urlsplit(self.url).hostname in _LOOPBACK
        self._http = httpx.Client(base_url=self.url, timeout=_TIMEOUT, trust_env=not local)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def health(self) -> Json:
        """State and last heartbeat of each component; needs no sign-in."""
        return self._answer(self._request("GET", f"{_API}/monitor/health"))

    def warm_up(self, execution_url: str) -> None:
        """Have the API server at that address load what tasks talk to: 3 s that the first task would wait for else."""
        self._answer(self._request("GET", f"{execution_url}/execution/health"))

    def version(self) -> str:
        """Airflow's version; needs no sign-in."""
        return str(self._answer(self._request("GET", f"{_API}/version"))["version"])

    def dags(self, *, tag: str) -> list[Json]:
        """All DAGs with a tag."""
        return list(self._pages(f"{_API}/dags", "dags", tags=tag, order_by="dag_id"))

    def find_dag(self, dag_id: str) -> Json | None:
        """A DAG, or None when there is no such DAG."""
        return self._find(_dag(dag_id))

    def set_paused(self, dag_id: str, paused: bool) -> None:
        """Pause a DAG, or unpause it.

        :raises AirflowRefusedError: there is no such DAG (404)
        """
        self._call("PATCH", _dag(dag_id), json={"is_paused": paused})

    def delete_dag(self, dag_id: str) -> None:
        """Delete all that Airflow has of a DAG: its runs, their tasks and XComs.

        :raises AirflowRefusedError: there is no such DAG (404), or one of its tasks runs (409)
        """
        self._call("DELETE", _dag(dag_id))

    def fail_run(self, dag_id: str, run_id: str) -> Json:
        """Have a run fail: Airflow ends its running tasks and skips those that haven't started."""
        return self._call("PATCH", _run(dag_id, run_id), json={"state": "failed"})

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """Delete a run with its tasks and XComs."""
        self._call("DELETE", _run(dag_id, run_id))

    def tasks(self, dag_id: str) -> list[Json]:
        """The tasks of a DAG's current version, with their downstream task ids."""
        return list(self._call("GET", f"{_dag(dag_id)}/tasks")["tasks"])

    def params(self, dag_id: str) -> Json:
        """The params of a DAG by name, with value and schema; none when there is no such DAG."""
        found = self._find(f"{_dag(dag_id)}/details")
        return {} if found is None else dict(found.get("params") or {})

    def import_errors(self) -> list[Json]:
        """DAG files that can't be imported."""
        return list(self._pages(f"{_API}/importErrors", "import_errors"))

    def trigger(self, dag_id: str, conf: Json) -> Json:
        """Start a run now."""
        return self._call("POST", f"{_dag(dag_id)}/dagRuns", json={"logical_date": None, "conf": conf})

    def runs(self, dag_id: str, *, limit: int) -> list[Json]:
        """A DAG's last runs, the newest first."""
        found = self._call(
            "GET", f"{_dag(dag_id)}/dagRuns", params={"order_by": "-run_after", "limit": limit}
        )
        return list(found["dag_runs"])

    def all_runs(self, dag_id: str) -> list[Json]:
        """All runs of a DAG, the newest first."""
        return list(self._pages(f"{_dag(dag_id)}/dagRuns", "dag_runs", order_by="-run_after"))

    def find_run(self, dag_id: str, run_id: str) -> Json | None:
        """A run, or None when there is no such run."""
        return self._find(_run(dag_id, run_id))

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """All task instances of a run."""
        return list(self._pages(f"{_run(dag_id, run_id)}/taskInstances", "task_instances"))

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, key: str = "return_value"
    ) -> Any:
        """What a task instance returned, or left under another key; None when it left nothing."""
        found = self._find(
            f"{_task(dag_id, run_id, task_id)}/xcomEntries/{_segment(key)}",
            map_index=map_index,
        )
        return None if found is None else found["value"]

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, fields: Json) -> None:
        """Answer what a task has asked.

        :raises AirflowRefusedError: it doesn't ask (404), was answered already (409), or takes no such option (400)
        :raises SignInError: it asks somebody else
        """
        path = f"{_task(dag_id, run_id, task_id)}/-1/hitlDetails"
        self._call("PATCH", path, json={"chosen_options": [option], "params_input": fields})

    def log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int, *, map_index: int = -1
    ) -> list[Json]:
        """The log of one try: events with level, text and the rest."""
        path = f"{_task(dag_id, run_id, task_id)}/logs/{try_number}"
        content = self._call("GET", path, params={"map_index": map_index, "full_content": True})["content"]
        return [event if isinstance(event, dict) else {"event": str(event)} for event in content]

    def downstream(self, dag_id: str, run_id: str, instances: list[Instance]) -> list[Json]:
        """Task instances and all that follow them; inside a mapped group, those of the same item only."""
        return self._clear(dag_id, run_id, instances, include_downstream=True, dry_run=True)

    def clear(
        self, dag_id: str, run_id: str, instances: list[Instance], *, latest: bool = False
    ) -> list[Json]:
        """Make exactly these task instances run again.

        :param latest: move the whole run to the DAG's newest version and bundle version; else Airflow's set-up decides
        :raises AirflowRefusedError: one of them runs (409), and none was cleared
        """
        version = {"run_on_latest_version": True} if latest else {}
        return self._clear(dag_id, run_id, instances, dry_run=False, prevent_running_task=True, **version)

    def _clear(self, dag_id: str, run_id: str, instances: list[Instance], **options: bool) -> list[Json]:
        body = {
            "dag_run_id": run_id,
            "task_ids": [task_id if index < 0 else [task_id, index] for task_id, index in instances],
            "only_failed": False,  # Airflow's default leaves out what never ran
            **options,
        }
        path = f"{_dag(dag_id)}/clearTaskInstances"
        return list(self._call("POST", path, json=body)["task_instances"])

    def require_plugin(self) -> None:
        """Ask whether this Airflow has Chassis's plugin.

        :raises PluginMissingError: it doesn't
        """
        self.run_view("-", "-")

    def run_view(
        self, dag_id: str, run_id: str = NEWEST_RUN, *, since: str = "", results: bool = False
    ) -> RunView | None:
        """A run as Chassis's plugin tells it, or None when there is no such run.

        :param since: ``since`` of an earlier view: only the instances that changed after it are in this one
        :param results: whether to ask for the tasks' results
        :raises PluginMissingError: this Airflow doesn't have the plugin
        """
        path = _PAGES.run_view(_checked(dag_id), _checked(run_id))
        view: RunView | None = None
        offset: int | None = 0
        while offset is not None:
            answer = self._ask_plugin(path, since=since, results=results, offset=offset)
            if answer is None:
                return None
            page = RunView.model_validate(answer)
            view = page if view is None else view.joined(page).model_copy(update={"since": view.since})
            offset = page.next
        return view

    def workflows(self) -> WorkflowList:
        """All workflows and the plans that wait for a decision, as Chassis's plugin tells them.

        :raises PluginMissingError: this Airflow doesn't have the plugin
        """
        return WorkflowList.model_validate(self._ask_plugin(_PAGES.workflow_list()))

    def _ask_plugin(self, path: str, **query: Any) -> Json | None:
        answer = self._send("GET", path, params=query)
        missing = answer.status_code == 404
        if missing and _detail(answer) == NO_SUCH_RUN:
            return None
        if missing or answer.headers.get("content-type", "").startswith("text/html"):
            raise PluginMissingError(
                f"Airflow at {self.url} doesn't have the Chassis plugin.",
                hint="Install airflow-chassis where its API server runs, then restart the API server.",
            )
        return self._answer(answer)

    def amend(self, dag_id: str, run_id: str, instance: Instance, wish: Json) -> Json:
        """Amend a task of a run and let it run again.

        :param wish: has the fields of ``chassis.ui.amended_reruns.AmendRequest``
        :raises AirflowRefusedError: it runs (409), or the wish can't be fulfilled (400), and nothing was changed
        """
        return self._call("POST", _PAGES.amend(dag_id, run_id, *instance), json=wish)

    def transcript(self, dag_id: str, run_id: str, instance: Instance, try_number: int | None) -> Json:
        """What was said in one try of a task (None: the newest that has a transcript), and which tries have one."""
        query = {} if try_number is None else {"try_number": try_number}
        return self._call("GET", _PAGES.transcript(dag_id, run_id, *instance), params=query)

    def find_entry(self, kind: str, name: str) -> Json | None:
        """An entry of ``pools``, ``connections`` or ``variables``, or None when there is no such entry."""
        return self._find(f"{_API}/{kind}/{_segment(name)}")

    def create_entry(self, kind: str, body: Json) -> None:
        """Add an entry to ``pools``, ``connections`` or ``variables``."""
        self._call("POST", f"{_API}/{kind}", json=body)

    def replace_entry(self, kind: str, name: str, body: Json) -> None:
        """Change an entry of ``pools``, ``connections`` or ``variables``."""
        self._call("PATCH", f"{_API}/{kind}/{_segment(name)}", json=body)

    def _pages(self, path: str, key: str, **params: Any) -> Iterator[Json]:
        query = {name: value for name, value in params.items() if value is not None}
        seen = 0
        while True:
            page = self._call("GET", path, params=query | {"limit": _PAGE, "offset": seen})
            yield from page[key]
            seen += len(page[key])
            if not page[key] or seen >= page["total_entries"]:
                return

    def _find(self, path: str, **params: Any) -> Json | None:
        try:
            return self._call("GET", path, params=params)
        except AirflowRefusedError as error:
            if error.status == 404:
                return None
            raise

    def _call(self, method: str, path: str, **arguments: Any) -> Json:
        return self._answer(self._send(method, path, **arguments))

    def _renew_token(self) -> None:
        who = {"username": self._sign_in.username, "password": self._sign_in.password}
        self._token = str(self._answer(self._request("POST", "/auth/token", json=who))["access_token"])

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """The answer to a request, signed in; signs in again when the token has expired."""
        if not self._token:
            self._renew_token()
        answer = self._request(method, path, **arguments)
        if answer.status_code == 401 and not self._sign_in.token:
            self._renew_token()
            answer = self._request(method, path, **arguments)
        return answer

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = {"Accept": "application/json"}
        if path.startswith((f"{_API}/", f"{URL_PREFIX}/")) and self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            answer = self._http.request(method, path, headers=headers, **arguments)
        except httpx.TransportError as error:
            raise AirflowUnreachableError(
                f"Airflow at {self.url} does not answer: {error or type(error).__name__}.",
                hint="Start one with `chassis up`, or set CHASSIS_AIRFLOW_URL to the one you mean.",
            ) from None
        if answer.status_code >= 500:
            raise AirflowUnreachableError(
                f"Airflow at {self.url} failed on {method} {path}: {answer.status_code} {_detail(answer)}",
                hint="The API server's log says why.",
            )
        return answer

    def _answer(self, answer: httpx.Response) -> Json:
        if answer.is_success:
            if answer.status_code == _NO_CONTENT:
                return {}
            try:
                return dict(answer.json())
            except (ValueError, TypeError):
                raise AirflowUnreachableError(
                    f"What answers at {self.url} isn't Airflow's API: {answer.headers.get('content-type')}.",
                    hint="Set CHASSIS_AIRFLOW_URL to the address of an Airflow 3 API server.",
                ) from None
        status, detail = answer.status_code, _detail(answer)
        request = f"{answer.request.method} {answer.request.url.path}"
        if status in (401, 403):
            raise SignInError(
                f"Airflow at {self.url} refuses {request}: {detail}",
                hint="Set CHASSIS_AIRFLOW_USERNAME and CHASSIS_AIRFLOW_PASSWORD, or CHASSIS_AIRFLOW_TOKEN.",
                status=status,
                detail=detail,
            )
        raise AirflowRefusedError(f"Airflow refuses {request}: {detail}", status=status, detail=detail)


def _checked(value: str) -> str:
    """An id that can be a part of a path.

    :raises UsageError: no id can be that: the path would be another one's
    """
    if value in ("", ".", "..") or len(value) > _LONGEST_ID:
        raise UsageError(f"{shown(value)} can't be the id of anything in Airflow.")
    return value


def _segment(value: str) -> str:
    return quote(_checked(value), safe="")


def _dag(dag_id: str) -> str:
    return f"{_API}/dags/{_segment(dag_id)}"


def _run(dag_id: str, run_id: str) -> str:
    return f"{_dag(dag_id)}/dagRuns/{_segment(run_id)}"


def _task(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run(dag_id, run_id)}/taskInstances/{_segment(task_id)}"


def _detail(answer: httpx.Response) -> str:
    """Airflow's reason in one line: ``detail`` is a string, an object with a reason, or a list of faults."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
    if isinstance(detail, list):
        return "; ".join(
            f"{'.'.join(map(str, fault.get('loc', ())))}: {fault.get('msg')}" for fault in detail
        )
    if isinstance(detail, dict):
        return str(detail.get("reason") or detail.get("message") or detail)
    return str(detail)
