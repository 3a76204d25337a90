// Points of BN254's curve y² = x³ + 3 over the base field. Every sum is exact: equal, opposite and identity points
// included.

// (0, 0) is the identity: it is not on the curve.
struct Affine {
    x: Element,
    y: Element,
}

// x = X/ZZ and y = Y/ZZZ, where ZZ³ = ZZZ²; ZZ = 0 is the identity. Formulas: "XYZZ coordinates" in the
// Explicit-Formulas Database.
struct Point {
    x: Element,
    y: Element,
    zz: Element,
    zzz: Element,
}

fn affine_is_identity(a: Affine) -> bool {
    return words_are_zero(a.x) && words_are_zero(a.y);
}

// The point, or its opposite.
fn affine_signed(a: Affine, negative: bool) -> Affine {
    if negative {
        return Affine(a.x, fq_neg(a.y));
    }
    return a;
}

fn point_identity() -> Point {
    return Point(fq_zero(), fq_zero(), fq_zero(), fq_zero());
}

fn point_is_identity(a: Point) -> bool {
    return words_are_zero(a.zz);
}

fn point_from_affine(a: Affine) -> Point {
    if affine_is_identity(a) {
        return point_identity();
    }
    return Point(a.x, a.y, fq_one(), fq_one());
}

// dbl-2008-s-1. The order of the group is odd, so y = 0 for no point, and ZZ = 0 stays 0.
fn point_double(a: Point) -> Point {
    let u = fq_double(a.y);
    let v = fq_square(u);
    let w = fq_mul(u, v);
    let s = fq_mul(a.x, v);
    let xx = fq_square(a.x);
    let m = fq_add(fq_double(xx), xx);
    let x = fq_sub(fq_square(m), fq_double(s));
    let y = fq_sub(fq_mul(m, fq_sub(s, x)), fq_mul(w, a.y));
    return Point(x, y, fq_mul(v, a.zz), fq_mul(w, a.zzz));
}

// What both additions end in: the line's slope is r/p before scaling, the first point is (u, s) on the scale (zz, zzz).
fn point_chord(p: Element, r: Element, u: Element, s: Element, zz: Element, zzz: Element) -> Point {
    let pp = fq_square(p);
    let ppp = fq_mul(p, pp);
    let q = fq_mul(u, pp);
    let x = fq_sub(fq_sub(fq_square(r), ppp), fq_double(q));
    let y = fq_sub(fq_mul(r, fq_sub(q, x)), fq_mul(s, ppp));
    return Point(x, y, fq_mul(zz, pp), fq_mul(zzz, ppp));
}

// add-2008-s.
fn point_add(a: Point, b: Point) -> Point {
    if point_is_identity(a) {
        return b;
    }
    if point_is_identity(b) {
        return a;
    }
    let u = fq_mul(a.x, b.zz);
    let s = fq_mul(a.y, b.zzz);
    let p = fq_sub(fq_mul(b.x, a.zz), u);
    let r = fq_sub(fq_mul(b.y, a.zzz), s);
    if words_are_zero(p) && words_are_zero(r) {
        return point_double(a);
    }
    // For opposite points p = 0, and with it the sum's ZZ.
    return point_chord(p, r, u, s, fq_mul(a.zz, b.zz), fq_mul(a.zzz, b.zzz));
}

// madd-2008-s.
fn point_add_affine(a: Point, b: Affine) -> Point {
    if affine_is_identity(b) {
        return a;
    }
    if point_is_identity(a) {
        return Point(b.x, b.y, fq_one(), fq_one());
    }
    let p = fq_sub(fq_mul(b.x, a.zz), a.x);
    let r = fq_sub(fq_mul(b.y, a.zzz), a.y);
    if words_are_zero(p) && words_are_zero(r) {
        return point_double(a);
    }
    return point_chord(p, r, a.x, a.y, a.zz, a.zzz);
}

fn point_to_affine(a: Point) -> Affine {
    let inverse = fq_inverse(a.zzz);
    // 1/ZZ = ZZ²/ZZZ². The identity's inverse is taken to be 0.
    let root = fq_mul(a.zz, inverse);
    return Affine(fq_mul(a.x, fq_square(root)), fq_mul(a.y, inverse));
}
