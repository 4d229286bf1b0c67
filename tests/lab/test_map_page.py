"""The page of maps and its game: what it opens on, what it says, a round from first trial to table. No browser."""

import csv
import io

import numpy as np
import pytest
from app_pages import opened, text
from patience_runs import home  # noqa: F401 - a fixture

from engine.features import Features
from engine.metrics.describer import halves
from engine.metrics.forced_choice import answers, score
from lab import warm
from lab.atlas import Atlas, extraction, keep_atlas, stored_atlas, umap_learn
from lab.atlas.extraction import Job, Wanted
from lab.parts import embedding, learnability


@pytest.fixture(autouse=True)
def at_home(home):  # noqa: F811
    warm._importing().result()
    return home


@pytest.fixture
def shown(monkeypatch):
    """What the cloud was asked to show, instead of showing it."""
    seen = []

    def cloud(atlases, map, knobs, start, **more):
        seen.append((list(atlases), map, dict(knobs), start, more))
        return start

    monkeypatch.setattr(embedding, "cloud", cloud)
    return seen


def test_it_opens_on_the_atlas_that_ships_before_torch_is_loaded(shown, monkeypatch):
    monkeypatch.setattr(warm, "is_warm", lambda: False)
    app = opened("map")
    assert [title.value for title in app.title] == ["Embedding map"]
    assert "1,000 pictures of garments (test), seen by RandAugment · the shipped demo." in text(app)
    assert "Torch is being loaded" in text(app)
    assert shown[-1][:3] == (["stored"], "umap", {})


def test_what_matters_stands_in_the_address(shown):
    opened("map", **{
        "map": "tsne", "tsne.perplexity": "12.0", "colour": "error", "only": "1", "loops": "0_0_9_9_0_9", "at": "0.5",
        "clusters": "7",
    })  # fmt: skip
    ids, name, knobs, start, more = shown[-1]
    assert (ids, name, knobs) == (["stored"], "tsne", {"perplexity": 12.0})
    assert (start.colour, start.only, start.loops, start.at) == ("error", 1, "0_0_9_9_0_9", 0.5)
    assert more["clusters"] == 7
    opened("map", only="many")
    assert shown[-1][3].only is None, "an address that cannot be is as none"


def test_the_view_that_was_let_go_is_written_into_the_address(monkeypatch):
    view = embedding.View("cluster", 3, "1_2_3_4_5_6", 1.0)
    monkeypatch.setattr(embedding, "cloud", lambda *_, **__: view)
    app = opened("map", colour="label")
    told = {name: app.query_params[name] for name in ("colour", "only", "loops", "at")}
    assert told == {"colour": "cluster", "only": "3", "loops": "1_2_3_4_5_6", "at": "1.0"}
    monkeypatch.setattr(embedding, "cloud", lambda *_, **__: embedding.View())
    app.run()
    assert not {"colour", "only", "loops", "at"} & set(app.query_params)


def test_two_models_see_the_same_pictures(shown, monkeypatch):
    asked = []

    def there(wanted):
        asked.append(wanted)
        found = Job(wanted)
        found.atlas = stored_atlas()
        return found

    monkeypatch.setattr(embedding, "job", there)
    app = opened("map", other="representation.moco")
    assert asked[-1] == Wanted("representation.moco", "garments", "test", 1000), "of the first one's data"
    assert len(shown[-1][0]) == 2
    assert shown[-1][4]["moments"] == ["RandAugment · the shipped demo", "Momentum contrast · the shipped demo"]
    assert "and by representation.moco." in text(app)


def test_work_is_shown_and_a_refusal_is_said_and_tried_again(shown, monkeypatch):
    waiting = Job(Wanted("representation.moco"))
    waiting.done, waiting.total = 30, 120
    monkeypatch.setattr(embedding, "job", lambda wanted: waiting)
    app = opened("map", model="representation.moco")
    assert "stop-atlas" in [button.key for button in app.button]
    assert embedding.stage(waiting) == "30 of 120 pictures seen by Momentum contrast · the shipped demo"
    assert shown[-1][0] == ["stored"], "something to look at meanwhile"
    assert "Meanwhile, the map that ships" in text(app)
    app.button("stop-atlas").click().run()
    assert waiting._stop.is_set()
    waiting.error = "it was stopped"
    app = opened("map", model="representation.moco")
    assert app.error[0].value == "It was stopped."
    assert "Meanwhile" not in text(app)
    assert "try-again" in [button.key for button in app.button]


def test_umap_learn_that_is_not_installed_is_said(shown, monkeypatch):
    monkeypatch.setattr(umap_learn, "is_installed", lambda: False)
    app = opened("map", map="umap-learn")
    assert "umap-learn is not installed here; install it with" in app.warning[0].value
    assert not shown


