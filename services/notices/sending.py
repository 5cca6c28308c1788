"""Who reads a notice, how many are told at once, and by which ways it is sent to them besides their list (NTF-03)."""

from collections.abc import Sequence
from uuid import UUID

from chassis.foundation.limits import MAX_RECORDED_BYTES
from chassis.model.service import Work
from contracts.notices import NoticeGiven
from contracts.occasions import Occasion, Way
from contracts.people import Person
from services.notices.domain.deliveries import Delivery, delivery_id
from services.notices.domain.templates import Words
from services.notices.domain.ways import SETTINGS, ChosenWays, CompanyWays, chosen_id

AT_ONCE = 200
"""So many are told in one transaction at most, and their notices are in memory at once; the others follow."""
MOST_BYTES = MAX_RECORDED_BYTES // 3
"""So many bytes of titles and texts are told in one: each reader's are recorded, and sealed they are larger."""


def at_once(words: Words) -> int:
    """How many are told some words in one transaction."""
    return max(1, min(AT_ONCE, MOST_BYTES // words.longest()))


def readers(people: Sequence[UUID], work: Work) -> Sequence[UUID]:
    """Those of whom something can be kept: who was erased may not be heard to have left yet."""
    return [id for id in people if not work.is_erased(id)]


def ways_to(receiver: UUID, occasion: Occasion, work: Work, ways: Sequence[Way] = ()) -> Sequence[Way]:
    """Those that somebody has chosen, else `ways`, else those of the company."""
    chosen = work.find(ChosenWays, chosen_id(receiver)) or ChosenWays(receiver)
    company = work.find(CompanyWays, SETTINGS) or CompanyWays(SETTINGS.id)
    return chosen.ways_for(occasion, company, ways)


def send(notice: NoticeGiven, ways: Sequence[Way], work: Work) -> None:
    """Have a notice sent by some ways, after the quiet hours of its receiver."""
    id, organisation = notice.receiver_id, work.context.organisation
    chosen = work.find(ChosenWays, chosen_id(id)) or ChosenWays(id)
    due_at = chosen.from_when(work.context.now, organisation.zone_of(id))
    for way in ways:
        receiver = organisation.person(id) or Person(user_id=id, name="")
        work.find_or_new(Delivery, delivery_id(notice.notice_id, way)).plan(notice, receiver, way, due_at)
