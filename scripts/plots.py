"""What the plots of the scripts have in common: SVG figures, and axes on which growth by a power is a straight line."""


def figure(rows, columns):
    """A figure, and its axes as rows of them."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    return pyplot.subplots(rows, columns, figsize=(4.2 * columns, 4 * rows), squeeze=False)


def logarithmic(axis, sizes, values, marks, text="{:.0f}".format):
    """Logarithmic axes with a tick at each size and value, and a mark beside each point."""
    for size, value, mark in zip(sizes, values, marks):
        axis.annotate(mark, (size, value), textcoords="offset points", xytext=(4, 4), fontsize=7)
    axis.set(xscale="log", yscale="log")
    axis.minorticks_off()
    axis.set_xticks(sizes, sizes)
    axis.set_yticks(values, [text(value) for value in values])


def finish(figure, path):
    for axis in figure.axes:
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
