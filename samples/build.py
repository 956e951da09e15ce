#!/usr/bin/env python3
"""Rebuild every sample document of samples/documents from samples/sources.

Needs (versions these documents were made with; Debian 12 "bookworm" on amd64):

  Debian:  apt-get update && apt-get install -y --no-install-recommends \
             fonts-liberation fonts-dejavu-core libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 \
             groff libreoffice-writer texlive-latex-recommended texlive-fonts-recommended lmodern poppler-utils
           groff 1.22.4, LibreOffice 7.4.7, TeX Live 2022 (pdfTeX 1.40.24), fonts-liberation 2.1.5
  PyPI:    python3 -m venv venv && venv/bin/pip install typst==0.15.2 weasyprint==70.0 reportlab==5.1.0 \
             python-docx==1.2.0 pypdf==7.1.0

Use:
  venv/bin/python samples/build.py            rebuild all documents, then check the questions
  venv/bin/python samples/build.py sepsis     rebuild only the documents whose name contains "sepsis"
  venv/bin/python samples/build.py --check    only check questions.jsonl against the documents

Dates are fixed: each document carries its own effective date and never the day of the build.
"""
import contextlib
import datetime
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SRC = HERE / "sources"
OUT = HERE / "documents"
sys.dont_write_bytecode = True
sys.path.insert(0, str(SRC))


def epoch(day):
    return str(int(datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.timezone.utc).timestamp()))


@contextlib.contextmanager
def fixed_date(day):
    before = {k: os.environ.get(k) for k in ("SOURCE_DATE_EPOCH", "FORCE_SOURCE_DATE", "TZ")}
    os.environ.update(SOURCE_DATE_EPOCH=epoch(day), FORCE_SOURCE_DATE="1", TZ="UTC")
    try:
        yield
    finally:
        for k, v in before.items():
            os.environ.pop(k, None) if v is None else os.environ.__setitem__(k, v)


def run(cmd, cwd=None):
    r = subprocess.run(cmd, cwd=cwd, capture_output=True)
    if r.returncode:
        raise SystemExit(f"{cmd[0]} failed:\n{r.stdout.decode(errors='replace')[-3000:]}{r.stderr.decode(errors='replace')[-3000:]}")
    return r.stdout


def by_typst(src, out, day):
    import typst
    typst.compile(str(SRC / src), output=str(out), root=str(SRC), ignore_system_fonts=True)


def by_weasyprint(src, out, day):
    import weasyprint
    weasyprint.HTML(filename=str(SRC / src)).write_pdf(str(out), pdf_identifier=hashlib.md5(src.encode()).digest())


def by_reportlab(src, out, day):
    import importlib.util
    spec = importlib.util.spec_from_file_location("doc", SRC / src)
    mod = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mod)
    mod.build(str(out))


def by_pdflatex(src, out, day):
    with tempfile.TemporaryDirectory() as t:
        shutil.copy(SRC / src, t)
        for _ in range(3):
            run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", src], cwd=t)
        shutil.copyfile(Path(t) / (Path(src).stem + ".pdf"), out)


def by_groff(src, out, day):
    out.write_bytes(run(["groff", "-ms", "-t", "-k", "-Tpdf", str(SRC / src)]))


def by_copy(src, out, day):
    shutil.copyfile(SRC / src, out)


def inline(paragraph, text):
    for i, part in enumerate(re.split(r"\*\*(.+?)\*\*", text)):
        if part:
            paragraph.add_run(part).bold = bool(i % 2)


def field(paragraph, code):
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    for kind, text in (("begin", None), (None, code), ("separate", None), ("text", "1"), ("end", None)):
        r = paragraph.add_run()._r
        if kind in ("begin", "separate", "end"):
            e = OxmlElement("w:fldChar")
            e.set(qn("w:fldCharType"), kind)
        else:
            e = OxmlElement("w:instrText" if kind is None else "w:t")
            e.text = text
        r.append(e)


