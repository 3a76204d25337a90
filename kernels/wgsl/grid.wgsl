// The number of a workgroup in a dispatch whose workgroups are laid out in rows.
fn group_number(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}
