"""Static files under names that carry a hash of their content, so that a browser never mixes two versions."""

from whitenoise.storage import CompressedManifestStaticFilesStorage

_IMPORTS = CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns[1]


class HashedAssets(CompressedManifestStaticFilesStorage):
    """Whitenoise's storage, in which our script modules import each other by the hashed names too.

    Only ours: packages ship modules that import what they do not ship.
    """

    support_js_module_import_aggregation = True
    _js_module_import_aggregation_patterns = ("ui/js/*.js", _IMPORTS)
