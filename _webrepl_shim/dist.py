"""dist.py FOLDER: write the package.json by which mip installs what is in the folder."""

import json
import sys
from pathlib import Path

folder = Path(sys.argv[1])
package = json.loads(Path("package.json").read_text())
package["urls"] = [[name, name] for name in sorted(path.name for path in folder.iterdir())]
(folder / "package.json").write_text(json.dumps(package, indent=2) + "\n")
