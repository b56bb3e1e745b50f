"""Those who work here: sign-in, roles, the audit log, the frame of the console.

Vocabulary
    StaffMember   a person who may sign in
    Role          what a member is here for: office, finance, campaign, admin (a member may have several)
    Actor         the member who acts in this request, and from which address
    AuditEntry    who did what, when, from where, what was before and after; chained by hashes

Rooms declare who may use a page with `staff.access.allowed`, put it into the menu with `staff.frame`, and write down
what they change with `staff.audit.record`. A page under /staff/ that declares nothing is refused to everybody.
"""
