"""The access service: its commands, one line each, and what is done around those that deal with secrets."""

from chassis.model.middleware import Middleware
from chassis.model.service import Service, upsert
from contracts.access import (
    AddDepartment,
    AddMachine,
    AddRoleMember,
    ChangePassword,
    ConfirmSecondFactor,
    DefineRole,
    DeleteMachine,
    DeleteUser,
    DrawChallenge,
    EditPersonalData,
    EditUser,
    EndSignIns,
    EnrolSecondFactor,
    GetMachineToken,
    GrantRight,
    IssueDefaultPassword,
    IssueUser,
    MoveDepartment,
    NameResponsible,
    ProveIdentity,
    RefreshSession,
    RegisterUser,
    RemoveRoleMember,
    RemoveSecondFactor,
    RenameDepartment,
    RenewMachineSecret,
    RequestPasswordReset,
    ResetPassword,
    ResetSecondFactor,
    ReviewRights,
    RevokeRight,
    SetAccessSettings,
    SetPreferences,
    SignIn,
    SignOut,
)
from services.access.domain.roles import Department, Machine, Role
from services.access.domain.sessions import (
    AccessSettings,
    ended,
    wrong,
    wrong_challenge,
    wrong_code,
)
from services.access.domain.users import User
from services.access.handlers.accounts import (
    add_role_member,
    delete_user,
    edit_personal_data,
    edit_user,
    end_sign_ins,
    issue_user,
    register_user,
    remove_role_member,
    review_rights,
    set_preferences,
)
from services.access.handlers.departments import add_department, move_department, rename_department
from services.access.handlers.machines import (
    add_machine,
    delete_machine,
    get_machine_token,
    name_responsible,
    renew_machine_secret,
)
from services.access.handlers.passwords import (
    change_password,
    issue_default_password,
    request_password_reset,
    reset_password,
)
from services.access.handlers.second_factors import (
    confirm_second_factor,
    enrol_second_factor,
    remove_second_factor,
    reset_second_factor,
)
from services.access.handlers.settings import set_access_settings
from services.access.handlers.sign_in import draw_challenge, prove_identity, refresh_session, sign_in, sign_out
from services.access.handlers.way_in import keeps_way_in
from services.access.preparation.accounts import check_personal_data, check_registration, tell_old_contact
from services.access.preparation.images import draw_image, show_image
from services.access.preparation.machines import (
    check_machine,
    check_new_machine,
    hand_out_machine_token,
    new_machine_secret,
    tell_machine_secret,
)
from services.access.preparation.outcomes import refuses_on, refuses_sign_in, refuses_unless
from services.access.preparation.passwords import (
    check_change,
    check_reset,
    check_reset_request,
    hash_default,
    send_reset,
    tell_reset,
)
from services.access.preparation.second_factors import (
    check_confirmation,
    check_enrolment,
    check_removal,
    tell_confirmation,
    tell_enrolment,
)
from services.access.preparation.sign_in import (
    check_proof,
    check_refresh,
    check_sign_in,
    tell_proof,
    tell_refresh,
    tell_sign_in,
)

WRONG_IMAGE = refuses_on("WRONG_CHALLENGE", wrong_challenge)
WRONG_PASSWORD = refuses_on("WRONG", wrong)
WRONG_CODE = refuses_on("WRONG", wrong_code)

SERVICE = Service(
    "access",
    untold=frozenset({"outcome", "epoch", "limited", "method", "sent", "device_id"}),
    commands={
        IssueUser: keeps_way_in(issue_user, "email"),
        RegisterUser: register_user,
        EditUser: keeps_way_in(edit_user, "email"),
        EditPersonalData: keeps_way_in(edit_personal_data, "email"),
        SetPreferences: set_preferences,
        DeleteUser: delete_user,
        AddRoleMember: keeps_way_in(add_role_member, "role"),
        RemoveRoleMember: remove_role_member,
        ReviewRights: review_rights,
        EndSignIns: end_sign_ins,
        IssueDefaultPassword: keeps_way_in(issue_default_password, "user_id"),
        ChangePassword: change_password,
        RequestPasswordReset: request_password_reset,
        ResetPassword: reset_password,
        DrawChallenge: draw_challenge,
        SignIn: sign_in,
        ProveIdentity: prove_identity,
        RefreshSession: refresh_session,
        SignOut: sign_out,
        EnrolSecondFactor: enrol_second_factor,
        ConfirmSecondFactor: keeps_way_in(confirm_second_factor, "user_id"),
        RemoveSecondFactor: keeps_way_in(remove_second_factor, "user_id"),
        ResetSecondFactor: keeps_way_in(reset_second_factor, "user_id"),
        DefineRole: upsert(Role, Role.define),
        GrantRight: upsert(Role, Role.grant),
        RevokeRight: upsert(Role, Role.revoke),
        AddDepartment: add_department,
        RenameDepartment: rename_department,
        MoveDepartment: move_department,
        AddMachine: add_machine,
        RenewMachineSecret: renew_machine_secret,
        NameResponsible: name_responsible,
        DeleteMachine: delete_machine,
        GetMachineToken: get_machine_token,
        SetAccessSettings: set_access_settings,
    },
    pages={
        "/users/{user_id}": User,
        "/machines/{machine_id}": Machine,
        "/departments/{department_id}": Department,
        "/settings/access": AccessSettings,
    },
    middleware={
        IssueUser: Middleware(hash_default),
        IssueDefaultPassword: Middleware(hash_default),
        RegisterUser: Middleware(check_registration, refuses=WRONG_IMAGE),
        EditPersonalData: Middleware(check_personal_data, tell_old_contact, WRONG_PASSWORD),
        ChangePassword: Middleware(check_change, refuses=WRONG_PASSWORD),
        RequestPasswordReset: Middleware(check_reset_request, send_reset, WRONG_IMAGE),
        ResetPassword: Middleware(check_reset, tell_reset, refuses_unless("RIGHT", wrong_code)),
        DrawChallenge: Middleware(draw_image, show_image),
        SignIn: Middleware(check_sign_in, tell_sign_in, refuses_sign_in),
        ProveIdentity: Middleware(check_proof, tell_proof, refuses_unless("OPEN", wrong_code)),
        RefreshSession: Middleware(check_refresh, tell_refresh, refuses_unless("OPEN", ended)),
        EnrolSecondFactor: Middleware(check_enrolment, tell_enrolment, WRONG_PASSWORD),
        ConfirmSecondFactor: Middleware(check_confirmation, tell_confirmation, WRONG_CODE),
        RemoveSecondFactor: Middleware(check_removal, refuses=WRONG_PASSWORD),
        AddMachine: Middleware(check_new_machine, tell_machine_secret),
        RenewMachineSecret: Middleware(new_machine_secret, tell_machine_secret),
        GetMachineToken: Middleware(check_machine, hand_out_machine_token),
    },
)