def test_a_method_that_does_not_embed_is_not_offered():
    assert "detection.retinanet" not in embedding.models()
    assert "representation.moco" in embedding.models()


# The game


def play(app, choose):
    """Answer all trials; choose(trial) -> 0 or 1."""
    now = app.session_state["round"]
    while now.trial is not None:
        app.button(f"answer-{('left', 'right')[choose(now.trial)]}").click().run()
        now = app.session_state["round"]
    return now


def test_a_round_is_played_scored_and_written_down():
    app = opened("map", part="Learnability", trials="6", groups="classes")
    assert "Which of these two belongs to them?" in text(app)
    assert "1 of 6" in text(app)
    now = play(app, lambda trial: trial.answer)
    assert score(now.dealt.trials, now.given).right == 6
    assert "You were right 6 times of 6" in text(app)
    assert "more than luck (p = 0.016)" in text(app)
    table = app.dataframe[0].value
    assert table["right"][0] == "6 of 6"
    pixels = score(now.dealt.trials, answers(now.dealt.trials, stored_atlas().features.thumbnails / 255))
    assert table["right"][1] == f"{pixels.right} of 6"
    by_pixels = answers(now.dealt.trials, stored_atlas().features.thumbnails)
    rows = list(csv.DictReader(io.StringIO(learnability.table(stored_atlas(), now, by_pixels))))
    assert [row["member"] for row in rows] == [row["answer"] for row in rows]
    assert len(rows[0]["examples"].split()) == learnability.EXAMPLES
    app.button("again").click().run()
    assert "1 of 6" in text(app)
    assert app.session_state["round"].dealt != now.dealt


def test_an_answer_is_taken_back_and_a_round_is_ended_early():
    app = opened("map", part="Learnability")
    first = app.session_state["round"].trial
    app.button("answer-left").click().run()
    assert "2 of 20" in text(app)
    app.button("answer-back").click().run()
    assert app.session_state["round"].trial == first
    app.button("answer-right").click().run()
    app.button("answer-end").click().run()
    assert "of 1**" in text(app)


def test_who_guesses_is_told_that_it_can_be_luck():
    app = opened("map", part="Learnability", trials="8")
    play(app, lambda trial: 0)
    assert "that can well be luck" in text(app)
    assert "You were right" in text(app)


def test_small_groups_are_named_and_no_group_at_all_is_said():
    app = opened("map", part="Learnability", examples="30", clusters="10")
    assert not app.error
    draw = np.random.default_rng(0)
    found = Features(draw.normal(size=(9, 3)), np.full(9, -1), draw.integers(0, 9, (9, 1, 8, 8), np.uint8), ())
    few = keep_atlas(Atlas("few", found, np.arange(9), "toys", "9 toys"))
    job = Job(Wanted("toys"))
    job.atlas = few
    app = opened("map", part="Learnability")
    embedding_job, embedding.job = embedding.job, lambda wanted: job
    try:
        app.run()
    finally:
        embedding.job = embedding_job
    assert "can be asked about" in app.error[0].value
    assert extraction.job is embedding_job


def test_a_round_is_told_in_words_and_a_program_is_told_the_same():
    app = opened("map", part="Learnability", trials="6", groups="classes", given="words")
    now = app.session_state["round"]
    sentence = now.told.sentences[now.trial.group]
    assert sentence in text(app)
    assert "These 10 belong together" not in text(app)
    now = play(app, lambda trial: trial.answer)
    assert "these words describe the groups" in text(app)
    table = app.dataframe[0].value
    assert table["judge"][1] == "A program, by the same words"
    by_words = score(now.dealt.trials, now.told.by_words)
    assert table["right"][1] == f"{by_words.right} of 6"
    rows = list(csv.DictReader(io.StringIO(learnability.table(stored_atlas(), now, now.given))))
    assert [row["sentence"] for row in rows] == [now.told.sentences[trial.group] for trial in now.dealt.trials]


def test_sentences_are_of_other_pictures_than_the_trials():
    atlas = stored_atlas()
    labels, names = atlas.features.labels, list(atlas.features.classes)
    now = learnability.worded(atlas, labels, names, 200, 5, 0, None)
    asked = {row for trial in now.dealt.trials for row in (*trial.references, *trial.pair)}
    assert not halves(len(labels), 0)[list(asked)].any()
    found = score(now.dealt.trials, now.told.by_words)
    assert found.low > 0.5, "garments can be told in such words"
    assert len(now.told.sentences) == len(names)
