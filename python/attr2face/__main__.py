"""`python -m attr2face`."""

from attr2face.cli import main

raise SystemExit(main())
