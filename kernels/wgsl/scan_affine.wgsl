// Affine maps whose factors and terms are two vectors.

@group(0) @binding(2) var<storage, read> scan_factors: array<Element>;
@group(0) @binding(3) var<storage, read> scan_terms: array<Element>;
@group(0) @binding(4) var<storage, read> scan_states: array<State>;

fn load_item(row: u32) -> Item {
    return Item(scan_factors[row], scan_terms[row]);
}
