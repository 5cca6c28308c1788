"""The octets of files: how they come and how they go.  What is said of files are commands and a list (COL-09)."""

from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from chassis.commands.idempotency import Sent, sent_print
from chassis.http.edge import Api
from chassis.http.messages import ANSWER_SECONDS, HttpRequest, HttpResponse
from chassis.http.requests import require_only
from chassis.http.service_routes import ServiceRoute
from chassis.messaging.consistency import HEADER
from chassis.model.known_records import KnownRecord, place_of
from chassis.store.event_store import EventStore
from contracts.collaboration import DOWNLOAD_FILE, UPLOAD_FILE, RegisterFile
from contracts.declare import REGISTRY
from contracts.errors import Refused, not_found
from contracts.ids import new_id, parse_id
from contracts.permissions import COLLEAGUE
from contracts.personal import is_erased
from contracts.schemas import can_be, decode
from services.collaboration.application import ATTACHMENT, FILE
from services.collaboration.domain import Attachment, Uploader, uploader
from services.collaboration.subjects import SUBJECTS
from services.collaboration.upkeep import is_there

SERVICE = "collaboration"
REGISTER = REGISTRY.command_of(RegisterFile)


class UploadedFile(msgspec.Struct, frozen=True):
    """A file that is kept for a day, until it is attached: its octets' number and digest, and what its content is."""

    id: UUID
    size: int
    sha256: str
    media_type: str


def upload(api: Api, http: HttpRequest) -> HttpResponse:
    """Keep the body of the request as a file of the caller, and register it."""
    writer, file_id = api.writers[SERVICE], new_id()
    with api.attempt(writer, http, "COMMAND", UPLOAD_FILE, FILE, str(file_id)) as attempt:
        caller = api.caller(http, COLLEAGUE, attempt)
        require_only(http)
        if caller.user_id and (known := writer.store.load(Uploader, uploader(caller.user_id))):
            known.require_room(api.clock())  # before anything is received; it is asked again when it is registered
        with api.files.receive(http, caller.user_id) as file:
            about: dict[str, Any] = {"size": file.size, "sha256": file.sha256, "media_type": file.media_type}
            sent = Sent(http.headers.get("idempotency-key"), sent_print(REGISTER, about))
            command = RegisterFile(file_id=file_id, **about)
            request = api.request(REGISTER, command, caller, http, sent=sent, match=None)
            answer = writer.remembered(request.command_id, sent.mark) if sent.key else None
            if answer is None:
                api.files.keep(file_id, file)
    answer = answer or writer.submit(request).result(timeout=ANSWER_SECONDS)
    told = UploadedFile(UUID(answer.body["id"]), **about)  # with a key of before: the file of before
    return HttpResponse(201, msgspec.json.encode(told), {HEADER: str(api.token_of(answer))})


def download(api: Api, http: HttpRequest) -> HttpResponse:
    """The octets of an attachment, for whom its record is seen by; each time is noted (SEC-21)."""
    writer, text = api.writers[SERVICE], http.path["attachment_id"]
    with api.attempt(writer, http, "READ", DOWNLOAD_FILE, ATTACHMENT, text) as attempt:
        token = api.token(http)
        caller = api.caller(http, COLLEAGUE, attempt, partial(api.wait_for_replicas, writer, token, http=http))
        require_only(http)
        unknown = not_found(ATTACHMENT, "attachment_id")
        if not can_be(REGISTRY.commands["DeleteAttachment"].cls, "attachment_id", text):
            raise unknown
        attachment = writer.store.load(Attachment, parse_id(text))
        if attachment is None or not is_there(writer.store, attachment):
            raise unknown
        find = partial(_known, writer.store)
        row = find(place_of(attachment.subject_kind, attachment.subject_id))
        today = api.directory.company.day_of(api.clock())
        if row is None or not row.is_seen(caller.reach, today, find):
            raise unknown
        if attachment.person_id is not None and is_erased(attachment.person_id):
            raise Refused("files.gone")
        answer = api.files.send(attachment.file_id, attachment.name, attachment.media_type)
        attempt.note()
    return answer


def _known(store: EventStore, place: str) -> KnownRecord | None:
    """What is known of the record at a place."""
    row = store.row(SUBJECTS.name, place)
    return None if row is None else decode(KnownRecord, row)


def _refused(*refusals: str) -> dict[str, Any]:
    return {one[:3]: {"$ref": f"#/components/responses/{one[4:]}"} for one in refusals}


_BINARY = {"type": "string", "format": "binary"}
UPLOADED: dict[str, Any] = {
    "operationId": UPLOAD_FILE,
    "tags": [SERVICE],
    "summary": "Upload a file, to attach it",
    "description": "The body is the file itself, whatever its Content-Type says: what it is tells its content.  It is "
    "the caller's for a day; POST /attachments puts it on a record under a name, and what is put on none is deleted "
    "(COL-09).",
    "x-permission": COLLEAGUE,
    "parameters": [{"$ref": "#/components/parameters/IdempotencyKey"}],
    "requestBody": {
        "required": True,
        "description": "The file itself, as it is: with no Content-Encoding.",
        "content": {"application/octet-stream": {"schema": _BINARY}},
    },
    "responses": {
        "201": {
            "description": "Kept.",
            "headers": {HEADER: {"$ref": f"#/components/headers/{HEADER}"}},
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{UploadedFile.__name__}"}}},
        },
        **_refused(
            "400 Invalid", "401 Unauthenticated", "403 Forbidden", "409 Conflict", "413 TooLarge", "415 FileType",
            "429 TooManyRequests", "503 Unavailable",
        ),
    },
}  # fmt: skip

DOWNLOADED: dict[str, Any] = {
    "operationId": DOWNLOAD_FILE,
    "tags": [SERVICE],
    "summary": "The octets of a file on a record",
    "description": "To be saved under its name, for whoever may see the record.  Each time is in the audit log "
    "(SEC-21).",
    "x-permission": COLLEAGUE,
    "parameters": [
        {"name": "attachment_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}},
        {"$ref": "#/components/parameters/Consistency"},
    ],
    "responses": {
        "200": {
            "description": "The file.",
            "headers": {
                "Content-Disposition": {
                    "description": "Its name, in any writing by filename* (RFC 6266).",
                    "schema": {"type": "string"},
                }
            },
            "content": {"*/*": {"schema": _BINARY}},
        },
        **_refused(
            "400 Invalid", "401 Unauthenticated", "403 Forbidden", "404 NotFound", "413 TooLarge", "503 Unavailable"
        ),
    },
}

ROUTES = (
    ServiceRoute(
        "POST", "/files", UPLOAD_FILE, COLLEAGUE, upload, UPLOADED, UploadedFile, FILE, takes_file=True
    ),
    ServiceRoute(
        "GET", "/attachments/{attachment_id}/content", DOWNLOAD_FILE, COLLEAGUE, download, DOWNLOADED,
        object_kind=ATTACHMENT,
    ),
)  # fmt: skip