def by_docx(src, out, day):
    """A small Markdown subset (headings, lists, tables, bold) into a Word document with header and footer."""
    import docx
    from docx.enum.text import WD_TAB_ALIGNMENT
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.shared import Cm, Pt, RGBColor
    d = docx.Document()
    sec = d.sections[0]
    sec.page_width, sec.page_height = Cm(21), Cm(29.7)
    sec.left_margin = sec.right_margin = Cm(2.2)
    sec.top_margin, sec.bottom_margin = Cm(2.4), Cm(2.2)
    normal = d.styles["Normal"]
    normal.font.name, normal.font.size = "Liberation Sans", Pt(10)
    normal.element.rPr.rFonts.set(qn("w:eastAsia"), "Liberation Sans")
    normal.paragraph_format.space_after = Pt(5)
    for name, size in (("Title", 20), ("Heading 1", 13), ("Heading 2", 11)):
        s = d.styles[name]
        s.font.name, s.font.size, s.font.color.rgb, s.font.bold = "Liberation Sans", Pt(size), RGBColor(0x1B, 0x4F, 0x72), True
        for a in ("w:ascii", "w:hAnsi"):
            s.element.rPr.rFonts.set(qn(a), "Liberation Sans")
        for a in ("w:asciiTheme", "w:hAnsiTheme"):
            s.element.rPr.rFonts.attrib.pop(qn(a), None)
    lines = (SRC / src).read_text(encoding="utf-8").splitlines()
    title = lines[0].lstrip("# ")
    cells0 = [c.strip() for c in lines[2].strip("|").split("|")]
    docno, version = cells0[1], cells0[3]
    stop = Cm(16.6)
    for para, left, right in ((sec.header.paragraphs[0], f"{docno} {title}, version {version}", "Larkmoor General Hospital"),
                              (sec.footer.paragraphs[0], "Synthetic sample for demonstration; not for clinical use", "Page ")):
        para.paragraph_format.tab_stops.add_tab_stop(stop, WD_TAB_ALIGNMENT.RIGHT)
        para.style = normal
        para.add_run(left + "\t" + right)
        if right == "Page ":
            field(para, "PAGE")
        for r in para.runs:
            r.font.size = Pt(8)
    i = 0
    while i < len(lines):
        ln = lines[i]
        if ln.startswith("# "):
            d.add_paragraph(title, style="Title")
        elif ln.startswith("## "):
            d.add_paragraph(ln[3:], style="Heading 1")
        elif ln.startswith("|"):
            rows = []
            while i < len(lines) and lines[i].startswith("|"):
                rows.append([c.strip() for c in lines[i].strip().strip("|").split("|")])
                i += 1
            i -= 1
            rows = [r for r in rows if not all(set(c) <= set("-: ") for c in r)]
            t = d.add_table(rows=0, cols=len(rows[0]), style="Table Grid")
            t.autofit = False
            weight = [max(8, min(34, max(len(r[k]) for r in rows)), 3 + max(len(w) for r in rows for w in r[k].split() or [""])) for k in range(len(rows[0]))]
            if rows[0][0] == "Document number":
                weight = [20, 36, 15, 36]
            widths = [Cm(16.6 * w / sum(weight)) for w in weight]
            for col, w in zip(t.columns, widths):
                col.width = w
            for n, r in enumerate(rows):
                cells = t.add_row().cells
                for c, text, w in zip(cells, r, widths):
                    c.width = w
                    p = c.paragraphs[0]
                    p.paragraph_format.space_after = Pt(1)
                    meta = rows[0][0] == "Document number"
                    inline(p, text if n or meta else f"**{text}**" if text else "")
                    if meta and n == 0 and text in ("Document number", "Version"):
                        p.runs[0].bold = True
                    for run_ in p.runs:
                        run_.font.size = Pt(9)
                    if n == 0 and not meta:
                        sh = OxmlElement("w:shd")
                        sh.set(qn("w:val"), "clear")
                        sh.set(qn("w:fill"), "DCE6F1")
                        c._tc.get_or_add_tcPr().append(sh)
                trpr = t.rows[-1]._tr.get_or_add_trPr()
                trpr.append(OxmlElement("w:cantSplit"))
                if n == 0:
                    trpr.append(OxmlElement("w:tblHeader"))
            d.add_paragraph().paragraph_format.space_after = Pt(2)
        elif ln.startswith("- "):
            inline(d.add_paragraph(style="List Bullet"), ln[2:])
        elif re.match(r"\d+\. ", ln):
            num, text = ln.split(". ", 1)
            p = d.add_paragraph()
            p.paragraph_format.left_indent, p.paragraph_format.first_line_indent = Cm(0.8), Cm(-0.8)
            p.paragraph_format.tab_stops.add_tab_stop(Cm(0.8))
            p.add_run(f"{num}.\t")
            inline(p, text)
        elif ln.strip():
            p = d.add_paragraph()
            inline(p, ln)
            p.paragraph_format.keep_with_next = ln.startswith("**Table")
        i += 1
    when = datetime.datetime.fromisoformat(day)
    cp = d.core_properties
    cp.title, cp.author, cp.last_modified_by, cp.comments = title, "Larkmoor General Hospital", "Larkmoor General Hospital", "Synthetic sample for demonstration; not for clinical use"
    cp.created = cp.modified = when
    cp.revision = 1
    buf = io.BytesIO()
    d.save(buf)
    with zipfile.ZipFile(buf) as zin, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zout:
        for info in sorted(zin.infolist(), key=lambda x: (x.filename != "[Content_Types].xml", x.filename)):
            if info.filename == "docProps/thumbnail.jpeg":
                continue
            data = zin.read(info)
            if info.filename == "_rels/.rels":
                data = re.sub(rb"<Relationship [^>]*thumbnail[^>]*/>", b"", data)
            z = zipfile.ZipInfo(info.filename, (1980, 1, 1, 0, 0, 0))
            z.compress_type = zipfile.ZIP_DEFLATED
            z.external_attr = 0o644 << 16
            zout.writestr(z, data)


