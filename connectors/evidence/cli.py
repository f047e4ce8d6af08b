"""`saveline evidence`: whether the stored evidence is what it was when it was stored."""

import json
from pathlib import Path
from typing import Annotated

import boto3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cyclopts import App, Parameter

from connectors.evidence.store import Store, StoreError
from connectors.evidence.verify import Report, verify

app = App(name="evidence", help="What was sealed, and whether it still is what it was.")


@app.command(name="verify")
def verify_command(
    case: str = "",
    *,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    bucket: Annotated[str, Parameter(env_var="EVIDENCE_BUCKET")],
    public_key: Annotated[list[Path], Parameter(env_var="EVIDENCE_PUBLIC_KEY")],
    endpoint: Annotated[str | None, Parameter(env_var="S3_ENDPOINT")] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Verify CASE, or everything with --all, from the bucket and the public keys (PEM) alone.

    Credentials come from where S3 clients look for them (AWS_ACCESS_KEY_ID and so on).
    """
    if bool(case) == every:
        print("Name a case, or give --all.")
        return 2
    keys = [load_pem_public_key(path.read_bytes()) for path in public_key]
    wrong = [
        str(path) for path, key in zip(public_key, keys, strict=True) if not isinstance(key, Ed25519PublicKey)
    ]
    if wrong:
        print(f"No Ed25519 public key: {', '.join(wrong)}")
        return 2
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    try:
        report = verify(Store(client, bucket), [k for k in keys if isinstance(k, Ed25519PublicKey)], case)
    except StoreError as error:
        print(f"The store cannot be read: {error}")
        return 2
    print(_told(report, as_json=as_json))
    return 0 if report.holds else 1


def _told(report: Report, *, as_json: bool) -> str:
    if as_json:
        fields = {name: getattr(report, name) for name in report.__struct_fields__}
        return json.dumps({**fields, "holds": report.holds})
    what = f"{report.links} links, {report.objects} objects, {report.size_bytes} bytes, {len(report.cases)} cases"
    return "\n".join([what, *report.faults, "evidence holds" if report.holds else "EVIDENCE DOES NOT HOLD"])
