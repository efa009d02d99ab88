"""The model registry (MLflow): runs, artifacts, versions, and the alias ``champion``.

The registry is a catalogue; the ledger decides. Every write here can be repeated: a run is found again
by its training id, a version by its run, so a retry after any crash yields exactly one of each.

Whatever is asked of MLflow, it fails with an error of ours: Unreachable may be cured by another try, NotReady,
RegistryRefused and AccessDenied are not.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nightshift.freeform import Jsonable, Values

# Before mlflow is imported: its defaults keep a task waiting for four minutes on a dead server.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

import mlflow
import mlflow.sklearn
import pandas as pd
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.entities import Metric, Param, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from requests.exceptions import HTTPError, RequestException

from nightshift.errors import AccessDenied, NightshiftError, NotReady, RegistryRefused, Unreachable

ALIAS = "champion"
TRAINING_ID = "nightshift.training_id"
MADE_OF = ("nightshift.spec_sha256", "nightshift.snapshot")  # another of these is another run
LEDGER = "nightshift.ledger."  # and an entry: where the ledger's chain was when that was served
RETIRED = "nightshift.retired"  # as of which night a run's files were marked to go
ANOTHERS = "the ledger knows another run by this number"
MADE_AGAIN = "nightshift.made_again_of"  # the run that the ledger knows, where that is gone
ORPHAN = "nightshift.orphan"  # why nobody will finish a version or a run
MODEL_FOLDER = "model"
EARLIER = "model.skops"  # what every model file was called before it was named by its hash


@dataclass(frozen=True)
class Registered:
    """A version as the registry has it. ``run_id``: as the ledger knows it. ``is_orphan``: tagged so."""

    version: int
    run_id: str
    created: datetime
    is_orphan: bool


def model_files(folder: str, sha256: str) -> tuple[str, str]:
    """Return the path of a model file in its run, by its hash, and the one that an earlier version has it by.

    By its hash: of two tries of a training, each with a fit of its own, none can replace what the other has recorded.
    """
    return f"{folder}/{sha256}.skops", f"{folder}/{EARLIER}"


@dataclass(frozen=True)
class TrainingRun:
    """A training's run as the registry has it. ``is_orphan``: tagged so."""

    run_id: str
    training_id: str
    started: datetime
    is_running: bool
    is_orphan: bool


