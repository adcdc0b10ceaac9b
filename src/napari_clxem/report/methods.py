"""How the numbers of the report were computed, with the sources."""

from __future__ import annotations

from importlib.metadata import version

from napari_clxem.dose.physics import conversion_source
from napari_clxem.errors import ClxemError
from napari_clxem.report.markup import Html, element, joined, paragraph, section
from napari_clxem.report.subject import Subject, name_of

STUDY = "10.1038/s42003-025-09072-x"
# What each source is cited for, in the order of the text.
SOURCES = {
    "study": (
        "Groen et al. 2025, Commun. Biol.: the cryo-CLXEM workflow that this software serves",
        STUDY,
    ),
    "robust": ("Fischler & Bolles 1981, Commun. ACM 24:381", "10.1145/358669.358692"),
    "refraction": (
        "Loginov et al. 2024, Optica 11:553 (preprint)",
        "10.1101/2024.01.31.578242",
    ),
    "henke": (
        "Henke, Gullikson & Davis 1993, At. Data Nucl. Data Tables 54:181",
        "10.1006/adnd.1993.1013",
    ),
    "kanaya": ("Kanaya & Okayama 1972, J. Phys. D 5:43", "10.1088/0022-3727/5/1/308"),
    "howells": (
        "Howells et al. 2009, J. Electron Spectrosc. Relat. Phenom. 170:4",
        "10.1016/j.elspec.2008.10.008",
    ),
    "grant": ("Grant & Grigorieff 2015, eLife 4:e06980", "10.7554/eLife.06980"),
    "damage": ("Lucas & Grigorieff 2023, PNAS 120:e2301852120", "10.1073/pnas.2301852120"),
    "wilson": ("Wilson 1927, J. Am. Stat. Assoc. 22:209", "10.1080/01621459.1927.10502953"),
}


class Citations:
    """Numbers sources in the order in which they are cited."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def __call__(self, key: str) -> str:
        """Give the mark of a source, such as ``[2]``."""
        if key not in self.keys:
            self.keys.append(key)
        return f"[{self.keys.index(key) + 1}]"

    def listed(self) -> Html:
        """Give the sources with their DOIs."""
        items = []
        for key in self.keys:
            words, doi = SOURCES[key]
            link = element("a", f"doi:{doi}", href=f"https://doi.org/{doi}")
            items.append(element("li", joined(words, link, between=", ")))
        return element("ol", joined(*items), class_="sources")


def methods(subject: Subject) -> Html:
    """Say how the numbers were computed."""
    cite = Citations()
    parts = [
        _frames(subject, cite),
        _links(subject, cite),
        _doses(subject, cite),
        _lamellae(subject, cite),
    ]
    return section(
        "methods",
        "Methods",
        *(paragraph(one) for one in parts if one),
        element("h3", "Sources"),
        cite.listed(),
    )


def _frames(subject: Subject, cite: Citations) -> str:
    said = (
        f"All numbers were computed by napari-clxem {version('napari-clxem')} {cite('study')} from "
        "the session named at the top. Positions are µm from the centre of the first pixel of the "
        "image that names the frame, x along columns, y along rows (down), z towards the beam."
    )
    deep = [one for one in subject.session.datasets if one.axial_scaling != 1.0]
    if deep:
        factors = ", ".join(f"{name_of(one)} × {one.axial_scaling:g}" for one in deep)
        said += (
            " Depths seen through an objective that looks into ice are stretched to the actual "
            f"ones {cite('refraction')}: {factors}."
        )
    else:
        said += " No depth was corrected for refraction."
    return said


def _links(subject: Subject, cite: Citations) -> str:
    links = subject.session.links
    if not links:
        return "No frames are linked."
    said = (
        "Links by landmarks are least-squares fits of the model named, weighted by the "
        "localisation errors of both sides where every landmark has one (the predicted error is "
        "then absolute, its 95 % region by χ²), else scaled by the residuals (by F). Links by "
        "content carry the covariance of their correlation, links by stage that of the stage. The "
        "predicted error at a target is the covariance of the mapped point by landmark errors and "
        "geometry, carried through every link of the way of smallest predicted error, the error of "
        "the pick added. It is a prediction: no link was compared with a known truth here."
    )
    if any(one.robust for one in links):
        said += f" Robust fits leave outliers out by random sampling {cite('robust')}."
    if any(one.prior for one in links):
        said += " Affine fits with a prior take the calibration (scale, shear) as known so far."
    return said


def _doses(subject: Subject, cite: Citations) -> str:
    session, limit = subject.session, subject.limit
    if not session.exposures:
        return "No dose was computed."
    kinds = {one.modality.lower() for one in session.exposures}
    said = [
        "Dose: every exposure is kept as its beam and tilts and evaluated where it is asked for; "
        "exposures are added up through the links, and the interval (90 %) is what the covariance "
        "of the links leaves open, all exposures of one frame moving together."
    ]
    if kinds & {"sxt", "xray", "x-ray"}:
        said.append(
            "X-rays: entrance dose (μ/ρ)·F·E with μ/ρ of the material by the tables of "
            f"{cite('henke')}."
        )
    if kinds & {"tem", "et", "cryo-et"}:
        try:
            source = conversion_source(limit.voltage, limit.material)
        except ClxemError:
            source = "a table"
        said.append(f"Electrons: MGy = C_F × e⁻/Å², C_F at {limit.voltage:g} kV by {source}.")
    if "sem" in kinds:
        said.append(f"Scanning electrons stop within their range {cite('kanaya')}.")
    said.append(
        f"What a resolution stands: 100 MGy/nm {cite('howells')}; the critical and the optimum "
        f"exposure {cite('grant')} times C_F; amplitude left exp(−D/(2·C_F·N_e)). Such estimates "
        "are good to a factor of two."
    )
    return " ".join(said)


def _lamellae(subject: Subject, cite: Citations) -> str:
    records = subject.session.lamellae
    if not records:
        return ""
    said = [
        "Lamellae: capture is that of a sphere in a slab without ends between its damage layers "
        f"{cite('damage')}, the error along the normal taken as Gaussian: its volume share is the "
        "expectation over the spherical caps cut off. Overlap is exact: the area of the mid-plane "
        "in plan within the field over that of the lamella (2D), the volume of the slab within "
        "the box of the tomogram over that of the slab (3D); intervals are 95 % over placings "
        "drawn from the covariance of the links."
    ]
    if any(one.status in ("milled", "lost") for one in records):
        said.append(f"The interval of the share above one half is that of {cite('wilson')}.")
    return " ".join(said)
