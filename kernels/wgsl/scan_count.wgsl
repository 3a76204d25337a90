// Running sums of small numbers.

alias Item = u32;
alias State = u32;

@group(0) @binding(2) var<storage, read> scan_input: array<u32>;
@group(0) @binding(3) var<storage, read> scan_states: array<u32>;

fn item_identity() -> Item {
    return 0u;
}

fn item_combine(a: Item, b: Item) -> Item {
    return a + b;
}

fn state_step(state: State, item: Item) -> State {
    return state + item;
}

fn load_item(row: u32) -> Item {
    return scan_input[row];
}
