#!/usr/bin/env python3
"""Checks what the committed Markdown files refer to, and exits with 1 where something is missing.

A link must lead to a committed file or folder, and its anchor to a heading of that file. A path in backticks that looks like one
of this repository must be one: it begins with one of the root's folders, or it ends in the name of a source file, and then it may
leave out the folders in front. Braces, `*` and `<name>` stand for what they do in a shell. Addresses of the network
are not looked up. Needs Python 3.9 and git, and takes no arguments.
"""
import fnmatch
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (".rs", ".wgsl", ".cuh", ".cpp", ".py", ".sh", ".md", ".toml")
# What the program or a build writes, and what users have.
WRITTEN = ("target/", "*.proof/*", "proof.json", "model.vk")

FENCE = re.compile(r"^\s*(```+|~~~+)")
CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
DEFINITION = re.compile(r"^\s{0,3}\[([^\]]+)\]:\s*<?(\S+?)>?\s*$", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*\s*$")
PATH = re.compile(r"[\w.{},*<>/+-]+")


def committed():
    """Committed and new files, as paths from the root, without those that are ignored or deleted."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return {name for name in listed if (ROOT / name).exists()}


def folders(files):
    """Every folder above one of the files."""
    return {str(parent) for name in files for parent in Path(name).parents if str(parent) != "."}


def split(text):
    """The text without its blocks of code, line by line as before, and its headings."""
    kept, headings, fence = [], [], None
    for line in text.splitlines():
        mark = FENCE.match(line)
        if fence is None and mark:
            fence = mark.group(1)
        elif fence is not None:
            if line.strip().startswith(fence):
                fence = None
        else:
            heading = HEADING.match(line)
            if heading:
                headings.append(heading.group(1))
            kept.append(line)
            continue
        kept.append("")
    return "\n".join(kept), headings


def anchors(headings):
    """Anchors as forges and mdBook make them: words in lower case with dashes, and a number where one comes again."""
    seen, found = {}, set()
    for heading in headings:
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        plain = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = seen.get(plain, 0)
        seen[plain] = count + 1
        found.add(f"{plain}-{count}" if count else plain)
    return found


def expanded(text):
    """All that a pattern with braces stands for."""
    parts = re.split(r"\{([^{}]*)\}", text)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


class Tree:
    """The committed files, and what they are asked for."""

    def __init__(self):
        self.files = committed()
        self.folders = folders(self.files)
        self.places = self.files | self.folders
        self.tops = {place.split("/")[0] for place in self.folders}
        self.tails = {"/".join(parts[i:]) for place in self.places for parts in [place.split("/")] for i in range(len(parts))}

    def looks_like_path(self, text):
        """Whether a text in backticks is meant as a place of the repository."""
        if not PATH.fullmatch(text) or any(fnmatch.fnmatch(text, pattern + "*") for pattern in WRITTEN):
            return False
        if "/" in text and text.split("/")[0] in self.tops:
            return True
        return text.endswith(SOURCES) and not text.startswith((".", "*", "<"))

    def has(self, text, near):
        """Whether a path, a pattern or the last part of one is there; `near` is the folder of the file that says so."""
        pattern = re.sub(r"<[^<>]*>", "*", text).rstrip("/")
        if "*" not in pattern:
            return pattern in self.tails or f"{near}/{pattern}" in self.places
        return any(fnmatch.fnmatch(place, pattern) for place in self.tails)


def missing(tree, name):
    """What a Markdown file refers to and is not there, as (line, message)."""
    text, headings = split((ROOT / name).read_text())
    near = str(Path(name).parent)

    def line(position):
        return text.count("\n", 0, position) + 1

    # What code says is no link, but a link's text may be code.
    bare = CODE.sub(lambda match: re.sub(r"[^\n]", "x", match.group(0)), text)
    targets = [(match.start(), match.group(1)) for match in LINK.finditer(bare)]
    targets += [(match.start(), match.group(2)) for match in DEFINITION.finditer(bare)]
    for position, target in targets:
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = target.partition("#")
        place = name if not path else os.path.normpath(os.path.join(near, unquote(path)))
        if place not in tree.places:
            yield line(position), f"no such file: {target}"
        elif anchor and place.endswith(".md"):
            known = anchors(headings if place == name else split((ROOT / place).read_text())[1])
            if unquote(anchor) not in known:
                yield line(position), f"no such heading: {target}"
    for match in CODE.finditer(text):
        for path in expanded(match.group(2).strip()):
            if tree.looks_like_path(path) and not tree.has(path, near):
                yield line(match.start()), f"no such path: {path}"


def main():
    tree = Tree()
    names = sorted(name for name in tree.files if name.endswith(".md"))
    found = 0
    for name in names:
        for number, message in sorted(missing(tree, name)):
            print(f"{name}:{number}: {message}")
            found += 1
    if found:
        print(f"{found} missing in {len(names)} Markdown files", file=sys.stderr)
        print("hint: a file that was moved or renamed is named in prose, too", file=sys.stderr)
        return 1
    print(f"every link and path of {len(names)} Markdown files is there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