class Registry:
    """The MLflow server at ``uri``; people reach it at ``public_url``, if that differs."""

    def __init__(self, uri: str, public_url: str | None = None) -> None:
        self.uri = uri
        self.public_url = public_url or uri
        self._client: Any = Client(uri)

    def __repr__(self) -> str:
        return "Registry()"  # the URI may hold a password

    def run_of(self, model: str, training_id: str, *, tags: Mapping[str, str]) -> str:
        """Return the id of the run of this training, started if there is none yet, open again if it had ended.

        A training whose spec was mended since begins a new run: MLflow does not let parameters change.
        """
        experiment = self._experiment(model)
        found = self._client.search_runs(
            [experiment], _has_tag(TRAINING_ID, training_id), order_by=["start_time ASC"]
        )
        wanted = {TRAINING_ID: training_id, **{key: tags[key] for key in MADE_OF if key in tags}}
        for run in found:
            if wanted.items() <= run.data.tags.items():
                self._client.update_run(run.info.run_id, status=RunStatus.to_string(RunStatus.RUNNING))
                return str(run.info.run_id)
        run = self._client.create_run(
            experiment, tags={TRAINING_ID: training_id, **tags}, run_name=training_id
        )
        return str(run.info.run_id)

    def run_again(self, model: str, run_id: str, training_id: str, files: Path | None) -> str:
        """Return the id of a run, or if it is gone of one that is made again of the artifacts in ``files``; once.

        Raises:
            NotReady: it is gone, and there are no files.
        """
        try:
            found = str(self._standing(run_id).info.run_id)
        except NotReady:
            if files is None:
                raise
            tags = {TRAINING_ID: training_id, MADE_AGAIN: run_id}
            run = self._client.create_run(self._experiment(model), tags=tags, run_name=training_id)
            found = str(run.info.run_id)
        if found != run_id and files is not None:  # also of one that was cut short
            with self.ending(found):
                self.log_files(found, files)
        return found

    def _standing(self, run_id: str) -> Any:
        """Return a run, or the one that was made again of its files if it is gone. Raises NotReady if neither is."""
        try:
            return self._client.get_run(run_id)
        except NotReady:
            places = [each.experiment_id for each in self._client.search_experiments()]
            found = self._client.search_runs(places, _has_tag(MADE_AGAIN, run_id), max_results=1)
            if not found:
                raise
            return found[0]

    @contextmanager
    def ending(self, run_id: str) -> Iterator[None]:
        """Mark the run finished after the block, or failed if it raises."""
        try:
            yield
        except BaseException:  # also when a task is ended from outside
            with suppress(NightshiftError):  # what went wrong first is what is told
                self.finish(run_id, failed=True)
            raise
        self.finish(run_id)

    def log(
        self,
        run_id: str,
        *,
        params: Values | None = None,
        metrics: Mapping[str, float | None] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log in one request. Metrics that do not exist (None) are left out, not logged as 0."""
        moment = self._client.get_run(run_id).info.start_time
        self._client.log_batch(
            run_id,
            metrics=[Metric(k, float(v), moment, 0) for k, v in (metrics or {}).items() if v is not None],
            params=[Param(k, str(v)[:500]) for k, v in (params or {}).items()],
            tags=[RunTag(k, str(v)) for k, v in (tags or {}).items()],
        )

    def log_dataset(
        self, run_id: str, *, frame: pd.DataFrame, uri: str, name: str, digest: str, target: str
    ) -> None:
        """Link the run to the snapshot it was trained on."""
        from mlflow.entities import DatasetInput, InputTag

        # Not the URI itself as source: MLflow would guess its kind from the registered ones, and warn.
        source = CodeDatasetSource(tags={"snapshot": uri})
        dataset = mlflow.data.from_pandas(frame, source=source, targets=target, name=name, digest=digest[:32])
        entity = DatasetInput(dataset._to_mlflow_entity(), [InputTag("mlflow.data.context", "training")])
        self._client.log_inputs(run_id, [entity])

    def log_file(self, run_id: str, path: str, content: bytes | str | Jsonable) -> None:
        """Log one artifact: bytes, text, or a mapping as JSON."""
        if isinstance(content, Mapping):
            content = json.dumps(content, indent=2, sort_keys=True)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / Path(path).name
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
            self._client.log_artifact(run_id, str(file), str(Path(path).parent) if "/" in path else None)

    def log_model(
        self,
        run_id: str,
        estimator: Any,
        *,
        example: pd.DataFrame,
        packages: list[str],
        trusted: list[str],
        content: bytes | None = None,
    ) -> bytes:
        """Log a scikit-learn estimator as an MLflow model in skops form; return the bytes of its file.

        The file is named by its hash, so another try of the same training does not replace it. MLflow's own description
        of the model names the file of whoever logged last.

        ``trusted``: the types it may hold, as :func:`nightshift.artifacts.allowed` names them. ``content``: the file
        that the estimator was loaded from, to be kept as it is.
        """
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / MODEL_FOLDER
            mlflow.sklearn.save_model(
                estimator,
                str(target),
                serialization_format="skops",
                skops_trusted_types=trusted,
                signature=mlflow.models.infer_signature(example),
                # Given, so that MLflow does not start a process of its own to guess them.
                pip_requirements=packages,
            )
            written = (target / EARLIER).read_bytes() if content is None else content
            _name_by_hash(target, written)
            self._client.log_artifacts(run_id, str(target), MODEL_FOLDER)
            return written

    def log_files(self, run_id: str, folder: Path) -> None:
        """Log all files of a folder, as the artifacts of a run or in their place."""
        self._client.log_artifacts(run_id, str(folder))

    def log_model_file(self, run_id: str, folder: str, content: bytes) -> None:
        """Log one more model file with a run, in a folder of its own, by its hash."""
        self.log_file(run_id, _by_hash(folder, content), content)

    def model_bytes(self, run_id: str, sha256: str, folder: str = MODEL_FOLDER) -> bytes:
        """Return the model file of a run that was recorded by this hash, unopened and not compared with it.

        Raises:
            NotReady: the run is gone, or has no such file.
        """
        named, earlier = model_files(folder, sha256)
        standing = str(self._standing(run_id).info.run_id)
        # Listed, not tried: MLflow would be asked again and again for what an earlier version does not have.
        listed = {file.path for file in self._client.list_artifacts(standing, folder)}
        return self.file(standing, earlier if earlier in listed and named not in listed else named)

    def files(self, run_id: str) -> set[str]:
        """Return the names of a run's artifacts, those in folders left out."""
        return {file.path for file in self._client.list_artifacts(run_id) if not file.is_dir}

    def file(self, run_id: str, path: str) -> bytes:
        """Return one artifact of a run, unopened.

        Raises:
            NotReady: the run has no such artifact.
        """
        with tempfile.TemporaryDirectory() as folder:
            try:
                return Path(self._client.download_artifacts(run_id, path, folder)).read_bytes()
            except (Unreachable, RegistryRefused, NotReady):
                again = str(self._standing(run_id).info.run_id)
                if again != run_id:
                    return self.file(again, path)
                # MLflow tells an artifact that is not there from a server that fails in words only.
                listed = self._client.list_artifacts(run_id, str(Path(path).parent) if "/" in path else None)
                if path in {file.path for file in listed}:
                    raise
                raise NotReady(f"run {run_id}: no artifact {path} in the registry") from None

    def register(
        self, model: str, run_id: str, *, tags: Mapping[str, str], taken: Collection[int] = ()
    ) -> int:
        """Return the version of ``model`` made of this run, registered if there is none yet.

        ``taken``: numbers that the ledger knows for other runs. A registry that was restored from an older backup hands
        them out again; a version that gets one is tagged as an orphan, and the next number is asked for.
        """
        self._ensure_model(model)
        existing = self._client.search_model_versions(f"name = '{model}' and run_id = '{run_id}'")
        free = {int(version.version) for version in existing} - {*taken}
        run = self._client.get_run(run_id)
        source = f"{run.info.artifact_uri}/{MODEL_FOLDER}"
        again = {MADE_AGAIN: run.data.tags[MADE_AGAIN]} if MADE_AGAIN in run.data.tags else {}
        while not free:
            created = self._client.create_model_version(
                model, source, run_id=run_id, tags={**again, **tags}, await_creation_for=0
            )
            free = {int(created.version)} - {*taken}
            if not free:
                self.orphan_version(model, int(created.version), ANOTHERS)
        return min(free)

    def artifact_key(self, run_id: str, path: str) -> str:
        """Return where the server's own store of files has an artifact, below its root."""
        uri = str(self._standing(run_id).info.artifact_uri)
        return f"{uri.partition('mlflow-artifacts:')[2].strip('/')}/{path}"

    def finish(self, run_id: str, *, failed: bool = False) -> None:
        """Mark the run finished, or failed."""
        self._client.set_terminated(
            run_id, RunStatus.to_string(RunStatus.FAILED if failed else RunStatus.FINISHED)
        )

    def champion(self, model: str) -> int | None:
        """Return the version that the alias points at, or None."""
        try:
            return int(self._client.get_model_version_by_alias(model, ALIAS).version)
        except (NotReady, RegistryRefused) as error:
            if _code(error) in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return None
            raise

    def promote(self, model: str, version: int) -> None:
        """Point the alias at ``version``. Only after the ledger says so."""
        self._client.set_registered_model_alias(model, ALIAS, str(version))

    def anchor(self, model: str, version: int, entry: int, anchor: str) -> None:
        """Keep where the ledger's chain was at an entry, with the version that it made champion."""
        self._client.set_model_version_tag(model, str(version), f"{LEDGER}{entry}", anchor)

    def anchors(self, model: str) -> dict[int, str]:
        """Return what was kept of the ledger, by entry."""
        return {
            int(key.removeprefix(LEDGER)): value
            for version in self._versions(model)
            for key, value in version.tags.items()
            if re.fullmatch(re.escape(LEDGER) + "[0-9]+", key) and re.fullmatch("[0-9]+:[0-9a-f]{64}", value)
        }

    def tag_version(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """Set tags on a version, for people who look at the registry."""
        for key, value in tags.items():
            self._client.set_model_version_tag(model, str(version), key, value)

    def withdraw(self, model: str) -> None:
        """Remove the alias: nobody was ever promoted."""
        self._client.delete_registered_model_alias(model, ALIAS)

    def knows(self, model: str) -> bool:
        """Return whether there is a registered model of this name."""
        try:
            self._client.get_registered_model(model)
        except NotReady:
            return False
        return True

    def rename(self, model: str, new: str) -> None:
        """Rename a registered model, with its versions and alias, and its experiment; once."""
        experiment = self._client.get_experiment_by_name(model)
        if experiment is not None:
            self._client.rename_experiment(experiment.experiment_id, new)
        if self.knows(model):
            self._client.rename_registered_model(model, new)

    def versions(self, model: str) -> list[Registered]:
        """Return every version of ``model``, ascending."""
        found = [
            Registered(
                int(v.version),
                v.tags.get(MADE_AGAIN, v.run_id),
                _instant(v.creation_timestamp),
                ORPHAN in v.tags,
            )
            for v in self._versions(model)
        ]
        return sorted(found, key=lambda version: version.version)

    def _versions(self, model: str) -> Iterator[Any]:
        token = None
        while True:
            page = self._client.search_model_versions(f"name = '{model}'", max_results=200, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def unfinished(self, model: str) -> list[TrainingRun]:
        """Return the trainings' runs of ``model`` that run, or are tagged as orphans."""
        experiment = self._client.get_experiment_by_name(model)
        if experiment is None:
            return []
        wanted = ("attributes.status = 'RUNNING'", f"tags.`{ORPHAN}` != ''")
        runs = {
            run.info.run_id: run
            for condition in wanted
            for run in self._client.search_runs([experiment.experiment_id], condition, max_results=1000)
            if TRAINING_ID in run.data.tags
        }
        return [
            TrainingRun(
                run_id,
                run.data.tags[TRAINING_ID],
                _instant(run.info.start_time),
                run.info.status == "RUNNING",
                bool(run.data.tags.get(ORPHAN)),
            )
            for run_id, run in sorted(runs.items())
        ]

    def orphan_version(self, model: str, version: int, why: str) -> None:
        """Tag a version as one that no training will finish."""
        self._client.set_model_version_tag(model, str(version), ORPHAN, why)

    def orphan_run(self, run_id: str, why: str) -> None:
        """Tag a run as one that no training will finish, and end it as killed."""
        self._client.set_tag(run_id, ORPHAN, why)
        self._client.set_terminated(run_id, RunStatus.to_string(RunStatus.KILLED))

    def retire_run(self, run_id: str, as_of: str) -> None:
        """Tag a run whose files are to go: where MLflow's database is, ``nightshift retention`` removes it."""
        self._client.set_tag(self._standing(run_id).info.run_id, RETIRED, as_of)

    def bytes_of(self, run_id: str) -> int | None:
        """Return the bytes of a run's files; None: the run is deleted, or gone."""
        try:
            run = self._standing(run_id)
        except NotReady:
            return None
        return self._bytes_below(run.info.run_id, None) if run.info.lifecycle_stage == "active" else None

    def _bytes_below(self, run_id: str, folder: str | None) -> int:
        return sum(
            self._bytes_below(run_id, file.path) if file.is_dir else int(file.file_size or 0)
            for file in self._client.list_artifacts(run_id, folder)
        )

    def adopt_version(self, model: str, version: int) -> None:
        """Take the tag off a version that a retry has finished after all."""
        self._client.delete_model_version_tag(model, str(version), ORPHAN)

    def adopt_run(self, run_id: str) -> None:
        """Take the tag off a run that a retry has finished after all."""
        self._client.delete_tag(run_id, ORPHAN)

    def url(self, run_id: str) -> str:
        """Return the page of a run."""
        run = self._standing(run_id).info
        return f"{self.public_url.rstrip('/')}/#/experiments/{run.experiment_id}/runs/{run.run_id}"

    def _experiment(self, model: str) -> str:
        found = self._client.get_experiment_by_name(model)
        if found:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(model))
        except RegistryRefused as error:  # two first trainings at once
            if _code(error) != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self._client.get_experiment_by_name(model).experiment_id)

    def _ensure_model(self, model: str) -> None:
        try:
            self._client.create_registered_model(model)
        except RegistryRefused as error:
            if _code(error) != "RESOURCE_ALREADY_EXISTS":
                raise


class Client:
    """MLflow's own client; its errors are ours."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def ask(*arguments: Any, **options: Any) -> Any:
            try:
                return method(*arguments, **options)
            except (MlflowException, RequestException) as error:
                raise _ours(error, name) from error

        return ask


def _by_hash(folder: str, content: bytes) -> str:
    return model_files(folder, hashlib.sha256(content).hexdigest())[0]


def _name_by_hash(target: Path, content: bytes) -> None:
    """Rename the model file in a folder of MLflow's, with these bytes in it, and where the folder tells of it."""
    name = Path(_by_hash(MODEL_FOLDER, content)).name
    (target / EARLIER).unlink()
    (target / name).write_bytes(content)
    told = mlflow.models.Model.load(str(target))
    told.flavors["sklearn"]["pickled_model"] = told.flavors["python_function"]["model_path"] = name
    told.save(str(target / "MLmodel"))


def _ours(error: MlflowException | RequestException, asked: str) -> NightshiftError:
    """Return the error of ours that says what an error of MLflow's client means."""
    status, said = _status(error), f"{asked}: {str(error)[:500]}"
    if status is None or status >= 500 or status in {408, 429}:
        return Unreachable(
            f"MLflow cannot be reached, or fails: {said}. Is it up? See 'MLflow is down' in the runbooks"
        )
    if status in {401, 403}:
        return AccessDenied(
            f"MLflow refuses us ({status}): {said}. Check login and password of the connection `mlflow`, what its user "
            "may do, and that the server allows this host name (--allowed-hosts)"
        )
    if status == 404:
        return NotReady(f"not in MLflow: {said}")
    return RegistryRefused(f"MLflow refuses what is asked ({status}): {said}")


def _status(error: MlflowException | RequestException) -> int | None:
    """Return the HTTP status of what was answered; None where nothing was."""
    if isinstance(error, MlflowException):
        return int(error.get_http_status_code())
    return error.response.status_code if isinstance(error, HTTPError) and error.response is not None else None


def _code(error: NightshiftError) -> str | None:
    return getattr(error.__cause__, "error_code", None)


def _has_tag(key: str, value: str) -> str:
    """Return the search for runs with this tag. A value that MLflow's syntax cannot quote may find others as well."""
    pattern = re.sub(r"['\"\\%\x00-\x1f]", "_", value)
    return f"tags.`{key}` {'=' if pattern == value else 'LIKE'} '{pattern}'"


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
