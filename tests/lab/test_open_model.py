"""Trained models are opened from whatever names them, and foreign files refused with the way out."""

import argparse
import pickle

import pytest
import torch

from engine import catalog
from engine.bench import Bench, Setup
from engine.checkpoint import Checkpoint, write_checkpoint
from engine.data.base import Facts
from engine.folder import write_state
from engine.nets.masked_vit import Decoder, MaskedViT
from engine.nets.released_vit import ReleasedViT
from lab import warm
from lab.checkpoints import open as opening
from lab.checkpoints import open_model
from lab.looking import Looker
from lab.models import called
from lab.runs.run import plan

FACTS = Facts(1, 28, ("a", "b"))


@pytest.fixture
def run(home):
    run = plan("toy.patience", catalog.method("toy.patience").params.make({"lr": 0.5}), Setup())
    write_state(run.folder, "done")
    return run


def save(path, step, weight, method="toy.patience"):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(path, Checkpoint(method, {"lr": 0.5}, FACTS, step, {"weight": torch.full((1,), weight)}))
    return path


def steps(run, *given):
    return [save(run.folder / "checkpoints" / f"{step:08d}.safetensors", step, float(step)) for step in given]


def test_a_run_its_id_its_folder_its_file_and_a_method_open_to_the_same(run, monkeypatch, tmp_path):
    *_, newest = steps(run, 3, 9)
    save(tmp_path / "shipped" / "checkpoint.safetensors", 9, 9.0)
    monkeypatch.setattr(opening, "shipped", lambda id: tmp_path / "shipped")
    for target in (run, run.id, str(run.folder), run.folder, newest, str(newest), "toy.patience"):
        opened = open_model(target)
        assert (opened.id, opened.step, opened.facts, opened.data) == ("toy.patience", 9, FACTS, "garments")
        assert opened.model.weight.item() == 9.0
        assert not opened.model.training
        assert opened.lenses == catalog.method("toy.patience").lenses


def test_a_torn_newest_checkpoint_gives_way_to_the_one_before(run):
    _, newest = steps(run, 3, 9)
    newest.write_bytes(newest.read_bytes()[:-3])
    assert open_model(run).step == 3


def test_a_run_opens_at_any_step_that_it_has_kept(run):
    steps(run, 8, 9)
    save(run.folder / "milestones" / "00000000.safetensors", 0, -1.0)
    save(run.folder / "milestones" / "00000008.safetensors", 8, 8.5)
    assert list(run.openable()) == [0, 8, 9]
    assert [open_model(f"{run.id}@{step}").model.weight.item() for step in (0, 8, 9)] == [-1.0, 8.0, 9.0]
    with pytest.raises(ValueError, match=f"run {run.id} cannot be opened at step '5'; there are 0, 8, 9"):
        open_model(f"{run.id}@5")
    with pytest.raises(ValueError, match="at step 'last'"):
        open_model(f"{run.id}@last")
    with pytest.raises(ValueError, match="there is no run 20200101-000000-abcd"):
        open_model("20200101-000000-abcd@5")
    assert called(f"{run.id}@8").endswith(f"{run.id} · step 8")


def test_a_step_is_known_by_its_file_and_a_run_by_its_newest(run):
    steps(run, 8, 9)
    stamps = {warm.stamp(f"{run.id}@{step}") for step in (8, 9)}
    assert len(stamps) == 2
    assert warm.stamp(run.id) == "9"


def test_a_run_without_a_checkpoint_says_how_it_stands(run):
    with pytest.raises(ValueError, match="has no checkpoint yet; it is done"):
        open_model(run)


def test_half_precision_weights_open_in_full(tmp_path, home):
    method = catalog.method("toy.patience")
    model = method.build(method.params.make({}), FACTS)
    half = {name: value.half() for name, value in model.state_dict().items()}
    write_checkpoint(tmp_path / "half.safetensors", Checkpoint("toy.patience", {}, FACTS, 1, half))
    assert open_model(tmp_path / "half.safetensors").model.weight.dtype == torch.float32


class Bomb:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('exploded').touch()",))


def test_a_file_with_code_in_it_is_refused_and_not_executed(tmp_path, home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.zeros(1), "more": Bomb()}, "bomb.pt")
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps(Bomb(), protocol=2))
    for name in ("bomb.pt", "bomb.pkl"):
        with pytest.raises(
            ValueError, match=r"is refused: opening it would execute code .*exec\). .* save only its tensors"
        ):
            open_model(name)
    assert not (tmp_path / "exploded").exists()


