"""Commands that read and change a database of finished trials."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys

import pytest
from filled_study import fill

from sweep.store import Store
from sweep.store.records import TimeSplit

URL = "sqlite:///sweep.db"
NO_TIME = TimeSplit(2, *[0.0] * 6)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    directory = tmp_path_factory.mktemp("filled")
    fill(f"sqlite:///{directory}/sweep.db")
    return directory / "sweep.db"


@pytest.fixture
def one_study(workdir, filled):
    shutil.copy(filled, workdir / "sweep.db")
    return workdir


@pytest.fixture
def two_studies(one_study):
    fill(URL, study="large")
    return one_study


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("studies", ["studies"]),
        ("status", ["status"]),
        ("trials", ["trials"]),
        ("trials-best", ["trials", "--sort", "value", "--limit", "2"]),
        ("trials-failed", ["trials", "small", "--failed"]),
        ("show", ["show", "1"]),
        ("show-failed", ["show", "4"]),
    ],
)
def test_text_and_json_are_golden(cli, golden, one_study, name, words):
    text = cli(*words)
    assert text.code == 0
    golden(name, text.out + text.err)
    document = cli(*words, "--json")
    assert (document.code, document.err) == (0, "")
    json.loads(document.out)
    golden(f"{name}-json", document.out)


def test_a_running_study_shows_its_drivers_and_workers(cli, golden, one_study):
    driver = {"pid": os.getpid(), "host": socket.gethostname()}
    with Store.open(URL) as store, store.driving("small", NO_TIME) as run:
        assert len(run.take_over(1)) == 1
        run.worker_ready("cpu0", 4321, "host", "cpu:0", "reference")
        outcome = cli("status")
        document = json.loads(cli("status", "--json").out)
        with store.driving("small", NO_TIME):
            both = cli("status")
            assert json.loads(cli("status", "--json").out)["drivers"] == [driver] * 2
    assert document["drivers"] == [driver]
    assert document["workers"][0]["trials"] == [5]
    golden("status-running", outcome.out.replace(str(driver["pid"]), "<pid>"))
    running = f"running, process {os.getpid()}"
    assert both.out == outcome.out.replace(running, f"{running} and process {os.getpid()}")
    assert json.loads(cli("status", "--json").out)["drivers"] == []


def test_a_study_that_runs_is_not_deleted(cli, one_study):
    with Store.open(URL) as store, store.driving("small", NO_TIME):
        outcome = cli("delete", "small", "--yes")
    assert outcome.code == 1
    assert "another process drives the study" in outcome.err
    assert cli("delete", "small", "--yes").code == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("several-studies", ["trials"]),
        ("near-miss", ["trials", "smal"]),
        ("no-study", ["trials", "unheard-of"]),
        ("no-trial", ["show", "99", "--study", "small"]),
        ("no-failure", ["retry", "0", "--study", "small"]),
        ("top-needs-directory", ["export", "small", "--top", "2"]),
        ("report-twice", ["report", "small", "large", "small"]),
    ],
)
def test_errors_about_studies_are_golden(cli, golden, two_studies, name, words):
    outcome = cli(*words)
    assert (outcome.code, outcome.out) == (2, "")
    golden(f"error-{name}", outcome.err)


def test_an_empty_database(cli, workdir):
    Store.open(URL).close()
    assert "no studies yet" in cli("studies").err
    outcome = cli("trials")
    assert outcome.code == 2
    assert "holds no study" in outcome.err


def test_retry(cli, golden, one_study):
    outcome = cli("retry")
    golden("retry", outcome.out)
    assert "no failed trial" in cli("retry").err
    status = json.loads(cli("status", "--json").out)
    assert status["trials"]["retried"] == 1
    assert status["trials"]["failed"] == 0
    assert status["trials"]["finished"] == 4
    assert json.loads(cli("trials", "--json").out)[7]["retry_of"] == 4


def test_delete_asks(cli, two_studies, monkeypatch):
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    outcome = cli("delete", "large")
    assert (outcome.code, outcome.err) == (1, "nothing deleted\n")
    assert len(json.loads(cli("studies", "--json").out)) == 2
    outcome = cli("delete", "large", "--yes")
    assert (outcome.code, outcome.out) == (0, "deleted large with 7 trials\n")
    assert [row["study"] for row in json.loads(cli("studies", "--json").out)] == ["small"]


def test_delete_without_anyone_to_ask_names_the_option(cli, two_studies, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    outcome = cli("delete", "large")
    assert outcome.code == 2
    assert "--yes" in outcome.err
    assert cli("status", "large").code == 0


def test_storage_by_option_variable_and_path(cli, one_study, monkeypatch):
    expected = cli("studies").out
    (one_study / "runs").mkdir()
    shutil.move(one_study / "sweep.db", one_study / "runs" / "a.db")
    assert cli("studies").code == 1
    assert cli("studies", "--storage", "runs/a.db").out == expected
    assert cli("studies", "--storage", "sqlite:///runs/a.db").out == expected
    monkeypatch.setenv("SWEEP_STORAGE", "runs/a.db")
    assert cli("studies").out == expected


def test_storage_init(cli, workdir):
    for _ in range(2):
        outcome = cli("storage", "init")
        assert (outcome.code, outcome.out) == (0, "the tables are there: sqlite:///sweep.db\n")
    assert json.loads(cli("studies", "--json").out) == []


def test_storage_upgrade(cli, one_study):
    outcome = cli("storage", "upgrade")
    assert outcome.code == 0
    assert outcome.out.startswith("the schema is up to date")
    document = json.loads(cli("storage", "upgrade", "--json").out)
    assert document["from"] == document["to"]


def test_report(cli, one_study):
    outcome = cli("report", "-o", "page.html")
    assert (outcome.code, outcome.out) == (0, "wrote page.html\n")
    assert "small" in (one_study / "page.html").read_text()


def test_report_of_several_studies(cli, two_studies):
    outcome = cli("report", "small", "large", "-o", "page.html")
    assert (outcome.code, outcome.out) == (0, "wrote page.html\n")
    assert "large against small, all trials" in (two_studies / "page.html").read_text()
    document = json.loads(cli("report", "small", "large", "--json").out)
    assert document == {"studies": ["small", "large"], "report": "report.html"}


def test_report_as_images(cli, two_studies, monkeypatch):
    def draw(charts, directory, formats, *, wrote):
        files = {name: [directory / f"{name}.{kind}" for kind in formats] for name in charts}
        for path in sum(files.values(), []):
            wrote(path)
        return files

    monkeypatch.setattr("sweep.report.images.write_images", draw)
    outcome = cli("report", "small", "--figures", "images")
    assert outcome.code == 0
    assert outcome.out.splitlines()[0] == "wrote images/history.png"
    assert outcome.err == f"drawing {len(outcome.out.splitlines())} figures as png\n"
    words = ("--figures", "d", "--format", "svg", "--format", "pdf", "--format", "svg", "--json")
    outcome = cli("report", "small", "large", *words)
    document = json.loads(outcome.out)
    assert document["studies"] == ["small", "large"]
    first = document["figures"][0]
    assert (first["figure"], first["files"]) == (
        "quality-0",
        ["d/quality-0.svg", "d/quality-0.pdf"],
    )
    assert first["text"].startswith("Best validation accuracy after")
    assert "figures as svg and pdf\nwrote d/quality-0.svg\n" in outcome.err
    assert {"d/small/history.svg", "d/large/history.pdf"} <= {
        path for figure in document["figures"] for path in figure["files"]
    }
    assert not (two_studies / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--figures", "d", "-o", "a.html"], "--figures and --output exclude each other"),
        (["--format", "svg"], "--format is for --figures DIR"),
        (["--figures", "d", "--format", "gif"], "'gif' is not one of 'png', 'svg', 'pdf'"),
    ],
)
def test_report_options_that_do_not_go_together(cli, one_study, words, message):
    outcome = cli("report", *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err


def test_export_to_standard_output_and_files(cli, one_study):
    text = cli("export").out
    assert "swish" in text
    outcome = cli("export", "--trial", "0", "-o", "relu.yaml")
    assert outcome.out == "wrote relu.yaml (trial 0 of small)\n"
    assert outcome.err == "next: sweep train relu.yaml\n"
    document = json.loads(cli("export", "--top", "2", "--json").out)
    assert [item["trial"] for item in document] == [1, 0]
    assert cli("export", "--top", "2", "--format", "python", "-o", "out").code == 0
    assert len(list((one_study / "out").iterdir())) == 2


def test_export_of_frames(cli, one_study):
    outcome = cli("export", "--frames", "frames", "--format", "csv")
    names = ["study", "trials", "epochs", "layers", "workers", "effects", "interactions"]
    assert outcome.out == "".join(f"wrote frames/{name}.csv\n" for name in names)
    assert len((one_study / "frames" / "trials.csv").read_text().splitlines()) == 8
    document = json.loads(cli("export", "small", "--frames", "tables", "--json").out)
    assert document["files"][1] == "tables/trials.parquet"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--frames", "d", "--trial", "1"], "--frames excludes --trial"),
        (["--frames", "d", "--format", "yaml"], "--frames are written as parquet or csv"),
        (["--format", "csv"], "--format csv is for --frames DIR"),
    ],
)
def test_frames_and_trials_are_exported_apart(cli, one_study, words, message):
    outcome = cli("export", *words)
    assert outcome.code == 2
    assert message in outcome.err


def test_a_closed_pipe_ends_a_table(one_study):
    code = "import sys; from sweep.cli import main; sys.exit(main())"
    run = subprocess.run(
        f'{sys.executable} -c "{code}" trials | head -1; echo ${{PIPESTATUS[0]}}',
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines()[-1] == "0"
    assert run.stderr == ""
