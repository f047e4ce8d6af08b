"""The store enforces what evidence relies on; a store that does not is no stand-in for one."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.world.s3 import S3

pytestmark = pytest.mark.real
BUCKET = "evidence"


@pytest.fixture(scope="module")
def bucket(s3: S3) -> Any:
    s3.create_locked_bucket(BUCKET)
    return s3.client()


def refused(code: str) -> Any:
    return pytest.raises(ClientError, match=code)


def test_an_object_under_lock_is_not_deleted_before_its_time(bucket: Any) -> None:
    # Retention has to end in the store's own future; a year is more than any run.
    until = datetime(2099, 1, 1, tzinfo=UTC) - timedelta(days=1)
    version = bucket.put_object(
        Bucket=BUCKET,
        Key="locked",
        Body=b"kept",
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=until,
    )["VersionId"]
    with refused("AccessDenied"):
        bucket.delete_object(Bucket=BUCKET, Key="locked", VersionId=version)
    assert bucket.get_object(Bucket=BUCKET, Key="locked", VersionId=version)["Body"].read() == b"kept"


def test_overwriting_a_locked_object_leaves_its_version_readable(bucket: Any) -> None:
    until = datetime(2099, 1, 1, tzinfo=UTC)
    first = bucket.put_object(
        Bucket=BUCKET,
        Key="twice",
        Body=b"first",
        ObjectLockMode="GOVERNANCE",
        ObjectLockRetainUntilDate=until,
    )["VersionId"]
    bucket.put_object(Bucket=BUCKET, Key="twice", Body=b"second")
    assert bucket.get_object(Bucket=BUCKET, Key="twice", VersionId=first)["Body"].read() == b"first"


def test_a_body_that_does_not_match_its_checksum_is_not_stored(bucket: Any) -> None:
    other = base64.b64encode(hashlib.sha256(b"something else").digest()).decode()
    with refused("BadDigest|XAmzContentChecksumMismatch|InvalidDigest"):
        bucket.put_object(Bucket=BUCKET, Key="truncated", Body=b"some", ChecksumSHA256=other)
    with refused("404|NoSuchKey"):
        bucket.get_object(Bucket=BUCKET, Key="truncated")


def test_a_conditional_put_lets_exactly_one_writer_win(bucket: Any) -> None:
    bucket.put_object(Bucket=BUCKET, Key="chain/1", Body=b"mine", IfNoneMatch="*")
    with refused("PreconditionFailed|412"):
        bucket.put_object(Bucket=BUCKET, Key="chain/1", Body=b"theirs", IfNoneMatch="*")
    assert bucket.get_object(Bucket=BUCKET, Key="chain/1")["Body"].read() == b"mine"


def test_a_wrong_secret_opens_nothing(s3: S3, bucket: Any) -> None:
    with refused("SignatureDoesNotMatch"):
        s3.client(secret_key="wrong").list_objects_v2(Bucket=BUCKET)


def test_encryption_at_rest_is_answered_for(bucket: Any) -> None:
    answer = bucket.put_object(Bucket=BUCKET, Key="sealed", Body=b"x", ServerSideEncryption="AES256")
    assert answer["ServerSideEncryption"] == "AES256"


def test_objects_survive_a_kill_of_the_store(s3: S3, bucket: Any) -> None:
    bucket.put_object(Bucket=BUCKET, Key="survivor", Body=b"here")
    s3.kill()
    s3.start()
    assert s3.client().get_object(Bucket=BUCKET, Key="survivor")["Body"].read() == b"here"
