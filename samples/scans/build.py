"""Makes the scanned samples: pages of samples/documents as grey pictures of 200 dpi, in PDFs that hold nothing else.

Needs poppler's pdftoppm. The text beside each is what the page says in reading order, with its running header:
    python3 samples/scans/build.py
"""

import subprocess
from pathlib import Path

HERE = Path(__file__).parent
DPI = 200
PAGES = {"visitor-policy": ("LGH-OPS-004-visitor-policy.pdf", 1)}


def picture(source: Path, page: int) -> bytes:
    command = ["pdftoppm", "-r", str(DPI), "-gray", "-jpeg", "-jpegopt", "quality=40", "-f", str(page), "-l", str(page), str(source)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def size(jpeg: bytes) -> tuple[int, int]:
    """Width and height, from the start-of-frame segment."""
    at = 2
    while jpeg[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return int.from_bytes(jpeg[at + 7 : at + 9], "big"), int.from_bytes(jpeg[at + 5 : at + 7], "big")


def pdf(jpeg: bytes) -> bytes:
    width, height = size(jpeg)
    wide, high = width * 72 / DPI, height * 72 / DPI
    drawing = f"q {wide:.2f} 0 0 {high:.2f} 0 0 cm /I Do Q".encode()
    image = f"<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /DCTDecode /Length {len(jpeg)} >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {wide:.2f} {high:.2f}] /Contents 4 0 R /Resources << /XObject << /I 5 0 R >> >> >>".encode(),
        f"<< /Length {len(drawing)} >>\nstream\n".encode() + drawing + b"\nendstream",
        image.encode() + b"\nstream\n" + jpeg + b"\nendstream",
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n".encode() + b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    out += f"trailer\n<< /Size {len(places) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


for name, (source, page) in PAGES.items():
    (HERE / f"{name}.pdf").write_bytes(pdf(picture(HERE.parent / "documents" / source, page)))
