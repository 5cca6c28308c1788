"""A company says in its own words and by its own rules who is told what, in the running system (NTF-02, CFG-10)."""

from __future__ import annotations

import json
from uuid import uuid4

from component.support import Company, eventually

from services.access.demo_users import user_id


def test_ntf_02_acc_74_a_rule_tells_whom_it_names_in_the_company_s_words(company: Company) -> None:
    """And never who may not see the record."""
    admin, li, sato, wang = company.admin, company.li, company.sato, company.wang
    mark = f"acme {uuid4()}"
    template = admin.post(
        "/notice-templates",
        {"name": mark, "occasion": "PUSH_RULE", "record_kind": "lead", "title_zh": "线索", "text_zh": "{company}!"},
    )["id"]
    condition = json.dumps({"field": "company", "is": "begins_with", "value": mark.upper()})
    rule = {
        "name": mark,
        "record_kind": "lead",
        "event": "CREATED",
        "condition": condition,
        "to_owner": True,
        "to_superior": True,
        "to_users": [str(user_id("wang"))],
        "template_id": template,
    }
    id = admin.post("/push-rules", rule)["id"]
    eventually(lambda: admin.get(f"/push-rules/{id}"))
    refused = admin.assert_refused("VALIDATION", "POST", "/push-rules", {**rule, "name": "x", "condition": "acme"})
    assert refused["field"] == "condition"

    def told() -> None:
        lead = li.post("/leads", {"name": "Wu", "company": f"{mark} Ltd"})["id"]
        other = li.post("/leads", {"name": "Wu", "company": "another"})["id"]

        def both() -> None:
            for person in (li, sato):
                found = person.items(f"/notices?record_id={lead}")
                shown = [(one["occasion"], one["title"], one["text"], one["link"]) for one in found]
                assert shown == [("PUSH_RULE", "线索", f"{mark} Ltd!", f"/leads/{lead}")]
            runs = admin.items(f"/push-rule-runs?record_id={lead}&push_rule_id={id}")
            assert [(run["outcome"], run["count"], run["unseen"]) for run in runs] == [("TOLD", 2, 1)]
            runs = admin.items(f"/push-rule-runs?record_id={other}&push_rule_id={id}")
            assert [run["outcome"] for run in runs] == ["NOT_MET"]

        eventually(both)
        assert not wang.items(f"/notices?record_id={lead}") and not li.items(f"/notices?record_id={other}")

    until_known(company, id)
    told()
    admin.do("DELETE", f"/notice-templates/{template}")
    lead = li.post("/leads", {"name": "Wu", "company": f"{mark} Ltd"})["id"]

    def ready_made() -> None:
        found = [(one["title"], one["text"]) for one in sato.items(f"/notices?record_id={lead}")]
        assert found == [(mark, f"线索“Wu”符合推送规则“{mark}”。")]
        runs = admin.items(f"/push-rule-runs?record_id={lead}&push_rule_id={id}")
        assert [run["problems"] for run in runs] == [["TEMPLATE_GONE"]]

    eventually(ready_made)
    admin.do("DELETE", f"/push-rules/{id}")


def until_known(company: Company, rule: str) -> None:
    """Until the service has heard of its own rule: a moment after it was saved."""

    def heard() -> None:
        lead = company.li.post("/leads", {"name": "Wu", "company": "nobody's"})["id"]
        eventually(lambda: company.admin.get(f"/leads/{lead}"))
        assert company.admin.items(f"/push-rule-runs?push_rule_id={rule}")

    eventually(heard)
