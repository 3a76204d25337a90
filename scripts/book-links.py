#!/usr/bin/env python3
"""Preprocessor of mdBook: leads links to where the book has their targets.

A chapter that is an `{{#include}}` of a file at the repository's root has links as that file has them. A link to a file that is a
chapter becomes a link to the chapter; one to a file that is not in the book becomes its text, since a page has no repository around
it. mdBook runs it (book.toml), and `scripts/check-links.py` has seen before that every target exists.
"""
import json
import os
import re
import sys

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
INCLUDE = re.compile(r"\{\{#include (\S+)\}\}\s*")
FENCE = re.compile(r"^(\s*(?:```|~~~))")


def chapters(items):
    """All chapters, those below others after them."""
    for item in items:
        if isinstance(item, dict) and "Chapter" in item:
            yield item["Chapter"]
            yield from chapters(item["Chapter"]["sub_items"])


def origin(source, path):
    """The file that a chapter's text is from, as a path from the repository's root: the chapter's own, or what it includes."""
    whole = os.path.join(source, path)
    with open(whole, encoding="utf-8") as file:
        include = INCLUDE.fullmatch(file.read())
    return os.path.normpath(os.path.join(os.path.dirname(whole), include.group(1))) if include else whole


def rewritten(text, file, page, pages, source):
    """The text of `file` as the chapter `page` with its links changed."""

    def link(match):
        image, label, target = match.groups()
        path, hash_, anchor = target.partition("#")
        if not path or re.match(r"[a-z][a-z0-9+.-]*:", target):
            return match.group(0)
        place = os.path.normpath(os.path.join(os.path.dirname(file), path))
        place = pages.get(place, os.path.relpath(place, source))
        if place.startswith(".."):
            return label
        return f"{image}[{label}]({os.path.relpath(place, os.path.dirname(page) or '.')}{hash_}{anchor})"

    fenced, lines = False, []
    for paragraph in re.split(r"(?m)(^\s*(?:```|~~~).*\n?)", text):
        if FENCE.match(paragraph):
            fenced = not fenced
            lines.append(paragraph)
        else:
            lines.append(paragraph if fenced else LINK.sub(link, paragraph))
    return "".join(lines)


def main():
    if sys.argv[1:2] == ["supports"]:
        return
    context, book = json.load(sys.stdin)
    os.chdir(context["root"])
    source = context["config"]["book"]["src"]
    # Named `sections` before mdBook 0.5.
    items = book["items"] if "items" in book else book["sections"]
    files = {chapter["path"]: origin(source, chapter["path"]) for chapter in chapters(items) if chapter["path"]}
    pages = {file: path for path, file in files.items()}
    for chapter in chapters(items):
        path = chapter["path"]
        if path:
            chapter["content"] = rewritten(chapter["content"], files[path], path, pages, source)
    json.dump(book, sys.stdout)


if __name__ == "__main__":
    main()
