"""The bill of materials of a version, as CycloneDX 1.6: the packages it stands on, each with its licence."""

import json
from collections.abc import Sequence
from typing import Any

from nightshift.cards.record import Record
from nightshift.environment import Package


def sbom(record: Record, packages: Sequence[Package]) -> bytes:
    """Return the bill of materials as JSON, the same bytes for the same version and packages."""
    version = record.version
    model = f"model/{record.id}"
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "machine-learning-model",
                "bom-ref": model,
                "name": record.spec.name,
                "version": str(version.version),
                "description": record.spec.description,
                "hashes": [{"alg": "SHA-256", "content": version.artifact_sha256}],
            }
        },
        "components": [_component(package) for package in packages],
        "dependencies": [{"ref": model, "dependsOn": [_purl(package) for package in packages]}],
    }
    return json.dumps(content, indent=2, sort_keys=True).encode()


def _component(package: Package) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(package),
        "name": package.name,
        "version": package.version,
        "purl": _purl(package),
    }
    if package.licence:
        # An expression is SPDX; a name is what the package calls its licence.
        licence: dict[str, Any] = {"license": {"name": package.licence}}
        found["licenses"] = [{"expression": package.licence} if package.spdx else licence]
    return found


def _purl(package: Package) -> str:
    # A purl's version is percent-encoded: the + of a local version would be read as a space.
    return f"pkg:pypi/{package.name.lower().replace('_', '-')}@{package.version.replace('+', '%2B')}"
