"""Departments (SET-06)."""

from functools import partial

from chassis.model.service import Claim, Work, hold
from contracts.access import (
    AddDepartment,
    RenameDepartment,
)
from contracts.reasons import Why
from services.access.domain.roles import Department


def add_department(command: AddDepartment, work: Work) -> Department:
    if command.parent_id:
        work.get(Department, command.parent_id, what="department", field="parent_id")
    department = work.new(Department, command.department_id, what="department", field="department_id")
    department.add(command, work.context)
    hold(work, department.id, [_name_of_department(department)])
    return department


def rename_department(command: RenameDepartment, work: Work) -> Department:
    department = work.get(Department, command.department_id, what="department", field="department_id")
    before = department.name_value()
    department.rename(command, work.context)
    hold(work, department.id, [_name_of_department(department)], [before])
    return department


def _name_of_department(department: Department) -> Claim:
    return Claim(department.name_value(), partial(Why, "access.department_name", name=department.name), "name")
