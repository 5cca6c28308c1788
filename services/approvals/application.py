"""The approvals service: what it does on each command."""

from chassis.service import Service, change, upsert
from contracts.approvals import Approve, CloseCase, OpenCase, Reject
from services.approvals.domain import Case

approve = change(Case, Case.approve)
reject = change(Case, Case.reject)
open_case = upsert(Case, Case.open)
close_case = upsert(Case, Case.close)


SERVICE = Service(
    "approvals",
    commands={
        Approve: approve,
        Reject: reject,
        OpenCase: open_case,
        CloseCase: close_case,
    },
)
