"""Where the shared reference data lies: $ASSAY_SHARED, or shared/ beside the source tree."""

import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def reference_folder(*names):
    """(the folder or None, where it was looked for)"""
    given = os.environ.get("ASSAY_SHARED")
    places = [given] if given else [os.path.join(ROOT, up, "shared") for up in ("..", os.path.join("..", ".."))]
    tried = [os.path.normpath(os.path.join(place, "reference", *names)) for place in places]
    return next((folder for folder in tried if os.path.isdir(folder)), None), " or ".join(tried)
