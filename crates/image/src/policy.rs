//! Rule names and defaults, upstream's names. The target is the image row plus `member` (the caller's membership).

pub const RULES: &[(&str, &str)] = &[
    ("context_is_admin", "role:admin"),
    ("add_image", "role:admin or (role:member and project_id:%(owner)s)"),
    ("modify_image", "role:admin or (role:member and project_id:%(owner)s)"),
    ("delete_image", "role:admin or (role:member and project_id:%(owner)s)"),
    ("upload_image", "role:admin or (role:member and project_id:%(owner)s)"),
    (
        "get_image",
        "role:admin or (role:reader and (project_id:%(owner)s or project_id:%(member_id)s or 'public':%(visibility)s \
         or 'community':%(visibility)s))",
    ),
    (
        "download_image",
        "role:admin or (role:member and (project_id:%(owner)s or project_id:%(member_id)s or 'public':%(visibility)s \
         or 'community':%(visibility)s))",
    ),
    ("publicize_image", "role:admin"),
    ("deactivate", "role:admin or (role:member and project_id:%(owner)s)"),
    ("reactivate", "role:admin or (role:member and project_id:%(owner)s)"),
    ("add_member", "role:admin or (role:member and project_id:%(owner)s)"),
    ("delete_member", "role:admin or (role:member and project_id:%(owner)s)"),
    ("modify_member", "role:admin or (role:member and project_id:%(member_id)s)"),
];
