"""Reports of the sample grid, written once."""

from __future__ import annotations

import pytest
from reported import HOME, MADE, Page, full_session

from napari_clxem.report import write_report
from napari_clxem.session import Session, load


@pytest.fixture(scope="session")
def sample() -> Session:
    return load(HOME)


@pytest.fixture(scope="session")
def sample_page(sample, tmp_path_factory) -> Page:
    path = tmp_path_factory.mktemp("sample") / "report.html"
    return Page(write_report(sample, path, home=HOME, made=MADE))


@pytest.fixture(scope="session")
def full() -> Session:
    return full_session()


@pytest.fixture(scope="session")
def full_page(full, tmp_path_factory) -> Page:
    path = tmp_path_factory.mktemp("full") / "report.html"
    return Page(write_report(full, path, home=HOME, made=MADE))
