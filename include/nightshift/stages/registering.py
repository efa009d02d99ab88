"""A champion that the registry has lost, registered again: by its number, of the very files that the ledger knows."""

from pathlib import Path

from nightshift import artifacts
from nightshift.errors import ArtifactRefused, LedgerMismatch, NotReady, RequestError
from nightshift.govern import Ledger
from nightshift.govern.ledger import no_champion
from nightshift.platform import Platform
from nightshift.platform.fitted import JUDGED_FOLDER
from nightshift.platform.papers import version_row
from nightshift.records.versions import Version
from nightshift.registry import MODEL_FOLDER, model_files


def register_again(platform: Platform, name: str, files: Path | None) -> str:
    """Register the champion of the ledger where the registry has it no more; return in words what was done.

    ``files``: the folder of its run's artifacts, where the run or its files are gone as well: they are put back, of a
    run that is made again if need be. Also those of a version that is still registered. The alias is left to a
    reconciliation.

    Raises:
        NotReady: there is no champion, or the run or its files are gone and ``files`` names no folder.
        ArtifactRefused: a file is not the one that the ledger knows.
        LedgerMismatch: the registry has given the version's number to another run, or one behind it: no version can
            have it again.
        RequestError: the folder has no such file.
    """
    model = platform.project.model(name)
    head = Ledger(platform.warehouse, model.name).head()
    if head is None:
        raise no_champion(name)
    row, there = version_row(platform, name, head.version), platform.registry.versions(name)
    is_registered = (row.version, row.mlflow_run_id) in {(each.version, each.run_id) for each in there}
    newest = max((each.version for each in there), default=0)
    if newest >= row.version and not is_registered:
        raise _number_is_gone(row, newest)
    run_id, put_back = _run_with_files(platform, row, files)
    if is_registered:
        return f"{name}: version {row.version} is registered, of the run that the ledger knows{put_back}"
    given = platform.registry.register(name, run_id, tags={}, taken=range(1, row.version))
    if given != row.version:  # MLflow counts deleted versions too
        platform.registry.orphan_version(name, given, f"made to be version {row.version} again")
        raise _number_is_gone(row, given)
    made = "" if run_id == row.mlflow_run_id else f", made again of {files}"
    return f"{name}: version {row.version} registered again, of run {run_id}{made or put_back}"


def require_registered(platform: Platform, name: str, version: int) -> None:
    """Raise LedgerMismatch unless the registry has a version of its run, with its files: it is to serve again."""
    row = version_row(platform, name, version)
    known = {each.version: each.run_id for each in platform.registry.versions(name)}
    why = (
        "the registry has given its number to another run"
        if version in known
        else "it is gone from the registry"
    )
    if known.get(version) == row.mlflow_run_id:
        if _has_files(platform, row):
            return
        why = f"the registry has lost files of its run {row.mlflow_run_id}"
    raise LedgerMismatch(
        f"model '{name}': version {version} cannot serve: {why}. Nothing was changed. Restore MLflow from a backup "
        f"that has it, name another former champion, or trigger train_{name}"
    )


def _number_is_gone(row: Version, newest: int) -> LedgerMismatch:
    name = row.model
    return LedgerMismatch(
        f"model '{name}': the registry has given numbers up to {newest}, so no version can be {row.version} again. "
        f"Trigger rollback_{name} to a version that it has, or train_{name}; the champion's file goes on as a new "
        f"version by `nightshift import {name} FILE --trained-until {row.trained_until}`"
    )


def _run_with_files(platform: Platform, row: Version, files: Path | None) -> tuple[str, str]:
    """Return the id of the version's run, or of the one made again, with its files; and in words if they are put back.

    Raises:
        NotReady, ArtifactRefused, RequestError: as :func:`register_again`.
    """
    if files is None:
        _require_files(platform, row, None)
    if files is None or _has_files(platform, row):
        return platform.registry.run_again(row.model, row.mlflow_run_id, row.training_id, None), ""
    _require_files(platform, row, files)
    run_id = platform.registry.run_again(row.model, row.mlflow_run_id, row.training_id, files)
    if not _has_files(platform, row):  # the run is there, and its files are not
        platform.registry.log_files(run_id, files)
        _require_files(platform, row, None)
    return run_id, f"; its files are put back, of {files}"


def _has_files(platform: Platform, row: Version) -> bool:
    try:
        _require_files(platform, row, None)
    except (NotReady, ArtifactRefused):
        return False
    return True


def _require_files(platform: Platform, row: Version, files: Path | None) -> None:
    """Raise ArtifactRefused unless what the version serves by, and was judged by, are the files of the ledger."""
    wanted = {MODEL_FOLDER: row.artifact_sha256}
    if row.refit:
        wanted[JUDGED_FOLDER] = row.refit.judged_sha256
    for folder, digest in wanted.items():
        content = _content(platform, row, files, folder, digest)
        artifacts.check_sha256(content, digest, f"the file in {folder}/ of version {row.version}")


def _content(platform: Platform, row: Version, files: Path | None, folder: str, digest: str) -> bytes:
    path, earlier = model_files(folder, digest)
    if files is None:
        try:
            return platform.registry.model_bytes(row.mlflow_run_id, digest, folder)
        except NotReady as error:
            raise NotReady(
                f"model '{row.model}': run {row.mlflow_run_id} of version {row.version} is not in MLflow, or has no "
                f"{path}. Give the folder of its artifacts with --files: where MLflow stored them, "
                f".../{row.mlflow_run_id}/artifacts, or a copy of it"
            ) from error
    try:
        held = [each for each in (path, earlier) if (files / each).exists()]
        return (files / (held or [path])[0]).read_bytes()
    except OSError as error:
        raise RequestError(
            f"--files {files}: no {path} ({error.strerror}); expected the artifacts of run {row.mlflow_run_id}"
        ) from error
