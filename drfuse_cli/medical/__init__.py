"""DICOM and NIfTI: slices and volumes in, fused ones out, with their geometry and no names.

Needs the extra ``drfuse[medical]``: pydicom and nibabel. ``kinds``, ``options`` and ``extra``
import nothing heavy; the other modules are imported after ``extra.require_medical``.
"""