def test_plain_weights_of_others_are_refused_with_what_is_missing(tmp_path, home):
    torch.save({"a": torch.zeros(1), "b": torch.zeros(2)}, tmp_path / "plain.pth")
    with pytest.raises(ValueError, match="holds 2 tensors, but not which method"):
        open_model(tmp_path / "plain.pth")


def test_what_is_no_checkpoint_is_named(tmp_path, home):
    (tmp_path / "text.safetensors").write_text("hello")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ValueError, match="cannot be opened as a checkpoint"):
        open_model(tmp_path / "text.safetensors")
    (tmp_path / "empty.pt").touch()
    for name in ("text.pt", "empty.pt"):
        with pytest.raises(ValueError, match="cannot be read as a PyTorch file"):
            open_model(tmp_path / name)
    with pytest.raises(ValueError, match="is no run, no checkpoint file and no method"):
        open_model("nix")
    with pytest.raises(ValueError, match="there is no run 20261122-171233-4f2a"):
        open_model("20261122-171233-4f2a")


def test_weights_of_another_version_say_so(tmp_path, home):
    path = tmp_path / "other.safetensors"
    write_checkpoint(path, Checkpoint("toy.patience", {}, FACTS, 1, {"other": torch.zeros(1)}))
    with pytest.raises(ValueError, match=r"is of another version of toy\.patience"):
        open_model(path)


def test_an_opened_model_answers_its_lens(run):
    steps(run, 1)
    opened = open_model(run)
    lens = opened.lenses[0]
    images = torch.zeros(2, 1, 28, 28)
    (answer,) = lens.answers(opened.model, lens.params.make({"amount": 1.0}), images, Bench(Setup(device="cpu")))
    assert torch.equal(answer["after"], torch.ones(2, 1, 28, 28))


@pytest.fixture
def released(tmp_path):
    """Write weights as the masked autoencoder's authors release them."""
    made = MaskedViT(3, 32, 8, 64, 1, 1, Decoder(32, 1, 16))

    def write(name, leave_out=()):
        state = {key: value for key, value in made.state_dict().items() if not key.startswith(leave_out)}
        torch.save({"model": state}, tmp_path / name)
        return tmp_path / name

    return write, made


@pytest.mark.parametrize(("name", "norm_pix"), [("mae_visualize_vit_base.pth", False), ("mae_pretrain_full.pth", True)])
def test_a_released_masked_autoencoder_opens_and_paints(released, name, norm_pix):
    write, made = released
    opened = open_model(str(write(name)))
    assert (opened.id, opened.facts, opened.step) == ("representation.mae", Facts(3, 32), 0)
    assert opened.model.norm_pix is norm_pix, "the weights do not tell, the name does"
    assert torch.equal(opened.model.mask_token, made.mask_token)
    looker = Looker(opened)
    for lens in opened.lenses:
        *_, answer = looker.answers(lens, lens.params.make({}), lens.given(looker.shipped(2)))
        assert {name for exhibit in lens.exhibits for name in exhibit.names} <= answer.keys()


def test_a_released_encoder_alone_says_which_file_to_take(released):
    write, _ = released
    with pytest.raises(ValueError, match="cannot be opened as a masked autoencoder: it has no decoder, so it paints"):
        open_model(str(write("mae_pretrain_vit_base.pth", ("decoder", "mask_token"))))


@pytest.fixture
def released_moco(tmp_path):
    """Write weights as the authors of MoCo v3 release them; the model that they came from."""
    sizes = {"size": 32, "patch": 8, "width": 12, "depth": 1, "heads": 12, "stem": "patch"}
    model = catalog.method(MOCO).build(catalog.method(MOCO).params.make(sizes, "tiny"), Facts(3, 32))
    theirs = {"query.backbone.net.": "base_encoder.", "query.": "base_encoder.", "key.backbone.net.":
              "momentum_encoder.", "key.": "momentum_encoder.", "predictor.": "predictor."}  # fmt: skip

    def write(name, leave_out=()):
        state = {}
        for key, value in model.state_dict().items():
            mine = next(start for start in theirs if key.startswith(start))
            state["module." + theirs[mine] + key.removeprefix(mine)] = value
        state = {key: value for key, value in state.items() if not key.endswith(leave_out)}
        torch.save({"epoch": 300, "arch": "vit_small", "state_dict": state, "optimizer": {}}, tmp_path / name)
        return tmp_path / name

    return write, model.eval()