def by_libreoffice(src, out, day):
    with tempfile.TemporaryDirectory() as t:
        word = Path(t) / (out.stem + ".docx")
        by_docx(src, word, day)
        run(["soffice", f"-env:UserInstallation=file://{t}/profile", "--headless", "--convert-to", "pdf:writer_pdf_Export", "--outdir", t, str(word)])
        data = (Path(t) / (out.stem + ".pdf")).read_bytes()
    # LibreOffice writes the time of the export and a random file identifier; both are replaced by values of the same length.
    stamp = day.replace("-", "").encode() + b"000000Z"
    data = re.sub(rb"\(D:\d{14}[^)]*\)", lambda m: b"(D:" + stamp.ljust(len(m.group(0)) - 4)[: len(m.group(0)) - 4] + b")", data)
    ident = hashlib.md5(src.encode()).hexdigest().upper().encode()
    data = re.sub(rb"/ID \[ <[0-9A-F]{32}>\s*<[0-9A-F]{32}> \]", lambda m: re.sub(rb"<[0-9A-F]{32}>", b"<" + ident + b">", m.group(0)), data)
    data = re.sub(rb"/DocChecksum /[0-9A-F]{32}", b"/DocChecksum /" + ident, data)
    out.write_bytes(data)


DOCUMENTS = [  # name, source, tool, fixed date (the effective date)
    ("LGH-CP-014-sepsis.pdf", "sepsis.typ", by_typst, "2026-01-12"),
    ("LGH-CP-021-vte-prophylaxis.pdf", "vte-prophylaxis.html", by_weasyprint, "2026-03-02"),
    ("LGH-CP-027-hypoglycaemia-insulin.pdf", "insulin-hypoglycaemia.py", by_reportlab, "2026-02-16"),
    ("LGH-CP-030-acute-pain-opioids.pdf", "acute-pain.tex", by_pdflatex, "2025-11-17"),
    ("LGH-CP-033-blood-transfusion.pdf", "blood-transfusion.tex", by_pdflatex, "2025-09-01"),
    ("LGH-EST-009-fire-evacuation.pdf", "fire-evacuation.md", by_libreoffice, "2026-01-05"),
    ("LGH-GOV-007-consent.pdf", "consent.html", by_weasyprint, "2025-10-06"),
    ("LGH-HS-012-needlestick.pdf", "needlestick.ms", by_groff, "2025-11-03"),
    ("LGH-IPC-001-infection-control-manual.pdf", "infection-control-manual.typ", by_typst, "2026-05-05"),
    ("LGH-IT-011-it-downtime.md", "it-downtime.md", by_copy, "2025-12-15"),
    ("LGH-NUR-016-falls-prevention.docx", "falls-prevention.md", by_docx, "2026-02-02"),
    ("LGH-OPS-004-visitor-policy.pdf", "visitor-policy.md", by_libreoffice, "2026-04-01"),
    ("LGH-PH-001-medicines-management.pdf", "medicines-management.py", by_reportlab, "2026-04-07"),
]


def pages_of(path):
    """Plain text of each page; a Word or Markdown file counts as one page."""
    if path.suffix == ".pdf":
        from pypdf import PdfReader
        return [p.extract_text() for p in PdfReader(path).pages]
    if path.suffix == ".docx":
        import docx
        d = docx.Document(path)
        return ["\n".join([p.text for p in d.paragraphs] + [c.text for t in d.tables for r in t.rows for c in r.cells])]
    return [path.read_text(encoding="utf-8")]


def check():
    texts = {p.name: pages_of(p) for p in sorted(OUT.iterdir())}
    bad = split = answerable = 0
    covered = set()
    for n, line in enumerate((HERE / "questions.jsonl").read_text(encoding="utf-8").splitlines(), 1):
        q = json.loads(line)
        if q["document"] is None:
            continue
        answerable += 1
        covered.add(q["document"])
        flat = [" ".join(t.split()) for t in texts[q["document"]]]
        found = [i for i, t in enumerate(flat, 1) if q["contains"] in t]
        if found != q["pages"]:
            bad += 1
            print(f"line {n}: {q['contains']!r} is on pages {found} of {q['document']}, not {q['pages']}")
        elif not all(q["contains"] in texts[q["document"]][i - 1] for i in found):
            split += 1
            print(f"line {n}: {q['contains']!r} runs over a line end (found with spaces folded)")
    missing = set(texts) - covered
    print(f"{answerable} answerable questions, {bad} wrong, {split} over a line end, documents without question: {sorted(missing) or 'none'}")
    return 1 if bad or missing else 0


def main(args):
    if "--check" in args:
        return check()
    OUT.mkdir(exist_ok=True)
    for name, src, tool, day in DOCUMENTS:
        if args and not any(a in name for a in args):
            continue
        with fixed_date(day):
            tool(src, OUT / name, day)
        data = (OUT / name).read_bytes()
        print(f"{name:45} {len(data):8} bytes  {hashlib.sha256(data).hexdigest()[:16]}  {tool.__name__[3:]}")
    return check() if (HERE / "questions.jsonl").exists() and not args else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
