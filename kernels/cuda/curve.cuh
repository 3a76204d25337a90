// Points of BN254's curve y² = x³ + 3 over the base field. Every sum is exact: equal, opposite and identity points
// included.

// (0, 0) is the identity: it is not on the curve.
struct Affine {
    Element x;
    Element y;
};

// x = X/ZZ and y = Y/ZZZ, where ZZ³ = ZZZ²; ZZ = 0 is the identity. Formulas: "XYZZ coordinates" in the
// Explicit-Formulas Database.
struct Point {
    Element x;
    Element y;
    Element zz;
    Element zzz;
};

DEVICE bool affine_is_identity(Affine a) { return words_are_zero(a.x) && words_are_zero(a.y); }

// The point, or its opposite.
DEVICE Affine affine_signed(Affine a, bool negative) { return Affine{a.x, negative ? fq_neg(a.y) : a.y}; }

DEVICE Point point_identity() { return Point{fq_zero(), fq_zero(), fq_zero(), fq_zero()}; }

DEVICE bool point_is_identity(Point a) { return words_are_zero(a.zz); }

DEVICE Point point_from_affine(Affine a) {
    if (affine_is_identity(a)) {
        return point_identity();
    }
    return Point{a.x, a.y, fq_one(), fq_one()};
}

// How a sum multiplies: written out in kernels that add affine points and nothing else, called elsewhere. All of the
// kernels of multi-scalar multiplications would take NVRTC half a minute of a processor written out, and take six seconds.
struct WrittenOut {
    static DEVICE Element mul(Element a, Element b) { return fq_mul(a, b); }
    static DEVICE Element square(Element a) { return fq_square(a); }
};

CALLED_DEVICE Element called_mul(Element a, Element b) { return fq_mul(a, b); }
CALLED_DEVICE Element called_square(Element a) { return fq_square(a); }

struct Called {
    static DEVICE Element mul(Element a, Element b) { return called_mul(a, b); }
    static DEVICE Element square(Element a) { return called_square(a); }
};

// dbl-2008-s-1. The order of the group is odd, so y = 0 for no point, and ZZ = 0 stays 0.
LONG_DEVICE Point point_double(Point a) {
    Element u = fq_twice(a.y);
    Element v = called_square(u);
    Element w = called_mul(u, v);
    Element s = called_mul(a.x, v);
    Element xx = called_square(a.x);
    Element m = fq_add(fq_twice(xx), xx);
    Element x = fq_sub(called_square(m), fq_twice(s));
    Element y = fq_sub(called_mul(m, fq_sub(s, x)), called_mul(w, a.y));
    return Point{x, y, called_mul(v, a.zz), called_mul(w, a.zzz)};
}

// What both additions end in: the line's slope is r/p before scaling, the first point is (u, s) on the scale (zz, zzz).
template <class M>
LONG_DEVICE Point point_chord(Element p, Element r, Element u, Element s, Element zz, Element zzz) {
    Element pp = M::square(p);
    Element ppp = M::mul(p, pp);
    Element q = M::mul(u, pp);
    Element x = fq_sub(fq_sub(M::square(r), ppp), fq_twice(q));
    Element y = fq_sub(M::mul(r, fq_sub(q, x)), M::mul(s, ppp));
    return Point{x, y, M::mul(zz, pp), M::mul(zzz, ppp)};
}

// add-2008-s.
DEVICE Point point_add(Point a, Point b) {
    if (point_is_identity(a)) {
        return b;
    }
    if (point_is_identity(b)) {
        return a;
    }
    Element u = called_mul(a.x, b.zz);
    Element s = called_mul(a.y, b.zzz);
    Element p = fq_sub(called_mul(b.x, a.zz), u);
    Element r = fq_sub(called_mul(b.y, a.zzz), s);
    if (words_are_zero(p) && words_are_zero(r)) {
        return point_double(a);
    }
    // For opposite points p = 0, and with it the sum's ZZ.
    return point_chord<Called>(p, r, u, s, called_mul(a.zz, b.zz), called_mul(a.zzz, b.zzz));
}

// madd-2008-s.
DEVICE Point point_add_affine(Point a, Affine b) {
    if (affine_is_identity(b)) {
        return a;
    }
    if (point_is_identity(a)) {
        return Point{b.x, b.y, fq_one(), fq_one()};
    }
    Element p = fq_sub(fq_mul(b.x, a.zz), a.x);
    Element r = fq_sub(fq_mul(b.y, a.zzz), a.y);
    if (words_are_zero(p) && words_are_zero(r)) {
        return point_double(a);
    }
    return point_chord<WrittenOut>(p, r, a.x, a.y, a.zz, a.zzz);
}

// The affine point, given 1/ZZZ (0 for the identity).
DEVICE Affine point_scaled(Point a, Element inverse) {
    // 1/ZZ = ZZ²/ZZZ².
    Element root = called_mul(a.zz, inverse);
    return Affine{called_mul(a.x, called_square(root)), called_mul(a.y, inverse)};
}

DEVICE Affine point_to_affine(Point a) { return point_scaled(a, fq_inverse(a.zzz)); }
