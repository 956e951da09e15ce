"""What the two ReportLab documents share: fonts, styles, running header and footer."""
import subprocess
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen import canvas
from reportlab.platypus import (BaseDocTemplate, Frame, PageTemplate, Paragraph, Spacer, Table, TableStyle, KeepTogether,
                                PageBreak, ListFlowable, ListItem, CondPageBreak)
from reportlab.platypus.tableofcontents import TableOfContents

STATUS = "Synthetic sample for demonstration; not for clinical use"


def register_fonts():
    for name, pattern in (("Body", "Liberation Sans:style=Regular"), ("Body-Bold", "Liberation Sans:style=Bold"),
                          ("Body-Italic", "Liberation Sans:style=Italic"), ("Body-BoldItalic", "Liberation Sans:style=Bold Italic")):
        path = subprocess.run(["fc-match", "-f", "%{file}", pattern], capture_output=True, text=True, check=True).stdout
        if "Liberation" not in path:
            raise SystemExit("Liberation Sans is missing: install Debian package fonts-liberation")
        pdfmetrics.registerFont(TTFont(name, path))
    pdfmetrics.registerFontFamily("Body", normal="Body", bold="Body-Bold", italic="Body-Italic", boldItalic="Body-BoldItalic")


def styles(accent):
    base = ParagraphStyle("base", fontName="Body", fontSize=9.6, leading=13, spaceAfter=4)
    return {
        "p": base,
        "h0": ParagraphStyle("h0", parent=base, fontName="Body-Bold", fontSize=20, leading=24, textColor=accent, spaceAfter=6),
        "h1": ParagraphStyle("h1", parent=base, fontName="Body-Bold", fontSize=14, leading=18, textColor=accent, spaceBefore=10, spaceAfter=5, keepWithNext=1),
        "h2": ParagraphStyle("h2", parent=base, fontName="Body-Bold", fontSize=10.8, leading=14, spaceBefore=6, spaceAfter=3, keepWithNext=1),
        "cell": ParagraphStyle("cell", parent=base, fontSize=8.4, leading=10.6, spaceAfter=0),
        "head": ParagraphStyle("head", parent=base, fontName="Body-Bold", fontSize=8.4, leading=10.6, spaceAfter=0, textColor=colors.white),
        "cap": ParagraphStyle("cap", parent=base, fontName="Body-Bold", fontSize=8.8, leading=11, spaceBefore=4, spaceAfter=3, keepWithNext=1),
        "toc": ParagraphStyle("toc", parent=base, fontSize=9.6, leading=14),
    }


class Doc(BaseDocTemplate):
    """Running header and footer, page x of y, outline and table of contents from the level 1 headings."""

    def __init__(self, path, docno, version, title, date, accent):
        self.docno, self.version, self.accent, self.toc_on = docno, version, accent, False
        self.date = date
        super().__init__(path, pagesize=A4, title=title, author="Larkmoor General Hospital", subject=STATUS,
                         leftMargin=20 * mm, rightMargin=20 * mm, topMargin=24 * mm, bottomMargin=20 * mm, invariant=1)
        frame = Frame(self.leftMargin, self.bottomMargin, self.width, self.height, id="f", leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
        self.addPageTemplates([PageTemplate(id="p", frames=[frame], onPage=self._decorate)])

    def _decorate(self, c, doc):
        w, h = A4
        c.saveState()
        c.setFillColor(colors.HexColor("#445566"))
        c.setStrokeColor(self.accent)
        c.setFont("Body", 8)
        c.drawString(20 * mm, h - 15 * mm, f"{self.docno} version {self.version}")
        c.drawRightString(w - 20 * mm, h - 15 * mm, "Larkmoor General Hospital")
        c.line(20 * mm, h - 17 * mm, w - 20 * mm, h - 17 * mm)
        c.drawString(20 * mm, 12 * mm, STATUS)
        c.drawRightString(w - 20 * mm, 12 * mm, f"Page {doc.page}")
        c.restoreState()

    def afterFlowable(self, f):
        if isinstance(f, Paragraph) and f.style.name == "h1":
            key = "h-" + "".join(ch if ch.isalnum() else "-" for ch in f.getPlainText())
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(f.getPlainText(), key, 0)
            self.notify("TOCEntry", (0, f.getPlainText(), self.page, key))


def table(rows, widths, st, accent, caption=None):
    data = [[Paragraph(str(c), st["head"] if i == 0 else st["cell"]) for c in r] for i, r in enumerate(rows)]
    t = Table(data, colWidths=[w * mm for w in widths], repeatRows=1)
    t.setStyle(TableStyle([("BACKGROUND", (0, 0), (-1, 0), accent), ("GRID", (0, 0), (-1, -1), 0.4, colors.HexColor("#9aa7b0")),
                           ("VALIGN", (0, 0), (-1, -1), "TOP"), ("ROWBACKGROUNDS", (0, 1), (-1, -1), [colors.white, colors.HexColor("#f3f6f8")]),
                           ("TOPPADDING", (0, 0), (-1, -1), 2.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 3)]))
    return ([Paragraph(caption, st["cap"])] if caption else []) + [t, Spacer(1, 6)]


def meta(rows, st):
    data = [[Paragraph(f"<b>{a}</b>", st["cell"]), Paragraph(b, st["cell"]), Paragraph(f"<b>{c}</b>", st["cell"]), Paragraph(d, st["cell"])] for a, b, c, d in rows]
    t = Table(data, colWidths=[34 * mm, 56 * mm, 26 * mm, 54 * mm])
    t.setStyle(TableStyle([("GRID", (0, 0), (-1, -1), 0.4, colors.HexColor("#9aa7b0")), ("VALIGN", (0, 0), (-1, -1), "TOP")]))
    return [t, Spacer(1, 6)]


def items(lines, st, numbered=False):
    return ListFlowable([ListItem(Paragraph(x, st["p"]), leftIndent=14) for x in lines], bulletType="1" if numbered else "bullet",
                        start=1 if numbered else "•", bulletFontName="Body", bulletFontSize=9, leftIndent=14)


def warn(text, st):
    t = Table([[Paragraph(text, st["p"])]], colWidths=[170 * mm])
    t.setStyle(TableStyle([("BACKGROUND", (0, 0), (-1, -1), colors.HexColor("#fdf0ee")), ("LINEBEFORE", (0, 0), (0, -1), 3, colors.HexColor("#b3261e")),
                           ("LEFTPADDING", (0, 0), (-1, -1), 8)]))
    return [t, Spacer(1, 6)]
