"""What a bucket keeps beyond what it lists: earlier versions, marks of deletion, uploads that were cut off.

S3 and its like list the objects of today. A bucket that keeps versions has, behind a deletion, each object whole; and
an upload in parts that nobody completed is there, and listed nowhere but among uploads. All of it can be asked for by
name and removed for good, one version at a time; then the bucket is asked once more.

Refused, by the remote's name: a bucket that locks objects for a time, or copies them to another bucket, where nothing
here could reach them; and versions that it does not let go of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from provenance.errors import Conflict

if TYPE_CHECKING:
    from s3fs import S3FileSystem

_AT_ONCE = 1000  # versions in one request, as the interface allows
_NOT_SO = (  # codes of answers that say there is no such thing: of the service, or of this bucket
    "ObjectLockConfigurationNotFoundError", "ReplicationConfigurationNotFoundError", "NotImplemented",
    "MethodNotAllowed", "NoSuchReplicationConfiguration",
)  # fmt: skip

# Whether it is a version or a mark of deletion; key; id. Marks go first: what is left of a removal that is cut off is
# an object that lists show again.
Kept = tuple[int, str, str]


class Bucket:
    """The part of a bucket under one path."""

    def __init__(self, said: str, fs: S3FileSystem, path: str) -> None:
        """Raises Conflict for a bucket that keeps what it is told to remove. `said` is the remote's name."""
        self._said, self._fs = said, fs
        self._bucket, inner, _ = fs.split_path(path)
        self._prefix = inner.rstrip("/") + "/"
        self._insist_forgets()
        self._keeps = "Status" in fs.call_s3("get_bucket_versioning", Bucket=self._bucket)  # suspended ones have some

    def kept(self) -> dict[str, list[Kept]]:
        """Versions and marks of deletion, the present ones among them, by path under this one."""
        found: dict[str, list[Kept]] = {}
        if self._keeps:
            for page in self._pages("list_object_versions", "KeyMarker", "VersionIdMarker"):
                for is_version, name in enumerate(("DeleteMarkers", "Versions")):
                    for each in page.get(name, ()):
                        inner = each["Key"].removeprefix(self._prefix)
                        found.setdefault(inner, []).append((is_version, each["Key"], each["VersionId"]))
        return found

    def forget(self, kept: Collection[Kept]) -> None:
        """Remove these for good. Raises Conflict with how many stayed."""
        versions = sorted(kept)
        for start in range(0, len(versions), _AT_ONCE):
            objects = [{"Key": key, "VersionId": id} for _, key, id in versions[start : start + _AT_ONCE]]
            said = self._fs.call_s3("delete_objects", Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
            if stayed := len(said.get("Errors", ())):
                raise Conflict(
                    f"{self._said} does not let go of {stayed} versions of what was removed: wanted the right to "
                    "remove versions for good (s3:DeleteObjectVersion)"
                )

    def cut_off(self) -> list[tuple[str, str]]:
        """Uploads that were begun and not completed: key and id."""
        pages = self._pages("list_multipart_uploads", "KeyMarker", "UploadIdMarker")
        return [(each["Key"], each["UploadId"]) for page in pages for each in page.get("Uploads", ())]

    def abort(self, uploads: Collection[tuple[str, str]]) -> None:
        """Have the bucket let go of what came in of these."""
        for key, id in uploads:
            self._fs.call_s3("abort_multipart_upload", Bucket=self._bucket, Key=key, UploadId=id)

    def __repr__(self) -> str:
        return f"Bucket({self._said})"

    def _insist_forgets(self) -> None:
        lock = self._asked("get_object_lock_configuration").get("ObjectLockConfiguration", {})
        if "Rule" in lock:
            raise Conflict(f"{self._said} lies in a bucket that locks objects for a time: wanted one that forgets")
        replicated = self._asked("get_bucket_replication").get("ReplicationConfiguration", {})
        if any(rule.get("Status") == "Enabled" for rule in replicated.get("Rules", ())):
            raise Conflict(
                f"{self._said} lies in a bucket that copies its objects to another one, which no disposal reaches: "
                "wanted one that does not, and the other as a remote of its own"
            )

    def _asked(self, method: str) -> Mapping[str, Any]:
        try:
            return self._fs.call_s3(method, Bucket=self._bucket)
        except OSError as error:  # s3fs has the service's own answer as the cause
            answer = getattr(error.__cause__, "response", {})
            if answer.get("Error", {}).get("Code") in _NOT_SO:
                return {}
            raise

    def _pages(self, method: str, *markers: str) -> Iterator[Mapping[str, Any]]:
        at: dict[str, str] = {}
        while True:
            page = self._fs.call_s3(method, Bucket=self._bucket, Prefix=self._prefix, **at)
            yield page
            if not page.get("IsTruncated"):
                return
            at = {marker: page[f"Next{marker}"] for marker in markers if page.get(f"Next{marker}")}
