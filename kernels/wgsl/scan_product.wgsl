// Running products: an item is what it multiplies by.

fn load_item(row: u32) -> Item {
    return scan_input[row];
}