MOCO = "representation.moco_v3"


def test_a_released_moco_v3_opens_to_the_network_it_came_from(released_moco):
    write, made = released_moco
    opened = open_model(str(write("vit-s-300ep.pth.tar")))
    assert (opened.id, opened.facts, opened.step) == (MOCO, Facts(3, 32), 0)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for way in ("features", "project", "ask", "key"):
        assert torch.equal(getattr(opened.model, way)(images), getattr(made, way)(images))
    looker = Looker(opened)
    for lens in opened.lenses:
        *_, answer = looker.answers(lens, lens.params.make({}, "tiny"), lens.given(looker.shipped(3)))
        assert {name for exhibit in lens.exhibits for name in exhibit.names} <= answer.keys()


@pytest.mark.parametrize("lacks", ["patch_embed.proj.weight", "base_encoder.head.6.weight", "blocks.0.norm1.bias"])
def test_a_part_of_a_released_moco_v3_says_what_it_lacks(released_moco, lacks):
    write, _ = released_moco
    with pytest.raises(ValueError, match=rf"cannot be opened as a MoCo v3: .*{lacks.removeprefix('base_encoder.')}"):
        open_model(str(write("vit-s-300ep.pth.tar", (lacks,))))


@pytest.fixture
def transformer():
    """A small one with learned positions, in the layout of facebookresearch/dino's files, and its weights."""
    made = ReleasedViT(3, 32, 8, 128, 2).eval()
    made.pos_embed.normal_(std=0.02)
    return made, dict(made.state_dict())


def wrapped(weights, *prefixes):
    return {"".join(prefixes) + name: value for name, value in weights.items()}


def as_released(weights):
    """The forms in which they are released: the backbone alone, and a whole training with its options."""
    head = {"head.mlp.0.weight": torch.zeros(4, 128), "head.last_layer.weight_v": torch.zeros(8, 4)}
    other = {name: torch.zeros_like(value) for name, value in weights.items()}
    training = {
        "student": wrapped(other | head, "module.", "backbone."), "teacher": wrapped(weights | head, "backbone."),
        "epoch": 100, "args": argparse.Namespace(arch="vit_small", patch_size=16),
    }  # fmt: skip
    return {"dino_deitsmall16_pretrain.pth": weights, "dino_deitsmall16_pretrain_full_checkpoint.pth": training}


@pytest.mark.parametrize("name", ["dino_deitsmall16_pretrain.pth", "dino_deitsmall16_pretrain_full_checkpoint.pth"])
def test_a_released_transformer_opens_as_its_teacher_and_shows_its_attention(tmp_path, transformer, name):
    made, weights = transformer
    torch.save(as_released(weights)[name], tmp_path / name)
    opened = open_model(str(tmp_path / name))
    assert (opened.id, opened.facts, opened.step) == ("representation.dino", Facts(3, 32), 0)
    images = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(opened.model(images), made(images))
    looker = Looker(opened)
    (lens,) = opened.lenses
    for larger in (1, 2):
        given = lens.given(looker.shipped(2))
        *_, answer = looker.answers(lens, lens.params.make({"larger": larger}), given)
        assert {name for exhibit in lens.exhibits for name in exhibit.names} <= answer.keys()
        assert answer["head"] == ["all", "1", "2"], "a head has 64 numbers"
        assert answer["looks at"].shape == (3, 32 * larger, 32 * larger)


def test_a_transformer_whose_parts_do_not_fit_says_so(tmp_path, transformer):
    _, weights = transformer
    del weights["norm.weight"]
    torch.save(weights, tmp_path / "torn.pth")
    with pytest.raises(ValueError, match=r"cannot be opened as a vision transformer: .*norm\.weight"):
        open_model(str(tmp_path / "torn.pth"))
    torch.save(weights | {"pos_embed": torch.zeros(1, 18, 128)}, tmp_path / "odd.pth")
    with pytest.raises(ValueError, match="has 18 positions; expected"):
        open_model(str(tmp_path / "odd.pth"))
