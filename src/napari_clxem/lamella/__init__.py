"""Lamella: what to cut, and what the cut holds."""

from napari_clxem.lamella.capture import Capture, capture_in_view, capture_probability
from napari_clxem.lamella.clipping import warm
from napari_clxem.lamella.drift import (
    drift_by_beads,
    drift_by_images,
    left_in_view,
    moved_view,
)
from napari_clxem.lamella.fib_view import (
    ViewFit,
    angles_of,
    beam_of,
    composed,
    fib_projection,
    image_rotation,
    lift,
    placed,
    project,
    register_view,
    upright,
    view_outline,
)
from napari_clxem.lamella.field_record import FieldRecord
from napari_clxem.lamella.gain import Gain, best_beads, with_beads
from napari_clxem.lamella.handles import pulled, surface
from napari_clxem.lamella.intersection import Overlap, PlanOverlap, overlap, plan_overlap
from napari_clxem.lamella.milling import (
    Instrument,
    film_angle,
    film_tilt,
    milling_angle,
    stage_tilt,
)
from napari_clxem.lamella.optics import Optics
from napari_clxem.lamella.outline import (
    Outline,
    in_outline,
    lamella_on_map,
    outlined,
    share_within,
    trace,
)
from napari_clxem.lamella.pose import (
    SlabPose,
    carried,
    face_on_tilt,
    features_at,
    resample_slab,
    slab_pose,
    tem_placement,
)
from napari_clxem.lamella.presets import (
    BOXES,
    INSTRUMENTS,
    MICRO_EXPANSION,
    BoxPreset,
    Joints,
    instrument,
    joint_outlines,
)
from napari_clxem.lamella.proposal import Losses, Proposal, propose
from napari_clxem.lamella.record import LamellaRecord
from napari_clxem.lamella.sites import SiteProposal, judge_site, propose_sites
from napari_clxem.lamella.slab import Lamella
from napari_clxem.lamella.statistics import (
    BY_EYE,
    Campaign,
    CampaignRow,
    campaign,
    campaign_plot,
    campaign_table,
    share_interval,
)

__all__ = [
    "BOXES",
    "BY_EYE",
    "INSTRUMENTS",
    "MICRO_EXPANSION",
    "BoxPreset",
    "Campaign",
    "CampaignRow",
    "Capture",
    "FieldRecord",
    "Gain",
    "Instrument",
    "Joints",
    "Lamella",
    "LamellaRecord",
    "Losses",
    "Optics",
    "Outline",
    "Overlap",
    "PlanOverlap",
    "Proposal",
    "SiteProposal",
    "SlabPose",
    "ViewFit",
    "angles_of",
    "beam_of",
    "best_beads",
    "campaign",
    "campaign_plot",
    "campaign_table",
    "capture_in_view",
    "capture_probability",
    "carried",
    "composed",
    "drift_by_beads",
    "drift_by_images",
    "face_on_tilt",
    "features_at",
    "fib_projection",
    "film_angle",
    "film_tilt",
    "image_rotation",
    "in_outline",
    "instrument",
    "joint_outlines",
    "judge_site",
    "lamella_on_map",
    "left_in_view",
    "lift",
    "milling_angle",
    "moved_view",
    "outlined",
    "overlap",
    "placed",
    "plan_overlap",
    "project",
    "propose",
    "propose_sites",
    "pulled",
    "register_view",
    "resample_slab",
    "share_interval",
    "share_within",
    "slab_pose",
    "stage_tilt",
    "surface",
    "tem_placement",
    "trace",
    "upright",
    "view_outline",
    "warm",
    "with_beads",
]
