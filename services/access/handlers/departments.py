"""Departments (SET-06)."""

from functools import partial
from uuid import UUID

from chassis.model.service import MOST_LEVELS, Claim, Work, hold
from contracts.access import AddDepartment, MoveDepartment, RenameDepartment
from contracts.declare import KEPT
from contracts.errors import Refused
from contracts.reasons import Why
from services.access.domain.roles import Department

DEPARTMENT = "department"


def add_department(command: AddDepartment, work: Work) -> Department:
    department = work.new(Department, command.department_id, what=DEPARTMENT, field="department_id")
    _require_place(department, command.parent_id, work)
    department.add(command, work.context)
    hold(work, department.id, [_name_of_department(department)])
    return department


def rename_department(command: RenameDepartment, work: Work) -> Department:
    department = work.get(Department, command.department_id, what=DEPARTMENT, field="department_id")
    before = department.name_value()
    department.rename(command, work.context)
    hold(work, department.id, [_name_of_department(department)], [before])
    return department


def move_department(command: MoveDepartment, work: Work) -> Department:
    """Raises Refused where it would be part of itself, or where its new place has one of its name."""
    department = work.get(Department, command.department_id, what=DEPARTMENT, field="department_id")
    if command.parent_id is not KEPT:
        _require_place(department, command.parent_id, work)
        before = department.name_value()
        department.move(command.parent_id, work.context)
        hold(work, department.id, [_name_of_department(department)], [before])
    return department


def _require_place(department: Department, parent_id: UUID | None, work: Work) -> None:
    """Raises Refused for a department that is not there, is part of this one, or is too far below the top."""
    above, level = parent_id, 1
    while above is not None:
        if above == department.id:
            raise Refused("records.above_itself", kind=DEPARTMENT, field="parent_id")
        if level == MOST_LEVELS:
            raise Refused("records.most_levels", kind=DEPARTMENT, most=MOST_LEVELS, field="parent_id")
        above = work.get(Department, above, what=DEPARTMENT, field="parent_id").parent_id
        level += 1


def _name_of_department(department: Department) -> Claim:
    return Claim(department.name_value(), partial(Why, "access.department_name", name=department.name), "name")
