// Products of blocks in which zeros do not count.

fn load_item(row: u32) -> Item {
    let value = scan_input[row];
    if fr_is_zero(value) {
        return fr_one();
    }
    return value;
}
