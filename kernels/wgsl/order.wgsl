// The order of integers of eight words.
fn is_below(a: Element, b: Element) -> bool {
    for (var limb = 8u; limb > 0u; limb -= 1u) {
        if a.limbs[limb - 1u] != b.limbs[limb - 1u] {
            return a.limbs[limb - 1u] < b.limbs[limb - 1u];
        }
    }
    return false;
}
