"""One file from a model hub: cache first, quick to fail without a network."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from drfuse_cli.errors import DrfuseError
from drfuse_cli.weights_file import weights_error

SCHEME = "hf://"
MAX_DOWNLOAD_BYTES = 1 << 30
"""Weights of this project are some megabytes; a larger file is the wrong file."""

_ADDRESS = re.compile(r"hf://(?P<repo>[^/@]+/[^/@]+)(?:@(?P<revision>[^/@]+))?/(?P<file>.+)")
_ADDRESS_HINT = "Write hf://owner/repo/file.safetensors or hf://owner/repo@revision/file."
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REACH_SECONDS = 5.0


@dataclass(frozen=True)
class HubFile:
    """The address ``hf://owner/repo[@revision]/path/to/file``, taken apart."""

    repo: str
    revision: str | None
    file: str
    spec: str

    @classmethod
    def parse(cls, spec: str) -> HubFile:
        """Take an address apart; a slash within the revision is written ``%2F``."""
        match = _ADDRESS.fullmatch(spec)
        if match is None:
            raise weights_error("this is not a hub address", spec, _ADDRESS_HINT)
        revision = match["revision"] and unquote(match["revision"])
        for part in (match["file"], revision or "main"):
            if _leaves_its_folder(part):
                raise weights_error(f"{part!r} is not a plain relative path", spec, _ADDRESS_HINT)
        return cls(match["repo"], revision, match["file"], spec)


def fetch(spec: str, *, refresh: bool = False) -> Path:
    """The local path of a hub file, from the cache where it lies there.

    ``refresh`` asks the hub again and downloads anew. The endpoint, token, cache and offline
    mode are those of huggingface_hub (``HF_ENDPOINT``, ``HF_TOKEN``, ``HF_HOME``,
    ``HF_HUB_OFFLINE``). Raises DrfuseError naming the address.
    """
    address = HubFile.parse(spec)
    try:
        cached = None if refresh else _from_cache(address)
        return cached or _download(address, force=refresh)
    except DrfuseError:
        raise
    except Exception as error:  # the hub's client raises OSError, ValueError and its own
        message, hint = _explain(error, address)
        raise weights_error(message, spec, hint) from error


def stored_digest(path: Path) -> str | None:
    """The sha256 that the hub promised for a cached file, where the cache recorded one."""
    if not path.is_symlink():
        return None
    # One level only: the cache names a blob by its ETag, which is the sha256 of large files.
    name = Path(os.readlink(path)).name
    return name if _SHA256.fullmatch(name) else None


def _from_cache(address: HubFile) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(address.repo, address.file, revision=address.revision)
    return Path(found) if isinstance(found, str) else None


def _download(address: HubFile, *, force: bool) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    # hf_hub_download retries for 24 s without a network; one request shows whether it is there.
    url = hf_hub_url(address.repo, address.file, revision=address.revision)
    size = get_hf_file_metadata(url, timeout=_reach_seconds()).size
    if size is not None and size > MAX_DOWNLOAD_BYTES:
        raise weights_error(
            f"the file has {size / 1e9:.1f} GB, too large for drfuse weights",
            address.spec,
            "Check the path within the repository.",
        )
    return Path(
        hf_hub_download(address.repo, address.file, revision=address.revision, force_download=force)
    )


def _reach_seconds() -> float:
    from huggingface_hub import constants

    chosen = "HF_HUB_ETAG_TIMEOUT" in os.environ
    return float(constants.HF_HUB_ETAG_TIMEOUT) if chosen else _REACH_SECONDS


def _explain(error: Exception, address: HubFile) -> tuple[str, str]:
    """What went wrong and what to do, for an exception of the hub's client."""
    from huggingface_hub import constants, errors

    repo, revision = address.repo, address.revision or "main"
    status = getattr(getattr(error, "response", None), "status_code", None)
    reason = f"{type(error).__name__}: {str(error).strip()[:200].partition(chr(10))[0]}"
    sign_in = "Check the name; for a private repository set HF_TOKEN or run `hf auth login`."
    by_hand = "Or download the file elsewhere and pass its path to --weights."
    uncached = "the file is not in the local cache"
    match error:
        case errors.OfflineModeIsEnabled():
            return f"{uncached} and offline mode is on", f"Unset HF_HUB_OFFLINE. {by_hand}"
        case errors.GatedRepoError():
            return f"{repo} is gated", f"Accept its terms on the hub, then sign in. {sign_in}"
        case errors.RevisionNotFoundError():
            return f"{repo} has no revision {revision!r}", "Give a branch, tag or full commit hash."
        case errors.RemoteEntryNotFoundError():
            return (
                f"{repo} at {revision} has no file {address.file!r}",
                "Check the path; case counts.",
            )
        case errors.HFValidationError():
            return f"{repo!r} is not a repository name", _ADDRESS_HINT
        case errors.RepositoryNotFoundError():
            return f"there is no repository {repo}, or it is private (HTTP {status})", sign_in
        case errors.HfHubHTTPError() if status in (401, 403):
            return f"the hub refused access to {repo} (HTTP {status})", sign_in
        case errors.HfHubHTTPError():
            return f"the hub answered HTTP {status}", f"Try again later. {by_hand}"
        case OSError():
            return f"the download failed ({reason})", f"Check the disk and try again. {by_hand}"
    endpoint = constants.ENDPOINT
    message = f"{uncached} and {endpoint} cannot be reached ({reason})"
    return message, f"Check the network or HF_ENDPOINT. {by_hand}"


def _leaves_its_folder(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return path.startswith("/") or ".." in parts or "\\" in path or "\0" in path
