// What running products have in common.

alias Item = Element;
alias State = Element;

@group(0) @binding(2) var<storage, read> scan_input: array<Element>;
@group(0) @binding(3) var<storage, read> scan_states: array<State>;

fn item_identity() -> Item {
    return fr_one();
}

fn item_combine(a: Item, b: Item) -> Item {
    return fr_mul(a, b);
}

fn state_step(state: State, item: Item) -> State {
    return fr_mul(state, item);
}
