"""Forms with files (multipart/form-data), read within bounds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

# Of a DICOM folder.
_MOST_FILES = 10_000
_LARGEST_FIELD = 2**20


@asynccontextmanager
async def read_form(request: Request) -> AsyncIterator[FormData]:
    """Yields the form of a request; its files are gone afterwards.

    Raises:
        HTTPException: 415 or 400 if it is no form, or has too many parts.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(415, "expected a form with files, multipart/form-data")
    try:
        form = await request.form(max_files=_MOST_FILES, max_fields=100, max_part_size=_LARGEST_FIELD)
    except (MultiPartException, ValueError, KeyError) as error:
        raise HTTPException(400, f"the form cannot be read ({error})") from None
    try:
        yield form
    finally:
        await form.close()


def file_form(**fields: str) -> dict:
    """What the description of a call says of its form: the fields, each with a text; those with `file` are files.

    >>> file_form(files="file: the scan")["requestBody"]["required"]
    True
    """
    properties = {
        name: {"type": "string", "description": text} | ({"format": "binary"} if text.startswith("file") else {})
        for name, text in fields.items()
    }
    schema = {"type": "object", "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
