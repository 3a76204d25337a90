// Affine maps x -> factor·x + term, the items of an affine scan.

struct Item {
    factor: Element,
    term: Element,
}

alias State = Element;

fn item_identity() -> Item {
    return Item(fr_one(), fr_zero());
}

fn item_combine(a: Item, b: Item) -> Item {
    return Item(fr_mul(a.factor, b.factor), state_step(a.term, b));
}

fn state_step(state: State, item: Item) -> State {
    return fr_add(fr_mul(state, item.factor), item.term);
}
