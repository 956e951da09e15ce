"""The size of a deployment package: `python package_size.py FILE ...` prints the bytes of the files zipped as deployed."""

import io
import sys
import zipfile

archive = io.BytesIO()
with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
    for name in sys.argv[1:]:
        package.write(name)
print(archive.tell())
