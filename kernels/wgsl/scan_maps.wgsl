// Affine maps as the totals of blocks.

@group(0) @binding(2) var<storage, read> scan_input: array<Item>;
@group(0) @binding(3) var<storage, read> scan_states: array<State>;

fn load_item(row: u32) -> Item {
    return scan_input[row];
}
