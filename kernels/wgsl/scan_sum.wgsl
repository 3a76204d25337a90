// Running sums: an item is what it adds.

alias Item = Element;
alias State = Element;

@group(0) @binding(2) var<storage, read> scan_input: array<Element>;
@group(0) @binding(3) var<storage, read> scan_states: array<State>;

fn item_identity() -> Item {
    return fr_zero();
}

fn item_combine(a: Item, b: Item) -> Item {
    return fr_add(a, b);
}

fn state_step(state: State, item: Item) -> State {
    return fr_add(state, item);
}

fn load_item(row: u32) -> Item {
    return scan_input[row];
}
